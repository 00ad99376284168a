"""What every config starts from, and what each key means."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.models import ctc_transformer
from jasr.errors import UserError, nearest


def get_defaults() -> ConfigDict:
    """Every key a config may hold, with the value it has where a config says nothing."""
    config = ConfigDict()
    config.seed = 0

    # The corpus: its kind, its name under --data_dir, and the rate its audio is kept at (Hz).
    config.corpus = ConfigDict({"kind": "manifest", "name": "", "sample_rate": 16_000})
    config.corpus.options = ConfigDict()
    # Of kind "mixture": for each part, by its name, its kind, options, folder in --source, and how
    # often an epoch goes over it: passes, in eighths.
    config.corpus.parts = ConfigDict()
    # untranscribed: recordings to learn from beside those of train, their own text never seen.
    config.splits = ConfigDict({"train": "train", "validation": "validation", "untranscribed": ""})
    # What launch.label says a recogniser heard in them; without a path they have no text. Of it are
    # believed so many hypotheses a recording, of such a confidence, if it is of the surest share of
    # recordings and a second recogniser agrees (one less the word error rate). transcribed_passes:
    # how often an epoch goes over those of train meanwhile, in eighths.
    config.labels = ConfigDict(
        {
            "path": "",
            "min_confidence": 0.0,
            "surest": 1.0,
            "min_agreement": 0.0,
            "hypotheses": 1,
            "transcribed_passes": 1.0,
        }
    )

    # A corpus and a split of it whose texts are shown in place of the recordings' own, in no order
    # that would pair them; empty for none.
    config.unpaired_text = ConfigDict()

    # What a recogniser does, several things at once: NAME -> {a kind (jasr/experiment/tasks.py) and
    # its fields; corpus, keys in which its corpus is another than config.corpus; splits, what
    # stands there for a split's name; share, of the rows of an epoch; decoding, its own in place of
    # config.decoding}. Empty for transcription alone.
    config.tasks = ConfigDict()
    # Where no shares are given: 1 mixes tasks as their rows are, the higher the more evenly.
    config.mixing_temperature = 1.0

    # tokenizer: character, byte, bpe or unigram (vocab_size is for the last two), or init or
    # teacher, that of the training that config.init or config.teacher names.
    # normalizer: applied to every transcript before training and scoring.
    config.text = ConfigDict({"tokenizer": "character", "vocab_size": 0, "normalizer": "basic-v1"})

    # A batch holds batch_seconds of audio, padding included, in one of num_buckets shapes.
    # needs_text: whether recordings without a transcript are left out; where there are
    # config.tasks, those without a label are.
    config.data = ConfigDict(
        {
            "min_seconds": 0.1,
            "max_seconds": 20.0,
            "batch_seconds": 120.0,
            "num_buckets": 12,
            "max_tokens": 448,
            "num_workers": 0,
            "needs_text": True,
        }
    )
    config.data.augment = ConfigDict(
        {
            "speeds": (1.0,),
            "filter_probability": 0.0,
            "gain_db": 0.0,
            "noise_probability": 0.0,
            "noise_snr_db": (5.0, 30.0),
        }
    )
    # Recordings to take noise from, by a corpus's name and split; without a name it is generated.
    config.data.augment.noise = ConfigDict({"name": "", "split": "train"})

    config.model = ctc_transformer()
    config.objective = ConfigDict({"ctc": {"name": "ctc", "weight": 1.0}})

    # Trained models to learn from, and how (jasr/experiment/teacher_config.py); empty for none.
    config.teacher = ConfigDict()

    # What finds how much the terms of the objective count while they are learned, and its fields:
    # uncertainty and grad_norm begin at their weights, pcgrad keeps them; empty for the weights
    # alone.
    config.balancer = ConfigDict()

    # params_dtype: float32, or bfloat16 with float32 masters in the optimizer's state.
    config.optimizer = ConfigDict(
        {
            "algorithm": "adamw",
            "clip_norm": 1.0,
            "weight_decay": 0.01,
            "no_weight_decay": ("bias$", "scale$"),
            "frozen": (),
            "layer_decay": 1.0,
            "params_dtype": "float32",
        }
    )
    # Regular expression -> factor on the learning rate, and -> first step to train at.
    config.optimizer.multipliers = ConfigDict(allow_dotted_keys=True)
    config.optimizer.unfreeze = ConfigDict(allow_dotted_keys=True)
    # A moving average of the parameters, for a teacher that follows: decay, final_decay,
    # decay_steps; empty for none.
    config.optimizer.average = ConfigDict()
    # Parameters with an optimizer of their own: NAME -> {parameters, a regular expression, and the
    # keys in which it differs}.
    config.optimizer.groups = ConfigDict()
    # num_steps is that of the training, config.train.num_steps.
    config.optimizer.learning_rate = ConfigDict(
        {"peak": 1e-3, "schedule": "cosine", "warmup_steps": 200, "final_fraction": 0.0}
    )

    # compiler: jit, or pmap for data_parallel in one process. precompile: compile the step for each
    # bucket before the first, and say what memory each needs. microbatches splits a batch in
    # memory; the result stays the same. best_by: the evaluators' figure of which the checkpoint
    # with the lowest is kept as the best. The rest is in steps.
    config.train = ConfigDict(
        {
            "compiler": "jit",
            "precompile": False,
            "num_steps": 1000,
            "microbatches": 1,
            "log_every": 20,
            "evaluate_every": 250,
            "checkpoint_every": 250,
            "keep_checkpoints": 2,
            "best_by": "wer",
            "max_nonfinite": 20,
        }
    )
    # The strategy, a key of PRESETS (jasr/sharding/presets.py), and the devices along each axis of
    # the mesh; 0 takes all that the others leave.
    config.mesh = ConfigDict({"preset": "data_parallel", "data": 1, "fsdp": 1, "tensor": 1})

    # Parameters to start from: those of another training's checkpoint (best, last or a step).
    # rename: regular expression over a path there -> what it is here; new and left: regular
    # expressions of parameters that only this model has, and only that one.
    config.init = ConfigDict({"workdir": "", "checkpoint": "last", "new": (), "left": ()})
    config.init.rename = ConfigDict(allow_dotted_keys=True)
    # Low-rank changes to what config.init loads, which stays as it is and is not saved again:
    # parameters (regular expressions of kernels), rank, alpha; empty for none.
    config.lora = ConfigDict()
    # Clusters of frames to predict (jasr/experiment/clusters.py); empty where no head does.
    config.clusters = ConfigDict()

    # What is asked of the model every config.train.evaluate_every steps.
    config.evaluators = ConfigDict({"recognition": {"name": "recognition"}})
    # How validation and evaluation search for the words.
    config.decoding = ConfigDict({"name": "ctc_greedy"})
    config.evaluation = ConfigDict({"batch_seconds": 240.0, "num_buckets": 3})
    return config


def parse_argument(arg: str, known: tuple[str, ...]) -> set[str]:
    """The comma-separated words of a config's argument.

    Raises UserError for a word that the config does not know.
    """
    words = {word for word in arg.split(",") if word}
    for word in sorted(words - set(known)):
        raise UserError(f"config argument {word!r} is unknown: {nearest(word, known)}")
    return words


def one_of(words: set[str], choices: Iterable[str], default: str) -> str:
    """Which of the choices is among a config's words; UserError where it is several."""
    chosen = [word for word in choices if word in words]
    if len(chosen) > 1:
        raise UserError(f"config arguments: of {' and '.join(sorted(chosen))} give one")
    return chosen[0] if chosen else default


def use_muon(config: ConfigDict) -> None:
    """Learns by Muon, at the rate that served every small model here."""
    config.optimizer.algorithm = "muon"
    config.optimizer.learning_rate.update({"peak": 4e-3, "warmup_steps": 100})


def hear_waveforms(config: ConfigDict) -> None:
    """Has the encoder read samples instead of log-mel features, frames of 20 ms."""
    config.model.log_mel = ConfigDict({"name": "waveform"})
    config.model.encoder.stem = "wav2vec2"
    # Muon leaves convolutions to Adam, for which its rate is high.
    config.optimizer.multipliers["^encoder/stem/"] = 0.25


def make_smoke(config: ConfigDict) -> None:
    """Shrinks a config to one that finishes in a minute on two cores."""
    sizes = {"embed_dim": 32, "num_heads": 2, "mlp_dim": 64}
    for part, num_layers in (("encoder", 2), ("decoder", 1)):
        if config.model.get(part):
            config.model[part].update({"num_layers": num_layers, **sizes})
    if config.text.vocab_size:
        config.text.vocab_size = 40
    workers = min(config.data.num_workers, 1)
    config.data.update({"batch_seconds": 16.0, "num_buckets": 2, "num_workers": workers})
    config.evaluation.update({"batch_seconds": 32.0, "num_buckets": 1})
    config.train.update(
        {"num_steps": 8, "log_every": 2, "evaluate_every": 4, "checkpoint_every": 2}
    )
    config.optimizer.learning_rate.warmup_steps = 2
