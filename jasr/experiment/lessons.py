"""config.teacher.lessons: what teachers make of a training's recordings, computed once and kept.

training's recordings ──▶ teachers ──▶ FOLDER ──▶ rows of the training's batches
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jasr.corpora.corpus import Corpus, Problem
from jasr.corpora.lessons import Arrays, Lessons, refuse_existing, write_lessons
from jasr.errors import UserError
from jasr.experiment.clusters import predicted_clusters
from jasr.experiment.data import build_targets, empty_batch, in_order
from jasr.experiment.model import build_model
from jasr.experiment.start import meta_and_plan
from jasr.experiment.teacher_config import TeacherConfig
from jasr.experiment.teachers import Found, taught
from jasr.experiment.training_data import open_training
from jasr.experiment.workdir import Meta
from jasr.models.distillation.recorded import record
from jasr.models.distillation.taught import CODES, Taught
from jasr.models.distillation.teacher import joint_lesson
from jasr.pipeline.buckets import Bucket
from jasr.pipeline.lesson_rows import LessonRows, Room
from jasr.pipeline.loader import load_all
from jasr.pipeline.plan import TrainPlan
from jasr.sharding import hosts
from jasr.sharding.placement import Placement
from jasr.types import Batch, Padded

# What lessons depend on, and how that is said of those of something else.
DEPENDS = MappingProxyType(
    {
        "teachers": "other teachers",
        "dtype": "another config.teacher.dtype",
        "corpus": "other recordings or transcripts",
        "normalizer": "another config.text.normalizer",
    }
)


def write_lessons_of(
    config: Mapping[str, Any], output: str, *, data_dir: str | None, top_k: int
) -> None:
    """Writes what config.teacher's models, and config.clusters, make of all that the config learns
    from; says how much that is.

    top_k: how many tokens are kept of each distribution, the likeliest; 0 for all.
    Raises UserError as a training does, and where `output` is there already.
    """
    folder = Path(output)
    refuse_existing(folder)
    # Checked as of a training that reads them.
    TeacherConfig.parse({**config, "teacher": {**config["teacher"], "lessons": output}})
    config = {**config, "teacher": {**config["teacher"], "lessons": ""}}
    corpus = open_training(config, data_dir)
    placement = Placement.from_config(config["mesh"])
    meta, training = meta_and_plan(config, corpus, placement, None)
    clusters, frozen, meta = predicted_clusters(meta, data_dir)
    student = build_model(config["model"], meta.tokenizer, meta.statistics)
    model, found, meta = taught(student, meta, placement, clusters)
    if not found:
        raise UserError("config.teacher.workdir is empty: give the workdir of a training")
    given = {
        "teachers": [one.load() for one in found.values()],
        **jax.device_put(dict(frozen), placement.replicated),
    }
    make = jax.jit(functools.partial(_make, model, top_k=top_k), out_shardings=placement.replicated)
    targets, speeds = build_targets(meta), _speeds(config)
    plan = in_order(
        config["evaluation"], training.selection, multiple_of=placement.row_shards, speeds=speeds
    )
    problems: list[Problem] = []

    def lessons() -> Iterator[tuple[int, float, Arrays]]:
        batches = load_all(corpus, plan, targets, share=placement.row_share)
        for loaded in tqdm(batches, total=len(plan), unit="batch", disable=not hosts.is_first()):
            problems.extend(loaded.problems)
            batch = placement.shard_batch(loaded.batch)
            with placement.active():
                kept = jax.device_get(make(given, batch))
            ids, is_real = hosts.whole(batch.example_ids), hosts.whole(batch.example_mask)
            # A mesh may lay rows otherwise than they are planned.
            speed_of = hosts.whole(placement.shard_rows(loaded.speeds))
            for row in np.flatnonzero(is_real):
                # As it was given, not as float32 has it.
                speed = min(speeds, key=lambda given: abs(given - speed_of[row]))
                yield int(ids[row]), speed, _real(kept, int(row))

    kept = jax.eval_shape(make, given, _one_row(plan.buckets[0], meta))
    description = {
        **_depends(config, corpus, model, meta),
        "clusters": meta.clusters,
        "top_k": top_k,
        "arrays": sorted(kept),
    }
    if not hosts.is_first():
        for _ in lessons():
            pass
        return
    count = write_lessons(
        folder, lessons(), num_utterances=len(corpus), speeds=speeds, description=description
    )
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    left_out = f"; {len(problems)} could not be read, {problems[0].id} first" if problems else ""
    hosts.say(
        f"wrote {output}: {count} lessons, of recordings at speed {', '.join(map(str, speeds))}, "
        f"{size:.1f} MB{left_out}"
    )


def open_lessons(
    config: Mapping[str, Any],
    corpus: Corpus,
    plan: TrainPlan,
    model: Taught,
    found: Mapping[str, Found],
    frozen: Mapping[str, Any],
    meta: Meta,
) -> tuple[LessonRows, Meta]:
    """The lessons of config.teacher.lessons, for the batches of a plan, and the meta that says
    which they are.

    frozen: what config.clusters are described by.
    Raises UserError where they are of other teachers or recordings, lack what is to be learned, or
    are no longer those that the run began with.
    """
    folder = TeacherConfig.parse(config).lessons
    lessons = Lessons(folder)
    there = lessons.description
    wrong = [
        DEPENDS[key]
        for key, value in _depends(config, corpus, model, meta).items()
        if there.get(key) != value
    ]
    if model.codebook is not None and there.get("clusters") not in ("", meta.clusters):
        wrong.append("other config.clusters")
    if wrong:
        raise UserError(
            f"config.teacher.lessons {folder} is of {' and '.join(wrong)} than this training's: "
            f"run launch.teach with its config"
        )
    make = functools.partial(_make, model, top_k=there["top_k"])
    given = {"teachers": [one.shapes for one in found.values()], **frozen}
    rooms = {}
    for bucket in plan.buckets:
        kept = jax.eval_shape(make, given, _one_row(bucket, meta))
        rooms[bucket] = {
            name: Room(tuple(made.values.shape[1:]), np.dtype(made.values.dtype))
            for name, made in kept.items()
        }
    lacking = [name for name in rooms[plan.buckets[0]] if name not in there["arrays"]]
    lacking += [f"speed {speed}" for speed in _speeds(config) if speed not in there["speeds"]]
    if lacking:
        raise UserError(
            f"config.teacher.lessons {folder} lacks {', '.join(lacking)}: run launch.teach with "
            f"this training's config"
        )
    text = json.dumps(there, sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
    if meta.lessons not in ("", fingerprint):
        raise UserError(
            f"config.teacher.lessons {folder} is no longer what this training began with: write it "
            f"again as it was (launch.teach --top_k), or begin in another --workdir"
        )
    return LessonRows(lessons, rooms), dataclasses.replace(meta, lessons=fingerprint)


def _speeds(config: Mapping[str, Any]) -> list[float]:
    """At which a training hears its recordings; their own too, which what is long keeps."""
    return sorted({1.0, *map(float, config["data"]["augment"]["speeds"])})


def _one_row(bucket: Bucket, meta: Meta) -> Batch:
    return empty_batch(
        1, samples=bucket.num_samples, tokens=bucket.num_tokens, targets=build_targets(meta)
    )


def _make(
    model: Taught, given: Mapping[str, Any], batch: Batch, *, top_k: int
) -> dict[str, Padded]:
    """What is kept of a batch, by name."""
    lesson = joint_lesson(model.teachers, model.weights, given["teachers"], batch, model.wanted)
    kept = record(lesson, model.wanted.layers, top_k=top_k)
    if model.codebook is not None:
        kept[CODES] = model.codebook.clusters(given["clusters"], batch.audio)
    return kept


def _real(kept: Mapping[str, Padded], row: int) -> Arrays:
    """Of one row, without its padding; of where a frame looks, neither to padding."""

    def real(name: str, part: Padded) -> np.ndarray:
        length = part.mask[row].sum()
        values = part.values[row, :length]
        return values[:, :length] if name.startswith("attention/") and values.ndim > 1 else values

    return {name: real(name, part) for name, part in kept.items()}


def _depends(
    config: Mapping[str, Any], corpus: Corpus, model: Taught, meta: Meta
) -> dict[str, Any]:
    """Of what, and by whom, lessons are: the keys of DEPENDS."""
    shares = [weight / sum(model.weights) for weight in model.weights]
    return {
        "teachers": [
            {"step": pin.step, "weight": share, "parameters": pin.fingerprint}
            for pin, share in zip(meta.teachers, shares, strict=True)
        ],
        "dtype": TeacherConfig.parse(config).dtype,
        "corpus": corpus.fingerprint,
        "normalizer": config["text"]["normalizer"],
    }
