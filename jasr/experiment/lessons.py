"""config.teacher.lessons: what teachers make of a training's recordings, computed once and kept.

training's recordings ──▶ teachers ──▶ FOLDER ──▶ rows of the training's batches
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from jasr.corpora.corpus import Corpus, Problem
from jasr.corpora.lessons import Arrays, Lessons, write_lessons
from jasr.errors import UserError
from jasr.experiment.data import build_targets, empty_batch, eval_plan
from jasr.experiment.model import build_model
from jasr.experiment.start import meta_and_plan
from jasr.experiment.teachers import Found, TeacherConfig, taught
from jasr.experiment.training_data import open_training
from jasr.experiment.workdir import Meta
from jasr.models.distillation.recorded import record
from jasr.models.distillation.taught import Taught
from jasr.models.distillation.teacher import Wanted, joint_lesson, samples_per_frame
from jasr.pipeline.lesson_rows import LessonRows, Room
from jasr.pipeline.loader import load_all
from jasr.pipeline.plan import TrainPlan
from jasr.sharding import hosts
from jasr.sharding.placement import Placement
from jasr.training.checkpoint import open_checkpoints
from jasr.types import Batch


def write_lessons_of(
    config: Mapping[str, Any], output: str, *, data_dir: str | None, top_k: int
) -> None:
    """Writes what config.teacher's models make of all that the config learns from; says how much
    that is.

    top_k: how many tokens are kept of each distribution, the likeliest; 0 for all.
    Raises UserError as a training does, and where `output` is there already.
    """
    # Codes are found from the audio while the student learns, by no teacher.
    config = {
        **config,
        "clusters": {},
        "teacher": {**config["teacher"], "codebook": {}, "lessons": ""},
    }
    corpus = open_training(config, data_dir)
    placement = Placement.from_config(config["mesh"])
    meta, _ = meta_and_plan(config, corpus, placement, None)
    student = build_model(config["model"], meta.tokenizer, meta.statistics)
    model, found, meta = taught(student, meta, placement, None)
    if not found:
        raise UserError("config.teacher.workdir is empty: give the workdir of a training")
    params = [one.load() for one in found.values()]
    kept_layers = tuple(sorted({layer for _, layer in model.pairs}))
    make = jax.jit(
        functools.partial(_make, model, Wanted(kept_layers, model.attention), top_k=top_k),
        out_shardings=placement.replicated,
    )
    targets = build_targets(meta)
    speeds = _speeds(config)
    plan = eval_plan(
        config["evaluation"], corpus, targets, multiple_of=placement.row_shards, speeds=speeds
    )
    problems: list[Problem] = []
    distance = samples_per_frame(model.teachers[0])

    def lessons() -> Iterator[tuple[int, float, Arrays]]:
        batches = load_all(corpus, plan, targets, share=placement.row_share)
        for loaded in tqdm(batches, total=len(plan), unit="batch", disable=not hosts.is_first()):
            problems.extend(loaded.problems)
            batch = placement.shard_batch(loaded.batch)
            with placement.active():
                kept = jax.device_get(make(params, batch))
            yield from _rows(kept, batch, plan[loaded.step].speeds, distance)

    description = _description(config, corpus, model, meta, top_k)
    if not hosts.is_first():
        for _ in lessons():
            pass
        return
    folder = Path(output)
    count = write_lessons(
        folder, lessons(), num_utterances=len(corpus), speeds=speeds, description=description
    )
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    left_out = f"; {len(problems)} could not be read, {problems[0].id} first" if problems else ""
    hosts.say(
        f"wrote {output}: {count} lessons, of recordings at speed {', '.join(map(str, speeds))}, "
        f"{size:.1f} MB{left_out}"
    )


def _speeds(config: Mapping[str, Any]) -> list[float]:
    """At which a training hears its recordings; their own too, which what is long keeps."""
    return sorted({1.0, *map(float, config["data"]["augment"]["speeds"])})


def open_lessons(
    config: Mapping[str, Any],
    corpus: Corpus,
    plan: TrainPlan,
    model: Taught,
    found: Mapping[str, Found],
    meta: Meta,
) -> LessonRows:
    """The lessons of config.teacher.lessons, for the batches of a plan.

    Raises UserError where they are of other teachers or recordings, or lack what is to be learned.
    """
    folder = TeacherConfig.parse(config).lessons
    lessons = Lessons(folder)
    there = lessons.description
    wanted = _description(config, corpus, model, meta, there.get("top_k", 0))
    for key, what in (("teachers", "teachers"), ("corpus", "recordings or transcripts")):
        if there.get(key) != wanted[key]:
            raise UserError(
                f"config.teacher.lessons {folder} is of other {what} than this training's: run "
                f"launch.teach with its config"
            )
    lacking = [f"layer {layer}" for layer in wanted["layers"] if layer not in there["layers"]]
    lacking += [f"speed {speed}" for speed in _speeds(config) if speed not in there["speeds"]]
    if model.attention and not there["attention"]:
        lacking.append("attention")
    if lacking:
        raise UserError(
            f"config.teacher.lessons {folder} lacks {', '.join(lacking)}: run launch.teach with "
            f"this training's config"
        )
    shapes = [one.shapes for one in found.values()]
    make = functools.partial(_make, model, model.wanted, top_k=there["top_k"])
    rooms = {}
    for bucket in plan.buckets:
        batch = empty_batch(
            1, samples=bucket.num_samples, tokens=bucket.num_tokens, targets=build_targets(meta)
        )
        made: Mapping[str, Any] = jax.eval_shape(make, shapes, batch)
        rooms[bucket] = {
            name: Room(tuple(kept.shape[1:]), np.dtype(kept.dtype)) for name, kept in made.items()
        }
    places = tuple(there["layers"].index(layer) for _, layer in model.pairs)
    return LessonRows(lessons, rooms, places)


def _make(model: Taught, wanted: Wanted, params: Any, batch: Batch, *, top_k: int) -> Any:
    lesson = joint_lesson(model.teachers, model.weights, params, batch, wanted)
    return record(lesson, top_k=top_k)


def _rows(
    kept: Arrays, batch: Batch, speeds: Float[np.ndarray, " batch"], distance: int
) -> Iterator[tuple[int, float, Arrays]]:
    """What is real of each row: its frames, and two more, with which its last may be matched; its
    tokens and their end."""
    ids, is_real = hosts.whole(batch.example_ids), hosts.whole(batch.example_mask)
    frames = hosts.whole(batch.audio.lengths()) // distance + 2
    tokens = hosts.whole(batch.targets["text"].lengths()) + 1
    for row in np.flatnonzero(is_real):
        own = {}
        for name, values in kept.items():
            places = tokens[row] if name.startswith("decoder/") else frames[row]
            own[name] = values[row, :places]
            if name == "attention":
                own[name] = own[name][..., :places]
        yield int(ids[row]), float(speeds[row]), own


def _description(
    config: Mapping[str, Any], corpus: Corpus, model: Taught, meta: Meta, top_k: int
) -> dict[str, Any]:
    """Of what, and by whom, lessons are."""
    chosen = TeacherConfig.parse(config)
    teachers = []
    for workdir, step, weight in zip(
        chosen.workdirs, meta.teacher_steps, model.weights, strict=True
    ):
        with contextlib.closing(open_checkpoints(workdir, "config.teacher.workdir")) as checkpoints:
            parts = {path.split("/")[0] for path in checkpoints.params_shapes(step)}
            prints = {part: checkpoints.fingerprint(step, part) for part in sorted(parts)}
        teachers.append({"step": step, "weight": weight, "parameters": prints})
    return {
        "teachers": teachers,
        "corpus": corpus.fingerprint,
        "layers": sorted({layer for _, layer in model.pairs}),
        "attention": model.attention,
        "top_k": top_k,
    }
