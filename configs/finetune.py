"""Make a recogniser of what was learned without transcripts: of an encoder by configs/pretrain.py.

    python -m launch.train    --config=configs/finetune.py:10 --config.init.workdir=runs/bestrq \\
                              --workdir=runs/fine
    python -m launch.evaluate --workdir=runs/fine --split=test

On from there, with what that one hears in the recordings whose transcripts it was not given, held
to the words of those it was:

    python -m launch.words    --config=configs/finetune.py:10 --output=runs/words.txt
    python -m launch.label    --config=configs/finetune.py:10,self_training --workdir=runs/fine \\
                              --decoding=ctc_beam:lexicon=runs/words.txt --output=runs/heard.jsonl
    python -m launch.train    --config=configs/finetune.py:10,self_training \\
                              --config.labels.path=runs/heard.jsonl \\
                              --config.init.workdir=runs/fine --workdir=runs/finer

The next round labels with runs/finer, into another file, and starts from it; as often as it helps,
and later with a larger --config.labels.surest, the share that is believed
(benchmarks/without_transcripts.py does ten).

Arguments: 1, 10 or 100, per cent of the transcripts to learn from (100 if none is given);
self_training (and the recordings of the others, from the recogniser that heard them); decoder (of a
language model by configs/text.py:causal, instead of an encoder); spoken (the embedded corpus
instead of AN4); waveform (of an encoder that hears waveforms); scratch (the same recogniser and
data, and no parameter learned before); lora (low-rank changes to attention, and all else frozen);
smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs import an4
from configs.defaults import hear_waveforms, make_smoke, one_of, parse_argument
from configs.models import add_decoder
from configs.quickstart import FEW_SENTENCES
from jasr.errors import UserError

PERCENTAGES = ("1", "10", "100")
ARGUMENTS = (
    *PERCENTAGES,
    *("self_training", "spoken", "waveform", "decoder", "scratch", "lora", "smoke"),
)


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ARGUMENTS)
    percent = one_of(words, PERCENTAGES, "100")
    for apart in (("self_training", "scratch"), ("self_training", "decoder"), ("lora", "scratch")):
        one_of(words, apart, "")
    config = an4.get_config()
    if "spoken" in words:
        config.corpus.update({"kind": "spoken", "name": "spoken"})
    config.splits.train = f"train[:{percent}%]"
    if "self_training" in words:
        if percent == "100":
            raise UserError(
                "config argument 'self_training': with 100 per cent of the transcripts nothing is "
                "left to hear; give 1 or 10"
            )
        config.splits.untranscribed = f"train[{percent}%:]"
    config.train.num_steps = 2000
    if "waveform" in words:
        hear_waveforms(config)
        # There are no bands to mask: spans of the stem's frames are.
        config.model.spec_augment = ConfigDict()
        config.model.span_mask = ConfigDict({"start_probability": 0.02, "span_length": 10})
    if "decoder" in words:
        _add_language_model(config)
        if "scratch" in words:
            # Its tokens, so that the two can be compared, and none of its parameters.
            config.init.rename["^"] = "elsewhere/"
            config.init.new, config.init.left = ("",), ("",)
    elif "self_training" in words:
        _go_on_with_what_was_heard(config)
    elif "scratch" not in words:
        config.init.new = ("^ctc_head/",)
        # The vector of what is masked is of use where frames still are.
        masked = () if "waveform" in words else ("^mask_embedding/",)
        config.init.left = ("^heads_", *masked)
        # What was learned is lost where all layers learn at one rate, and where they begin before
        # the head has learned to read.
        config.optimizer.layer_decay = 0.7
        config.optimizer.unfreeze["^encoder"] = 600
    if "lora" in words:
        config.lora = ConfigDict(
            {"parameters": ("attention/(query|value)/kernel",), "rank": 8, "alpha": 16.0}
        )
        config.optimizer.no_weight_decay = ("bias$",)
    if "smoke" in words:
        make_smoke(config)
        if config.optimizer.unfreeze:
            config.optimizer.unfreeze["^encoder"] = 1
        if "spoken" in words:
            config.corpus.options = ConfigDict(FEW_SENTENCES)
    return config


def _go_on_with_what_was_heard(config: ConfigDict) -> None:
    """A noisy student (Park et al., 2020): its input is harder than that which was labelled."""
    config.text.tokenizer, config.init.checkpoint = "init", "best"
    config.labels.surest = 0.6
    # Soon labelled anew: in a longer round its errors are learned by heart.
    config.train.update({"num_steps": 400, "evaluate_every": 400, "checkpoint_every": 400})
    if config.model.spec_augment:
        config.model.spec_augment.update({"time_masks": 4, "frequency_masks": 3})
    else:
        config.model.span_mask.start_probability = 0.04
    config.optimizer.learning_rate.peak = 2e-3


def _add_language_model(config: ConfigDict) -> None:
    add_decoder(config.model, num_layers=4)
    config.text.tokenizer = "init"
    config.init.new = ("^encoder/", "^ctc_head/", "/cross_attention")
    config.objective = ConfigDict(
        {
            "ctc": {"name": "ctc", "weight": 0.3},
            "cross_entropy": {"name": "cross_entropy", "label_smoothing": 0.1},
        }
    )
    # The encoder first: a decoder that can guess the next token waits for nothing else to learn.
    config.objective.cross_entropy.weight = ConfigDict(
        {
            "name": "linear",
            "init_value": 0.0,
            "end_value": 0.7,
            "transition_begin": 400,
            "transition_steps": 400,
        }
    )
    config.decoding = ConfigDict({"name": "attention_greedy"})
