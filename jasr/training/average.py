"""A moving average of the parameters, kept in the optimizer's state."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class Average:
    """average <- decay * average + (1 - decay) * parameters, after every step.

    The decay goes linearly from `decay` to `final_decay` in `decay_steps` steps.
    Baevski et al. 2022, "data2vec", section 3.2, where the feature encoder is not averaged.
    """

    decay: float
    final_decay: float
    decay_steps: int

    def decay_at(self, step: Array) -> Float[Array, ""]:
        return optax.linear_schedule(self.decay, self.final_decay, self.decay_steps)(step)


class AverageState(NamedTuple):
    """count: steps taken; average: float32, of each parameter; inner: the optimizer's state."""

    count: Any
    average: Any
    inner: Any


def with_average(
    optimizer: optax.GradientTransformation, average: Average
) -> optax.GradientTransformation:
    """The optimizer, with an average of the parameters that it makes."""

    def init(params: Any) -> AverageState:
        first = optax.tree.cast(params, jnp.float32)
        # Its own arrays: a step that is given the state to reuse is given each buffer once.
        first = jax.tree.map(jnp.copy, first)
        return AverageState(jnp.zeros((), jnp.int32), first, optimizer.init(params))

    def update(updates: Any, state: AverageState, params: Any) -> tuple[Any, AverageState]:
        updates, inner = optimizer.update(updates, state.inner, params)
        decay = average.decay_at(state.count)
        moved = jax.tree.map(
            lambda mean, new: decay * mean + (1 - decay) * new.astype(jnp.float32),
            state.average,
            optax.apply_updates(params, updates),
        )
        return updates, AverageState(state.count + 1, moved, inner)

    return optax.GradientTransformation(init, update)


def average_of(opt_state: Any) -> Any:
    """The average in an optimizer's state; None where it keeps none."""
    return optax.tree.get(opt_state, "average")
