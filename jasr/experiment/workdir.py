"""What a workdir is: one config, and all that a trained recogniser needs beside its parameters.

WORKDIR/config.json    the config it was made with; another one is refused
        init.json      which parameters it started from, if from another training's
        checkpoints/   parameters, each with a copy of everything below
        metrics.jsonl, tensorboard/, skipped.jsonl, eval/
        training.lock  held by the run that trains in it
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jasr.errors import UserError
from jasr.experiment.pin import Pin
from jasr.files import write_whole
from jasr.sharding.hosts import is_first
from jasr.text.tokenizer import Tokenizer, tokenizer_from_dict

# Keys that say when and where, not what: a run may go on with others.
FREE_KEYS = (
    "train.compiler",
    "train.precompile",
    "train.num_steps",
    "train.log_every",
    "train.evaluate_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.max_nonfinite",
    "data.num_workers",
    "decoding",
    "evaluation",
    "evaluators",
    "mesh",
)


@dataclasses.dataclass(frozen=True)
class Meta:
    """What is saved beside the parameters; enough to recognise with them, or to train on.

    The order of the data is a pure function of (seed, step): its fingerprint and the step, which
    the state holds, are all there is to know of where the data iterator stands.

    tokenizer:   None for a model that neither reads nor writes text.
    statistics:  mean and std of each mel band, where the front end normalises by them.
    plan:        fingerprint of the order of the training data.
    corpus:      fingerprint of the training data and of what is said of them; empty where it was
                 saved before that was noted.
    rows:        every batch has a multiple of so many rows; set by the mesh the run began on, so
                 that the order stays what it was when it goes on on another.
    data_dir:    where the prepared corpora lay; None for TFDS's own folder.
    clusters:    fingerprint of the clusters that it learned to predict, if it did.
    tasks:       of each task, what it was found to choose from: classes, names of slots.
    teachers:    the checkpoint of each config.teacher.workdir that it learns from.
    lessons:     fingerprint of what is written of config.teacher.lessons, if it learns from those.
    base:        that of config.init.workdir which is the frozen base of low-rank changes.
    """

    config: Mapping[str, Any]
    tokenizer: Tokenizer | None
    statistics: Mapping[str, list[float]] | None
    plan: str
    corpus: str
    rows: int
    data_dir: str | None
    clusters: str = ""
    tasks: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)
    teachers: tuple[Pin, ...] = ()
    lessons: str = ""
    base: Pin | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "tokenizer": self.tokenizer and self.tokenizer.to_dict(),
            "statistics": self.statistics,
            "plan": self.plan,
            "corpus": self.corpus,
            "rows": self.rows,
            "data_dir": self.data_dir,
            "clusters": self.clusters,
            "tasks": dict(self.tasks),
            "teachers": [dataclasses.asdict(one) for one in self.teachers],
            "lessons": self.lessons,
            "base": self.base and dataclasses.asdict(self.base),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Meta":
        config = saved["config"]
        # Checkpoints from before there were tasks, span masks and teachers hold nothing of them.
        model = {"span_mask": {}, **config["model"]}
        return cls(
            config={"tasks": {}, "teacher": {}, **config, "model": model},
            tokenizer=saved["tokenizer"] and tokenizer_from_dict(saved["tokenizer"]),
            statistics=saved["statistics"],
            plan=saved["plan"],
            corpus=saved.get("corpus", ""),
            rows=saved["rows"],
            data_dir=saved["data_dir"],
            clusters=saved["clusters"],
            tasks=saved.get("tasks", {}),
            teachers=tuple(Pin.from_dict(one) for one in saved.get("teachers", ())),
            lessons=saved.get("lessons", ""),
            base=Pin.from_dict(saved["base"]) if saved.get("base") else None,
        )


def claim(workdir: Path, config: Mapping[str, Any], *, resuming: bool) -> None:
    """Has the config written into the workdir; one that is resumed must have been made with it.

    Raises UserError listing the keys that differ.
    """
    path = workdir / "config.json"
    config = json.loads(json.dumps(config))
    if resuming and path.exists():
        _must_equal(json.loads(path.read_text()), config, workdir)
    if is_first():
        write_whole(path, json.dumps(config, indent=2) + "\n")


def _must_equal(old: Mapping[str, Any], new: Mapping[str, Any], workdir: Path) -> None:
    before, now = flatten(old), flatten(new)
    differing = [
        f"{key} was {before.get(key, 'absent')!r}, now {now.get(key, 'absent')!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not key.startswith(FREE_KEYS)
    ]
    if differing:
        raise UserError(
            f"--workdir={workdir} belongs to another config: {'; '.join(differing[:6])}"
            f"{' ...' if len(differing) > 6 else ''}: give another --workdir, or the same config"
        )


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}"""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
