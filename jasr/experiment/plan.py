"""What training a config would take on given devices: the true step, compiled and not run."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Int

from jasr.corpora.corpus import Corpus, NotPrepared
from jasr.errors import UserError, first_line
from jasr.experiment.clusters import describe
from jasr.experiment.data import empty_batch, needs_statistics, order
from jasr.experiment.model import build_model, needs_text
from jasr.experiment.step import TrainingStep
from jasr.experiment.tasks import build_tasks
from jasr.experiment.teacher_config import has_teacher, row_parts
from jasr.experiment.teachers import taught, teacher_tokenizer
from jasr.experiment.training_data import open_training
from jasr.experiment.workdir import Meta
from jasr.models.pretraining.clusters import Clusters
from jasr.pipeline.buckets import Bucket
from jasr.pipeline.usable import Selection, indexed_samples, select_audio
from jasr.planning.hlo import Program
from jasr.planning.roofline import Cost
from jasr.planning.traffic import collective_bytes, memory_bytes
from jasr.sharding.chips import Chip, chip_of
from jasr.sharding.memory import Memory
from jasr.sharding.placement import Placement
from jasr.tasks.targets import NoTargets, Targets
from jasr.tasks.task import Task
from jasr.tasks.task_targets import TaskTargets
from jasr.text.tokenizer import Tokenizer, tokenizer_from_dict
from jasr.training.flops import matmul_flops
from jasr.types import Batch

# What stands for a corpus that is not prepared.
ASSUMED_UTTERANCES = 20_000
ASSUMED_CLASSES = 64
CHARACTERS = 32
CHARACTERS_PER_SECOND, PIECES_PER_SECOND = 15, 5
# How the TPU compiler says that it cannot do with the memory there is.
EXCESS = re.compile(r"\(([\d.]+)G\) exceeds available HBM \(([\d.]+)G\)")


@dataclasses.dataclass(frozen=True)
class PlannedBucket:
    """One bucket's step on each device.

    title:         its shape, in people's units.
    model_flops:   what the mathematics asks of all devices together.
    counted_flops: XLA's own count, on each device, which takes the body of a loop once.
    audio_seconds: of the batch, padding included.
    """

    title: str
    audio_seconds: float
    memory: Memory
    cost: Cost
    model_flops: float
    counted_flops: float


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """What `plan_training` found.

    durations: where the lengths of utterances come from.
    """

    parameters: int
    devices: int
    device_kind: str
    chip: Chip | None
    durations: str
    buckets: Sequence[PlannedBucket]


class DoesNotFit(UserError):
    """A step that needs more memory than the device has: by how much, and what to change.

    needed, there: bytes.
    """

    def __init__(self, config: Mapping[str, Any], shape: str, *, needed: float, there: float):
        seconds = config["data"]["batch_seconds"] * there / needed
        super().__init__(
            f"a step of {shape} needs {needed / 1e9:.2f} GB of the device's {there / 1e9:.2f} GB, "
            f"{(needed - there) / 1e9:.2f} GB too much: lower config.data.batch_seconds to some "
            f"{seconds:,.0f}, raise config.train.microbatches, keep less for the gradient "
            f"(config.model.encoder.remat, decoder.remat: attended, full), or split the parameters "
            f"(config.mesh.preset fsdp, config.mesh.fsdp=0)"
        )


@dataclasses.dataclass(frozen=True)
class _Vocabulary:
    """In a tokenizer's place."""

    vocab_size: int
    start_id: int = 1

    def names(self) -> list[str]:
        return [" "] * self.vocab_size


def plan_training(
    config: Mapping[str, Any], devices: Sequence[Any], data_dir: str | None
) -> TrainingPlan:
    """Compiles the step of every bucket for the devices, which need not be here.

    Lengths are those of the prepared corpus; where there is none, uniform up to
    config.data.max_seconds. Raises UserError.
    """
    if config["lora"] or config["teacher"].get("lessons"):
        raise UserError(
            "low-rank changes and kept lessons are not planned: leave out config.lora and "
            "config.teacher.lessons; without them a step needs more"
        )
    placement = Placement.from_config(config["mesh"], devices)
    selection, durations = _selection(config, data_dir)
    plan = order(
        config["data"],
        selection,
        seed=config["seed"],
        multiple_of=placement.row_shards * row_parts(config),
    )
    # That of the teacher, whose tokens its student has.
    saved = teacher_tokenizer(config)
    tokenizer = tokenizer_from_dict(saved) if saved else None
    vocabulary = tokenizer or _Vocabulary(config["text"]["vocab_size"] or CHARACTERS)
    log_mel = config["model"].get("log_mel", {})
    num_mels = log_mel.get("num_mels", 80)
    any_figures = {"mean": [0.0] * num_mels, "std": [1.0] * num_mels}
    statistics = any_figures if needs_statistics(log_mel) else None
    clusters, frozen = _clusters(config, statistics, placement)
    tasks = _tasks(config)
    model = build_model(config["model"], vocabulary, statistics, clusters, tasks)
    targets = TaskTargets(tasks, cast(Tokenizer, vocabulary), str) if tasks else NoTargets()
    first = _batch(plan.buckets[0], placement, targets)
    learner = None
    if has_teacher(config):
        meta = Meta(config, tokenizer, statistics, plan="", corpus="", rows=1, data_dir=None)
        learner, (model, found, _) = model, taught(model, meta, placement, clusters)
        frozen = {**frozen, "teacher": {name: one.shapes for name, one in found.items()}}
    step = TrainingStep.build(config, model, first, placement, frozen, learner)
    return TrainingPlan(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(step.abstract.params)),
        devices=placement.mesh.size,
        device_kind=devices[0].device_kind,
        chip=chip_of(devices[0]),
        durations=durations,
        buckets=[
            _planned(config, step, bucket, placement, _batch(bucket, placement, targets))
            for bucket in plan.buckets
        ],
    )


def _tasks(config: Mapping[str, Any]) -> dict[str, Task]:
    """The tasks, with as many classes as are assumed where the data is to say how many."""
    assumed = [str(number) for number in range(ASSUMED_CLASSES)]
    names = {name: assumed for name, task in build_tasks(config, {}).items() if not task.names}
    return build_tasks(config, names)


def _clusters(
    config: Mapping[str, Any], statistics: Mapping[str, list[float]] | None, placement: Placement
) -> tuple[Clusters | None, Mapping[str, Any]]:
    """The clusters that a model predicts, and the shapes of what of them is frozen."""
    if not config["clusters"]:
        return None, {}
    clusters, variables = describe(config, statistics)
    width = clusters.describe.num_features
    books = clusters.num_codebooks, clusters.num_clusters, width
    shapes = {"mean": (width,), "std": (), "centroids": books}
    found = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}
    placed = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placement.replicated),
        {**variables, **found},
    )
    return clusters, {"clusters": placed}


def _selection(config: Mapping[str, Any], data_dir: str | None) -> tuple[Selection, str]:
    rate, data = config["corpus"]["sample_rate"], config["data"]
    try:
        corpus = open_training(config, data_dir)
    except NotPrepared:
        longest = data["max_seconds"]
        seconds = np.linspace(data["min_seconds"], longest, ASSUMED_UTTERANCES)
        samples = np.round(seconds * rate).astype(np.int64)
        origin = f"assumed uniform up to {longest:g} s, as no corpus {config['corpus']['name']!r} "
        origin += "is prepared here"
    else:
        samples = _lengths(config, corpus)
        origin = f"those of {corpus.name}"
    a_second = PIECES_PER_SECOND if config["text"]["vocab_size"] else CHARACTERS_PER_SECOND
    tokens = np.minimum(np.ceil(samples / rate * a_second).astype(np.int64), data["max_tokens"])
    starts = np.zeros(len(samples), np.int64)
    return Selection(np.arange(len(samples)), samples, tokens, starts, rate), origin


def _lengths(config: Mapping[str, Any], corpus: Corpus) -> Int[np.ndarray, " utterances"]:
    """In samples, of what would be trained on."""
    shortest, longest = config["data"]["min_seconds"], config["data"]["max_seconds"]
    if not needs_text(config["model"]):
        return select_audio(corpus, min_seconds=shortest, max_seconds=longest).num_samples
    rate = corpus.sample_rate
    samples = np.asarray([indexed_samples(u, rate) for u in corpus.utterances])
    return samples[(samples >= shortest * rate) & (samples <= longest * rate)]


def _batch(bucket: Bucket, placement: Placement, targets: Targets) -> Batch:
    """The shapes of a bucket's batch, and where they lie."""
    row = empty_batch(1, samples=bucket.num_samples, tokens=bucket.num_tokens, targets=targets)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            (bucket.batch_size, *leaf.shape[1:]), leaf.dtype, sharding=placement.rows
        ),
        row,
    )


def _planned(
    config: Mapping[str, Any],
    step: TrainingStep,
    bucket: Bucket,
    placement: Placement,
    batch: Batch,
) -> PlannedBucket:
    sample_rate = config["corpus"]["sample_rate"]
    title = bucket.title(sample_rate)
    try:
        compiled = step.compiled.program(step.abstract, batch)
    except jax.errors.JaxRuntimeError as error:
        excess = EXCESS.search(str(error))
        if excess is None:
            raise
        needed, there = (float(size) * 2**30 for size in excess.groups())
        raise DoesNotFit(config, title, needed=needed, there=there) from error
    try:
        program = Program.parse(compiled.as_text() or "")
    except jax.errors.JaxRuntimeError as error:
        raise UserError(
            f"a step of {title} is compiled, but XLA cannot write out what it made, so nothing can "
            f"be counted ({first_line(error)}): choose another config.data.batch_seconds "
            f"or config.mesh"
        ) from error
    with placement.active():
        carried_out = matmul_flops(
            lambda state, frozen, batch: step.take(state, batch, frozen=frozen),
            step.abstract,
            step.frozen,
            batch,
        )
    analysis: Any = compiled.cost_analysis()
    return PlannedBucket(
        title=title,
        audio_seconds=bucket.batch_size * bucket.num_samples / sample_rate,
        memory=Memory.of(compiled),
        cost=Cost(
            flops=carried_out / placement.mesh.size,
            memory=memory_bytes(program),
            collectives=collective_bytes(program),
        ),
        model_flops=step.model_flops(batch),
        counted_flops=analysis["flops"],
    )
