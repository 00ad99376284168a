"""One model that transcribes, says who did what to whom, and what is wanted.

    python -m launch.prepare    --config=configs/multitask.py
    python -m launch.train      --config=configs/multitask.py --workdir=runs/multitask
    python -m launch.evaluate   --workdir=runs/multitask --split=test
    python -m launch.transcribe --workdir=runs/multitask --task=transcript,roles a.wav

Of the embedded corpus, or with the argument treebank of sentences that benchmarks/treebank_roles.py
wrote (--source is then its folder). Arguments: which tasks, transcript, roles, tags, intent and
speaker (the first two if none is given, and intent where it is known); how the model is told them,
add, prefix, film or none (add); what weighs them, uncertainty, grad_norm or pcgrad (all alike);
reading (the transcript instead of hearing the recording); smoke (a minute on two cores).
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart
from configs.defaults import make_smoke, one_of, parse_argument
from configs.models import add_decoder, ctc_conformer

BALANCERS = ("uncertainty", "grad_norm", "pcgrad")
ENCODINGS = ("add", "prefix", "film", "none")


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, (*TASKS, *ENCODINGS, *BALANCERS, "reading", "treebank", "smoke"))
    config = quickstart.get_config("ctc,smoke" if "smoke" in words else "ctc")
    config.splits.train = "train[:95%]"
    config.train.update({"num_steps": 4000, "evaluate_every": 1000, "checkpoint_every": 1000})
    config.train.best_by = "error"
    if "treebank" in words:
        hear_sentences(config)
    add_decoder(config.model, num_layers=2)
    config.model.task_encoding = one_of(words, ENCODINGS, "add")
    # The heads learn when the encoder has, from CTC over all rows; the more the others weigh, the
    # later that is.
    config.objective = ConfigDict({"ctc": {"name": "ctc", "target": "transcript", "weight": 1.0}})
    config.decoding = ConfigDict({"name": "attention_greedy"})
    config.evaluators = ConfigDict({"tasks": {"name": "tasks"}})
    known = {"transcript", "roles"} if "treebank" in words else {"transcript", "roles", "intent"}
    for name in sorted(words & set(TASKS) or known):
        task, objectives = TASKS[name]
        config.tasks[name] = ConfigDict(task)
        for term, objective in objectives.items():
            config.objective[term] = ConfigDict({**objective, "task": name})
    if balancer := one_of(words, BALANCERS, ""):
        config.balancer = ConfigDict({"name": balancer})
    if "reading" in words:
        config.model.update({"reads": "transcript", "ctc": False})
        del config.objective["ctc"]
    elif "treebank" in words:
        # CTC spells long before the decoder does.
        for name in {"transcript", "tags"} & set(config.tasks):
            config.tasks[name].decoding = ConfigDict({"name": "ctc_greedy"})
    if "smoke" in words:
        make_smoke(config)
        config.text.vocab_size = 80
    return config


def hear_sentences(config: ConfigDict) -> None:
    """Sentences of people instead of the embedded corpus's: a third of their words in the test are
    in none that is learned from, and have to be spelt."""
    config.corpus.update({"kind": "spoken_text", "name": "treebank"})
    config.corpus.options = ConfigDict()
    config.splits.train = "train"
    config.data.update({"batch_seconds": 24.0, "num_buckets": 5, "max_seconds": 12.0})
    config.model = ctc_conformer(num_layers=4, embed_dim=144)
    config.model.encoder.stem = "conv2d_4x"
    config.train.num_steps = 5000


WRITTEN = {"name": "cross_entropy", "label_smoothing": 0.1}
# Each task, and the terms that it is learned by. CTC transcribes every row, so that of roles, which
# only their own rows teach, there are the most.
TASKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "transcript": ({"name": "text", "share": 0.25}, {"transcript": {**WRITTEN, "weight": 0.5}}),
    "roles": ({"name": "semantic_roles", "share": 0.5}, {"roles": WRITTEN}),
    # It writes the words, and tags what it has written.
    "tags": (
        {"name": "role_tags", "share": 0.25},
        {"tags": {"name": "classification", "head": "tags"}, "tagged_words": WRITTEN},
    ),
    "intent": (
        {"name": "classes", "column": "intent", "share": 0.25},
        {"intent": {"name": "classification", "head": "intent", "weight": 0.3}},
    ),
    # No voice is in two splits: of those that are heard, recordings are kept back.
    "speaker": (
        {
            "name": "classes",
            "column": "speaker",
            "share": 0.25,
            "splits": {
                "train": "train[:95%]",
                "validation": "train[95%:]",
                "test": "train[95%:]",
            },
        },
        {"speaker": {"name": "classification", "head": "speaker", "weight": 0.1}},
    ),
}
