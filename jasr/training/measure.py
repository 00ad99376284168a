"""What the objectives say of a batch that nothing is learned from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax

from jasr.objectives.objective import Objectives
from jasr.training.average import average_of
from jasr.training.state import TrainState
from jasr.types import Batch, Sum


def measure(
    state: TrainState,
    frozen: Mapping[str, Any],
    batch: Batch,
    *,
    model: nn.Module,
    objective: Objectives,
) -> dict[str, Sum]:
    """Every raw term, without dropout; what a model draws, it draws alike at every step."""
    outputs: Any = model.apply(
        variables_of(state, frozen), batch, train=False, rngs={"augment": jax.random.key(0)}
    )
    return objective.sums(outputs, batch, state.step)


def variables_of(
    state: TrainState, frozen: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """All that a model reads: its parameters, what is frozen, the step ("progress"), and the
    average of the parameters ("average"), where one is kept."""
    variables = {"params": state.params, **frozen, "progress": {"step": state.step}}
    average = average_of(state.opt_state)
    return variables if average is None else variables | {"average": average}
