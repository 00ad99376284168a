"""Parameters that are trained from a given step on only."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jasr.training.masked import is_masked


class UnfreezingState(NamedTuple):
    """count: steps taken; inner: the optimizer's state."""

    count: Any
    inner: Any


def with_unfreezing(
    optimizer: optax.GradientTransformation, starts: Any
) -> optax.GradientTransformation:
    """The optimizer, to which a parameter's gradient is zero and which does not move it, before
    the step that `starts`, a tree of integers like the parameters, has for it, or for each layer.

    Howard & Ruder 2018, "Universal language model fine-tuning", section 3.3.
    """

    def init(params: Any) -> UnfreezingState:
        return UnfreezingState(jnp.zeros((), jnp.int32), optimizer.init(params))

    def update(updates: Any, state: UnfreezingState, params: Any) -> tuple[Any, UnfreezingState]:
        def gate(tree: Any) -> Any:
            return jax.tree.map(open_or_zero, tree, starts, is_leaf=is_masked)

        def open_or_zero(leaf: Any, start: Any) -> Any:
            if is_masked(leaf) or not np.any(start):
                return leaf
            return jnp.where(state.count >= start, leaf, 0)

        updates, inner = optimizer.update(gate(updates), state.inner, params)
        return gate(updates), UnfreezingState(state.count + 1, inner)

    return optax.GradientTransformation(init, update)
