"""config.objective: NAME -> {name, weight, fields}."""

from collections.abc import Mapping, Sequence
from typing import Any

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
from jasr.objectives.masked_prediction import MaskedPrediction
from jasr.objectives.masked_regression import MaskedRegression
from jasr.objectives.objective import Objectives, Schedule, Weighted

OBJECTIVES = {
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
WEIGHT_SCHEDULES = {
    "linear": optax.linear_schedule,
    "cosine": optax.cosine_decay_schedule,
    "polynomial": optax.polynomial_schedule,
}


def build_objective(config: Mapping[str, Any], tasks: Sequence[str] = ()) -> Objectives:
    """The weighted sum that config.objective describes.

    A weight is a number, or {"name": an optax schedule, its arguments} of the step; a term with a
    task is for the rows of that task alone.

    tasks: their names, in the order of their numbers.
    Raises UserError for an unknown objective, key or schedule.
    """
    if not config:
        raise UserError("config.objective is empty: give at least one objective")
    terms = {}
    for name, section in config.items():
        where = f"config.objective.{name}"
        fields = {key: value for key, value in section.items() if key not in ("weight", "task")}
        terms[name] = Weighted(
            objective=construct_named(OBJECTIVES, fields, where),
            weight=_weight(section.get("weight", 1.0), f"{where}.weight"),
            task=_number(section["task"], tasks, f"{where}.task") if "task" in section else None,
        )
    return Objectives(terms)


def _number(task: str, tasks: Sequence[str], where: str) -> int:
    if task not in tasks:
        raise UserError(f"{where} {task!r} is no key of config.tasks: {nearest(task, tasks)}")
    return tasks.index(task)


def _weight(value: Any, where: str) -> float | Schedule:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    name = value["name"]
    if name not in WEIGHT_SCHEDULES:
        raise UserError(f"{where}.name {name!r} is unknown: {nearest(name, WEIGHT_SCHEDULES)}")
    arguments = {key: argument for key, argument in value.items() if key != "name"}
    try:
        return WEIGHT_SCHEDULES[name](**arguments)
    except TypeError as error:
        raise UserError(f"{where}: optax's {name} schedule says: {error}") from error
