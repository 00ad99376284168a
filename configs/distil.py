"""Teach a small recogniser with a large one.

    python -m launch.train    --config=configs/distil.py:scratch,large --workdir=runs/teacher
    python -m launch.train    --config=configs/distil.py:all,tiny --workdir=runs/tiny \\
                              --config.teacher.workdir=runs/teacher
    python -m launch.evaluate --workdir=runs/tiny --split=test --noise_db=0,10 --weights=int8

What it hears in recordings, launch.label writes down first, for config.labels.path (sequence).
Where several students learn of one teacher, let launch.teach run it once for all of them.

Arguments: what is learned of the teacher, one or more of

    logits      its decoder's next token                    ctc         its CTC posteriors
    paths       its CTC alignments of the text              sequence    what it hears (launch.label)
    hidden      its layers' frames                          relations   which of them are alike
    attention   where its layers look                       codebook    their codes (launch.prepare)
    all         logits, ctc and hidden                      average     all, of the student's own
                                                                        averaged parameters
or scratch, nothing; the model's size, large (14 M parameters), small (3 M) or tiny (1 M, if none is
given); half (half of the transcripts are not there: with scratch those recordings are not either,
with sequence launch.label says what is said in them, and else they are learned from without, which
logits and paths cannot);
digits (the Free Spoken Digit Dataset instead of the embedded corpus); smoke (a minute
on two cores). Half of what a student hears is under noise that its teacher does not hear.
"""

from types import MappingProxyType

from ml_collections import ConfigDict

from configs import fsdd, quickstart
from configs.defaults import make_smoke, one_of, parse_argument, use_muon
from configs.models import ctc_transformer
from jasr.errors import UserError

# What is learned of the teacher: the name of a term of config.objective, and the term.
TERMS: MappingProxyType[str, tuple[str, dict]] = MappingProxyType(
    {
        # Softer, a teacher that learned from smoothed labels says hardly more than that they were.
        "logits": (
            "logits",
            {"name": "decoder_distillation", "temperature": 1.0, "weight": 1.0},
        ),
        "ctc": ("posteriors", {"name": "ctc_frame_distillation", "max_shift": 1, "weight": 2.0}),
        "paths": ("paths", {"name": "ctc_path_distillation", "weight": 1.0}),
        "hidden": ("hidden", {"name": "hidden_states", "weight": 0.5}),
        "relations": ("relations", {"name": "frame_relations", "weight": 2.0}),
        "attention": ("attention", {"name": "attention_maps", "weight": 0.5}),
        "codebook": ("codebook", {"name": "codebook_prediction", "weight": 0.2}),
    }
)
KINDS = (*TERMS, "sequence")
# Kinds of knowledge about a text that is given.
NEED_TEXT = {"logits", "paths"}
# Layers and width of the encoder, layers of the decoder.
SIZES = {"large": (8, 288, 4), "small": (5, 192, 1), "tiny": (4, 112, 1)}


def get_config(arg: str = "all") -> ConfigDict:
    words = parse_argument(
        arg, (*KINDS, "all", "average", "scratch", *SIZES, "half", "digits", "smoke")
    )
    _must_agree(words)
    size = one_of(words, SIZES, "tiny")
    config = _digits() if "digits" in words else quickstart.get_config("ctc")
    if "digits" not in words:
        config.train.update({"num_steps": 4000, "evaluate_every": 1000})
    _resize(config, *SIZES[size])
    config.text.tokenizer = "bpe" if "scratch" in words or "average" in words else "teacher"
    config.model.noise = ConfigDict({"probability": 0.5, "snr_db": (0.0, 20.0)})
    if "half" in words:
        config.splits.train = "train[:50%]"
    if "scratch" not in words:
        kinds = _kinds(words)
        if "half" in words and not set(kinds) - NEED_TEXT:
            raise UserError(
                f"config argument 'half' leaves {' and '.join(kinds)} nothing to learn from what "
                f"nobody transcribed: add sequence, or a kind that needs no text, such as ctc"
            )
        if "half" in words:
            config.splits.untranscribed = "train[50%:]"
            config.data.needs_text = "sequence" in kinds
        _add_teacher(config, kinds)
    if "average" in words:
        config.teacher.average = True
        config.optimizer.average = ConfigDict(
            {"decay": 0.99, "final_decay": 0.999, "decay_steps": 3000}
        )
    if "smoke" in words:
        make_smoke(config)
        if config.corpus.kind == "spoken":
            config.corpus.options = ConfigDict(quickstart.FEW_SENTENCES)
            config.model.encoder.stem = "conv1d_4x"
        if config.clusters:
            config.clusters.update({"num_clusters": 8, "num_codebooks": 2, "layer": 1})
    return config


def _must_agree(words: set[str]) -> None:
    learned = sorted(words & {*KINDS, "all", "average"})
    if "scratch" in words and learned:
        raise UserError(
            f"config arguments: 'scratch' learns of no teacher, and {' and '.join(learned)} of "
            f"one: give the one or the other"
        )


def _kinds(words: set[str]) -> list[str]:
    single = words & set(KINDS)
    together = set() if single and not words & {"all", "average"} else {"logits", "ctc", "hidden"}
    return [kind for kind in KINDS if kind in single | together]


def _add_teacher(config: ConfigDict, kinds: list[str]) -> None:
    config.teacher = ConfigDict(
        {
            "workdir": "",
            "checkpoint": "best",
            "weights": (),
            "average": False,
            "pairs": (),
            "shares_encoder": False,
            "parts": 1,
            "dtype": "",
            "preset": "",
            "lessons": "",
            "codebook": ConfigDict(),
        }
    )
    for kind in kinds:
        if kind in TERMS:
            name, term = TERMS[kind]
            config.objective[name] = ConfigDict(term)
    if "sequence" in kinds and not config.splits.untranscribed:
        config.splits.untranscribed = "train"
    if kinds == ["sequence"]:
        # It takes no more of the teacher than what it hears.
        config.text.tokenizer = "bpe"
    if "codebook" in kinds:
        config.teacher.codebook = ConfigDict({"code_dim": 64})
        config.clusters = ConfigDict(
            {"num_clusters": 256, "num_codebooks": 4, "by": "layer", "workdir": "", "layer": 6}
        )


def _digits() -> ConfigDict:
    config = fsdd.get_config()
    front_end = {name: config.model[name] for name in ("log_mel", "spec_augment")}
    config.model = ctc_transformer()
    config.model.update(front_end)
    # Frames of 20 ms: the shortest digits last 0.15 s.
    config.model.encoder.stem = "whisper"
    use_muon(config)
    return config


def _resize(config: ConfigDict, num_layers: int, embed_dim: int, decoder_layers: int) -> None:
    sizes = {"num_layers": num_layers, "embed_dim": embed_dim, "mlp_dim": 4 * embed_dim}
    config.model.encoder.update(sizes)
    quickstart.add_writer(config, num_layers=decoder_layers)
