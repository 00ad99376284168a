"""The objective contract and the one combinator.

    Outputs, Batch ──▶ objective ──▶ Terms(loss, metrics) ──▶ Objectives ──▶ one scalar
                                     Sum(value, count)        weight · value ÷ count

An objective returns sums and counts, never a mean. Counts depend on the batch alone, so the
division happens once, over the whole batch, however it was split over devices or microbatches.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.types import Batch, Outputs, Padded, Sum

Schedule = Callable[[Array], Float[Array, ""]]


@struct.dataclass
class Terms:
    """What one objective measures: `loss` is differentiated, `metrics` are only logged."""

    loss: Sum
    metrics: Mapping[str, Sum] = struct.field(default_factory=dict)


@runtime_checkable
class Objective(Protocol):
    """Data and a pure function; its fields name the outputs and targets it reads."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        """Sums over the real positions of the batch, with their counts."""
        ...


@dataclasses.dataclass(frozen=True)
class Weighted:
    """An objective and its weight: a number or an optax schedule of the step.

    task:      the number of the task whose rows it is for; None: for all.
    scheduled: schedules of the objective's own fields, by name.
    """

    objective: Any
    weight: float | Schedule = 1.0
    task: int | None = None
    scheduled: Mapping[str, Schedule] = dataclasses.field(default_factory=dict)

    def weight_at(self, step: Array) -> Float[Array, ""]:
        weight = self.weight(step) if callable(self.weight) else self.weight
        return jnp.asarray(weight, jnp.float32)

    def objective_at(self, step: Array) -> Objective:
        now = {name: schedule(step) for name, schedule in self.scheduled.items()}
        return dataclasses.replace(self.objective, **now) if now else self.objective


@dataclasses.dataclass(frozen=True)
class Objectives:
    """The weighted sum of named objectives."""

    terms: Mapping[str, Weighted]

    def sums(self, outputs: Outputs, batch: Batch, step: Array) -> dict[str, Sum]:
        """Every raw term at a step: `NAME` for a loss, `NAME/METRIC` for what is only logged."""
        sums = {}
        for name, term in self.terms.items():
            rows = batch if term.task is None else rows_of_task(batch, term.task)
            measured = term.objective_at(step)(outputs, rows)
            sums[name] = measured.loss
            sums |= {f"{name}/{metric}": value for metric, value in measured.metrics.items()}
        return sums

    def weights(self, step: Array) -> dict[str, Float[Array, ""]]:
        """The weight of each loss at a step."""
        return {name: term.weight_at(step) for name, term in self.terms.items()}

    def losses(
        self,
        sums: Mapping[str, Sum],
        counts: Mapping[str, Float[Array, ""]],
        weights: Mapping[str, Float[Array, ""]],
    ) -> Float[Array, " terms"]:
        """weight · value / count of each loss, with the counts of the whole batch."""
        losses = [
            weights[name] * sums[name].value / jnp.maximum(jax.lax.stop_gradient(counts[name]), 1)
            for name in self.terms
        ]
        return jnp.stack(losses)


def rows_of_task(batch: Batch, task: int) -> Batch:
    """The batch with every row masked of which something else is asked."""
    asked_B = batch.example_mask & (batch.targets["task"].values[:, 0] == task)
    targets = {
        name: dataclasses.replace(target, mask=target.mask & asked_B[:, None])
        for name, target in batch.targets.items()
    }
    return dataclasses.replace(batch, targets=targets, example_mask=asked_B)


def sum_over_real(values: Array, where: Padded, batch: Batch) -> Sum:
    """Of values [batch, places], where places and rows are real."""
    return Sum.of(values, where.mask & batch.example_mask[:, None])


def read_output(outputs: Outputs, name: str, reader: str) -> Padded:
    """The output an objective names; raises UserError where the model does not give it."""
    if name not in outputs:
        raise UserError(
            f"objective {reader!r} reads the model output {name!r}, but this model gives "
            f"{', '.join(sorted(outputs))}: add the head to config.model or drop the objective"
        )
    return outputs[name]


def read_target(batch: Batch, name: str, reader: str) -> Padded:
    """The target an objective names; raises UserError where the batch has none of that name."""
    if name not in batch.targets:
        raise UserError(
            f"objective {reader!r} reads the target {name!r}, but these batches have "
            f"{', '.join(sorted(batch.targets)) or 'none'}: mend its target in config.objective, "
            f"or add the task to config.tasks"
        )
    return batch.targets[name]
