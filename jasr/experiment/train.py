"""One training run: everything that a config names, composed and set going."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import logging
from ml_collections import ConfigDict

from jasr.corpora.corpus import Corpus
from jasr.errors import HostLost
from jasr.experiment.adapt import adapt
from jasr.experiment.clusters import predicted_clusters
from jasr.experiment.config_checks import check_numbers, check_rate
from jasr.experiment.construct import construct
from jasr.experiment.data import build_targets, empty_batch
from jasr.experiment.evaluators.registry import build_evaluators, measures
from jasr.experiment.evaluators.run import Run
from jasr.experiment.lessons import open_lessons
from jasr.experiment.model import build_model
from jasr.experiment.one_training import one_training_in
from jasr.experiment.start import meta_and_plan, warm_parameters
from jasr.experiment.step import TrainingStep
from jasr.experiment.task_checks import check_taught
from jasr.experiment.tasks import open_split, tasks_of
from jasr.experiment.teacher_config import TeacherConfig, has_teacher
from jasr.experiment.teachers import taught
from jasr.experiment.training_data import open_augment, open_training
from jasr.experiment.workdir import claim
from jasr.models.adapted import merged
from jasr.pipeline.lesson_rows import LessonRows
from jasr.pipeline.loader import load_batches
from jasr.pipeline.plan import TrainPlan
from jasr.pipeline.skip_report import SkipReport
from jasr.sharding import hosts
from jasr.sharding.compile import Compiled
from jasr.sharding.memory import Memory
from jasr.sharding.placement import Placement
from jasr.tasks.targets import Targets
from jasr.training.checkpoint import (
    Checkpoints,
    has_finished,
)
from jasr.training.checkpoint_failures import DamagedCheckpoint
from jasr.training.flops import peak_flops
from jasr.training.loop import LoopConfig, train
from jasr.training.metrics import MetricsWriter, NoMetrics
from jasr.training.preemption import Preemption
from jasr.training.state import TrainState

# Keys of config.train that are not the loop's.
OTHERS_KEYS = ("compiler", "precompile", "microbatches", "keep_checkpoints", "best_by")


def train_in(workdir: str | Path, config: ConfigDict, *, data_dir: str | None) -> TrainState:
    """Trains what the config describes in the workdir, from its last whole checkpoint if any.

    Raises UserError for whatever the user can mend.
    """
    folder, config = Path(workdir), config.to_dict()
    hosts.must_agree(json.dumps(config, sort_keys=True), "the config")
    check_numbers(config)
    check_rate(config)
    corpus = open_training(config, data_dir)
    validation = open_split(config, config["splits"]["validation"], data_dir)
    with one_training_in(folder):
        claim(folder, config, resuming=has_finished(folder))
        # Closed on every way out: its threads outlive a refusal otherwise.
        checkpoints = Checkpoints(
            folder, keep=config["train"]["keep_checkpoints"], metric=config["train"]["best_by"]
        )
        with contextlib.closing(checkpoints):
            while True:
                try:
                    return _train(folder, config, corpus, validation, checkpoints, data_dir)
                except DamagedCheckpoint as damage:
                    _set_aside(checkpoints, damage)


def _set_aside(checkpoints: Checkpoints, damage: DamagedCheckpoint) -> None:
    """So that the run goes on from the checkpoint before it; raises the damage where there is none.

    Those of a teacher, or of what it starts from, are not this run's to set aside.
    """
    if damage.folder != checkpoints.folder or checkpoints.steps() == [damage.step]:
        raise damage
    aside = checkpoints.set_aside(damage.step)
    if jax.process_count() > 1:
        # The others may have read their parts of it, and go on.
        raise HostLost(f"{damage.what}: kept as {aside}")
    logging.warning("%s: kept as %s; going on from the checkpoint before it", damage.what, aside)


def _train(
    folder: Path,
    config: Mapping[str, Any],
    corpus: Corpus,
    validation: Corpus,
    checkpoints: Checkpoints,
    data_dir: str | None,
) -> TrainState:
    latest = checkpoints.latest_step()
    placement = Placement.from_config(config["mesh"])
    saved = None if latest is None else checkpoints.read_meta(latest)
    meta, plan = meta_and_plan(config, corpus, placement, saved)
    there = data_dir and str(Path(data_dir).expanduser().absolute())
    meta = dataclasses.replace(meta, data_dir=there)
    clusters, frozen, meta = predicted_clusters(meta, data_dir)
    tasks = tasks_of(meta)
    check_taught(tasks, config["objective"])
    model = build_model(config["model"], meta.tokenizer, meta.statistics, clusters, tasks)
    targets, shortest = build_targets(meta), plan.buckets[0]
    first = empty_batch(
        shortest.batch_size,
        samples=shortest.num_samples,
        tokens=shortest.num_tokens,
        targets=targets,
    )
    trained, params_of, learner, lessons = model, lambda params: params, None, None
    if config["lora"]:
        trained, base, meta = adapt(model, meta, placement)
        frozen = {**frozen, "base": base}
        params_of = jax.jit(functools.partial(merged, trained, base))
    if has_teacher(config):
        trained, found, meta = taught(model, meta, placement, clusters)
        if TeacherConfig.parse(config).lessons:
            lessons, meta = open_lessons(config, corpus, plan, trained, found, frozen, meta)
        # Validation has no lessons.
        if lessons is None or measures(config):
            frozen = {**frozen, "teacher": {name: one.load() for name, one in found.items()}}
        learner = model
    frozen = {name: _on_devices(part, placement) for name, part in frozen.items()}
    step = TrainingStep.build(config, trained, first, placement, frozen, learner)
    if latest is None:
        state = step.create(config["seed"])
        if config["init"]["workdir"] and not config["lora"]:
            state = step.start_from(warm_parameters(folder, meta, step, state), config["seed"])
    else:
        state = checkpoints.restore(latest, step.abstract)
        logging.info("resumed from step %d of %s", latest, folder)
    _introduce(state, plan, corpus)

    settings = config["train"]
    skipped = SkipReport(folder, process_index=jax.process_index())
    if hosts.is_first():
        skipped.add(plan.selection.problems)
    evaluate = build_evaluators(
        config,
        Run(
            meta=meta,
            placement=placement,
            step=step,
            model=model,
            params_of=lambda state: params_of(state.params),
            corpus=validation,
            data_dir=data_dir,
            report=lambda loaded: skipped.add(loaded.problems),
        ),
    )
    writer = MetricsWriter(folder, start_step=latest or 0) if hosts.is_first() else NoMetrics()
    batches = load_batches(
        corpus,
        plan,
        targets,
        start_step=latest or 0,
        stop_step=settings["num_steps"],
        num_workers=config["data"]["num_workers"],
        augment=open_augment(config, data_dir),
        share=placement.row_share,
        lessons=lessons,
    )
    if settings["precompile"]:
        _precompile(step.compiled, state, plan, placement, targets, lessons)
    loop = {key: value for key, value in settings.items() if key not in OTHERS_KEYS}
    preemption = Preemption()
    with preemption.watching():
        state = train(
            state,
            batches,
            config=construct(LoopConfig, loop, "config.train"),
            step=step.compiled,
            learning_rate=step.learning_rate,
            flops_of=step.model_flops,
            peak_flops=peak_flops(placement.mesh.devices),
            evaluate=evaluate,
            save=lambda state: checkpoints.save(state, meta.to_dict()),
            note=checkpoints.note,
            cut_off=hosts.from_first(
                lambda: latest is not None and not checkpoints.is_evaluated(latest)
            ),
            report=lambda loaded: skipped.add(loaded.problems),
            preempted=preemption.reached,
            processes_per_row=jax.process_count() // placement.row_share[1],
            writer=writer,
        )
    writer.close()
    return state


def _on_devices(tree: Any, placement: Placement) -> Any:
    """NumPy arrays on every device, once and not at each step; others where they are."""
    return jax.tree.map(
        lambda leaf: (
            leaf if isinstance(leaf, jax.Array) else jax.device_put(leaf, placement.replicated)
        ),
        tree,
    )


def _precompile(
    step: Compiled,
    state: TrainState,
    plan: TrainPlan,
    placement: Placement,
    targets: Targets,
    lessons: LessonRows | None,
) -> None:
    """Compiles the step for every bucket and says what memory each needs."""
    for bucket in plan.buckets:
        before = step.seconds
        rows = bucket.batch_size // placement.row_share[1]
        batch = empty_batch(
            rows,
            samples=bucket.num_samples,
            tokens=bucket.num_tokens,
            targets=targets,
            lessons=lessons.empty(bucket, rows) if lessons else {},
        )
        memory = Memory.of(step.program(state, step.place(batch)))
        hosts.say(
            f"compiled {bucket.title(plan.selection.sample_rate)} in "
            f"{step.seconds - before:.1f} s: {memory}"
        )


def _introduce(state: TrainState, plan: TrainPlan, corpus: Corpus) -> None:
    """Says what is about to be trained on what."""
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    hours = plan.selection.num_samples.sum() / plan.selection.sample_rate / 3600
    shapes = ", ".join(bucket.title(plan.selection.sample_rate) for bucket in plan.buckets)
    hosts.say(
        f"{parameters / 1e6:.2f} M parameters; {len(plan.selection)} utterances, {hours:.2f} h of "
        f"{corpus.name}; {plan.batches_per_epoch:.0f} steps an epoch in batches of {shapes}"
    )
