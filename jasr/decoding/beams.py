"""Rows of beams, picked within each utterance."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped


def take_beams(
    values: Shaped[Array, "batch beams *rest"], index: Int[Array, "batch kept"]
) -> Shaped[Array, "batch kept *rest"]:
    """values[b, index[b, k]] for each utterance b and place k."""
    index = index.reshape(index.shape + (1,) * (values.ndim - 2))
    taken: jax.Array = jnp.take_along_axis(values, index, axis=1)
    return taken
