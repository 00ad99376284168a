"""config.objective: NAME -> {name, weight, fields}."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import optax

from jasr.errors import UserError, nearest
from jasr.experiment.construct import construct_named
from jasr.objectives.adversarial import (
    DiscriminatorLoss,
    GeneratorLoss,
    MeanOutput,
    UnitDiversity,
)
from jasr.objectives.chunked_cross_entropy import ChunkedCrossEntropy
from jasr.objectives.classification import Classification
from jasr.objectives.contrastive import CodeDiversity, ContrastiveLoss
from jasr.objectives.cross_entropy import CrossEntropy
from jasr.objectives.ctc import CTC
from jasr.objectives.distillation.attention_maps import AttentionMaps
from jasr.objectives.distillation.codebook_prediction import CodebookPrediction
from jasr.objectives.distillation.ctc_frames import CTCFrameDistillation
from jasr.objectives.distillation.ctc_paths import CTCPathDistillation
from jasr.objectives.distillation.decoder import DecoderDistillation
from jasr.objectives.distillation.frame_relations import FrameRelations
from jasr.objectives.distillation.hidden_states import HiddenStates
from jasr.objectives.masked_prediction import MaskedPrediction
from jasr.objectives.masked_regression import MaskedRegression
from jasr.objectives.objective import Objectives, Schedule, Weighted

# Those that read a teacher's outputs, which only a training has.
OF_A_TEACHER = {
    "decoder_distillation": DecoderDistillation,
    "ctc_frame_distillation": CTCFrameDistillation,
    "ctc_path_distillation": CTCPathDistillation,
    "hidden_states": HiddenStates,
    "frame_relations": FrameRelations,
    "attention_maps": AttentionMaps,
    "codebook_prediction": CodebookPrediction,
}
OBJECTIVES = {
    **OF_A_TEACHER,
    "ctc": CTC,
    "cross_entropy": CrossEntropy,
    "chunked_cross_entropy": ChunkedCrossEntropy,
    "masked_prediction": MaskedPrediction,
    "masked_regression": MaskedRegression,
    "contrastive": ContrastiveLoss,
    "code_diversity": CodeDiversity,
    "discriminator": DiscriminatorLoss,
    "generator": GeneratorLoss,
    "mean_output": MeanOutput,
    "unit_diversity": UnitDiversity,
    "classification": Classification,
}
SCHEDULES = {
    "linear": optax.linear_schedule,
    "cosine": optax.cosine_decay_schedule,
    "polynomial": optax.polynomial_schedule,
}

# Fields of objectives that may follow one, beside the weight.
SCHEDULED = ("temperature",)
LAST_STEP = 2**30


def build_objective(config: Mapping[str, Any], tasks: Sequence[str] = ()) -> Objectives:
    """The weighted sum that config.objective describes.

    A weight, or another number, is a number or {"name": an optax schedule, its arguments} of the
    step; a term with a task is for the rows of that task alone.

    tasks: their names, in the order of their numbers.
    Raises UserError for an unknown objective, key or schedule.
    """
    if not config:
        raise UserError("config.objective is empty: give at least one objective")
    terms = {}
    for name, section in config.items():
        where = f"config.objective.{name}"
        fields = {key: value for key, value in section.items() if key not in ("weight", "task")}
        scheduled = {
            key: _number_or_schedule(value, f"{where}.{key}")
            for key, value in fields.items()
            if isinstance(value, Mapping)
        }
        for key in scheduled:
            if key not in SCHEDULED:
                raise UserError(f"{where}.{key} is a section: only {SCHEDULED[0]} has a schedule")
        # Built as it ends too, so that the objective's own checks see those numbers.
        construct_named(OBJECTIVES, _at(fields, scheduled, LAST_STEP), where)
        terms[name] = Weighted(
            objective=construct_named(OBJECTIVES, _at(fields, scheduled, 0), where),
            weight=_number_or_schedule(section.get("weight", 1.0), f"{where}.weight"),
            task=_number(section["task"], tasks, f"{where}.task") if "task" in section else None,
            scheduled=scheduled,
        )
    return Objectives(terms)


def _at(fields: Mapping[str, Any], scheduled: Mapping[str, Schedule], step: int) -> dict[str, Any]:
    """The fields, with the numbers that their schedules have at a step."""
    return {**fields, **{key: float(value(jnp.asarray(step))) for key, value in scheduled.items()}}


def _number(task: str, tasks: Sequence[str], where: str) -> int:
    if task not in tasks:
        raise UserError(f"{where} {task!r} is no key of config.tasks: {nearest(task, tasks)}")
    return tasks.index(task)


def _number_or_schedule(value: Any, where: str) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, Mapping):
        raise UserError(f"{where} is {value!r}: expected a number, or a section with a name")
    name = value.get("name")
    if name not in SCHEDULES:
        raise UserError(f"{where}.name {name!r} is unknown: {nearest(str(name), SCHEDULES)}")
    arguments = {key: argument for key, argument in value.items() if key != "name"}
    try:
        return SCHEDULES[name](**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: optax's {name} schedule says: {error}") from error
