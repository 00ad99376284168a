"""Parameters of few bits, and masters of theirs in float32 that the optimizer moves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class MastersState(NamedTuple):
    """masters: the parameters in float32; inner: the state of what moves them."""

    masters: Any
    inner: Any


def with_masters(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer on float32 masters: its updates bring parameters to the masters' rounding.

    Steps that are smaller than the parameters can show add up in the masters.
    Micikevicius et al. 2018, "Mixed precision training", section 3.1.
    """

    def init(params: Any) -> MastersState:
        masters = optax.tree.cast(params, jnp.float32)
        return MastersState(masters, optimizer.init(masters))

    def update(updates: Any, state: MastersState, params: Any) -> tuple[Any, MastersState]:
        updates, inner = optimizer.update(updates, state.inner, state.masters)
        masters = optax.apply_updates(state.masters, updates)
        to_masters = jax.tree.map(jnp.subtract, masters, optax.tree.cast(params, jnp.float32))
        return to_masters, MastersState(masters, inner)

    return optax.GradientTransformation(init, update)
