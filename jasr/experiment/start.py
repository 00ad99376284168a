"""What a training starts from: its data, another training, or what it saved itself.

its own checkpoint ──▶ config.init's checkpoint ──▶ from scratch      parameters
its own meta       ──▶ config.init's meta       ──▶ the data          tokenizer, statistics
"""

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jasr.corpora.corpus import Corpus
from jasr.errors import UserError
from jasr.experiment.construct import construct
from jasr.experiment.data import build_targets, build_tokenizer, statistics_of, train_plan
from jasr.experiment.model import needs_text
from jasr.experiment.shared_rows import SharedRows
from jasr.experiment.step import TrainingStep
from jasr.experiment.tasks import build_tasks, find_names, texts_and_marks
from jasr.experiment.teacher_config import row_parts
from jasr.experiment.teachers import teacher_tokenizer
from jasr.experiment.warm_start import WarmStart, must_mean_the_same
from jasr.experiment.workdir import Meta
from jasr.files import write_whole
from jasr.pipeline.plan import TrainPlan
from jasr.sharding import hosts
from jasr.sharding.placement import Placement
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import tokenizer_from_dict
from jasr.training.checkpoint import Checkpoints, open_checkpoints
from jasr.training.state import TrainState

# Of a workdir, the parameters that its training started from.
INIT = "init.json"


def meta_and_plan(
    config: Mapping[str, Any],
    corpus: Corpus,
    placement: Placement,
    saved: Mapping[str, Any] | None,
) -> tuple[Meta, TrainPlan]:
    """The tokenizer and all else found in the data, or saved by the run so far; and the order."""
    shards = placement.row_shards * row_parts(config)
    if saved is None:
        # Read by every host: checkpoints are opened by all of them, or by none.
        other, taught_tokens = _meta_of_other(config["init"]), teacher_tokenizer(config)
        found = hosts.from_first(lambda: _found_in(corpus, config, other, taught_tokens))
        meta = Meta(
            config,
            found["tokenizer"] and tokenizer_from_dict(found["tokenizer"]),
            found["statistics"],
            plan="",
            corpus="",
            rows=shards,
            data_dir=None,
            tasks=found["tasks"],
        )
    else:
        meta = dataclasses.replace(Meta.from_dict(saved), config=config)
    plan = train_plan(
        config["data"],
        corpus,
        build_targets(meta),
        seed=config["seed"],
        multiple_of=meta.rows,
    )
    if saved is not None and (
        meta.plan != plan.fingerprint or meta.corpus not in ("", corpus.fingerprint)
    ):
        raise UserError(
            f"corpus {corpus.name!r} is no longer what this workdir was trained on: prepare it "
            f"from the source it had{_and_labels(config)}, or give another --workdir"
        )
    hosts.must_agree(plan.fingerprint + corpus.fingerprint, f"corpus {corpus.name!r}")
    uneven = [bucket.batch_size for bucket in plan.buckets if bucket.batch_size % shards]
    if uneven:
        raise UserError(
            f"this run began with batches in multiples of {meta.rows} rows, and one of "
            f"{uneven[0]} cannot be split evenly over {shards} (config.mesh: data x fsdp, times "
            f"config.train.microbatches and config.teacher.parts): choose a mesh that divides it"
        )
    return dataclasses.replace(meta, plan=plan.fingerprint, corpus=corpus.fingerprint), plan


def _and_labels(config: Mapping[str, Any]) -> str:
    path = config["labels"]["path"]
    return f", with the {path} it had (config.labels.path)" if path else ""


def _meta_of_other(init: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was saved beside the parameters that a training starts from; nothing if from scratch."""
    if not init["workdir"]:
        said = [key for key in ("new", "left", "rename") if init[key]]
        if said:
            raise UserError(
                f"config.init.workdir is empty, and config.init.{said[0]} says how to start from "
                f"another training: give its workdir"
            )
        return {}
    with _other_training(init) as checkpoints:
        return checkpoints.read_meta(checkpoints.find(init["checkpoint"]))


def _found_in(
    corpus: Corpus,
    config: Mapping[str, Any],
    other: Mapping[str, Any],
    taught_tokens: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What training takes from its data before it begins, or from the training it starts from.

    taught_tokens: the saved tokenizer of its teacher; None where there is none.
    """
    log_mel = config["model"].get("log_mel", {})
    tokenizer, names = None, find_names(config, corpus)
    if config["text"]["tokenizer"] == "init":
        tokenizer = other.get("tokenizer")
        if tokenizer is None:
            raise UserError(
                "config.text.tokenizer is 'init', and config.init.workdir names no training that "
                "has a tokenizer"
            )
    elif config["text"]["tokenizer"] == "teacher":
        tokenizer = taught_tokens
        if tokenizer is None:
            raise UserError(
                "config.text.tokenizer is 'teacher', and config.teacher.workdir names no training "
                "that has a tokenizer"
            )
    elif needs_text(config["model"]):
        normalize = normalizer(config["text"]["normalizer"])
        more, marks = texts_and_marks(build_tasks(config, names), corpus)
        tokenizer = build_tokenizer(
            config["text"], corpus, normalize, more=more, marks=marks
        ).to_dict()
    statistics = statistics_of(log_mel, corpus, other.get("statistics"))
    return {"tokenizer": tokenizer, "statistics": statistics, "tasks": names}


def warm_parameters(folder: Path, meta: Meta, step: TrainingStep, state: TrainState) -> Any:
    """The state's parameters, with those replaced that the training of config.init has; which they
    are is written into the workdir."""
    init = meta.config["init"]
    with _other_training(init) as other:
        there = Meta.from_dict(other.read_meta(other.find(init["checkpoint"])))
        _must_hear_the_same_segments(init["workdir"], there, meta)
        rows = SharedRows.between(there, meta, step.axes)
        start = construct(WarmStart, init, "config.init", rows=rows)
        started, listing = start.parameters(other, state.params)
    must_mean_the_same(
        f"config.init.workdir {init['workdir']}",
        there.config,
        meta.config,
        listing.loaded.keys() | listing.by_row.keys(),
    )
    if hosts.is_first():
        write_whole(folder / INIT, json.dumps(dataclasses.asdict(listing), indent=2) + "\n")
    return started


def _must_hear_the_same_segments(workdir: str, there: Meta, here: Meta) -> None:
    """What generates units of clustered frames knows nothing of other clusters."""
    names = {meta.config["model"]["name"] for meta in (there, here)}
    if names == {"adversarial_speech"} and there.clusters != here.clusters:
        raise UserError(
            f"config.init.workdir {workdir} hears other clusters (config.clusters) than this "
            f"training: give those it had"
        )


def _other_training(init: Mapping[str, Any]) -> contextlib.closing[Checkpoints]:
    return contextlib.closing(open_checkpoints(init["workdir"], "config.init.workdir"))
