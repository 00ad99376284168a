"""Vectors of length one."""

import jax.numpy as jnp
from jaxtyping import Array, Float

EPSILON = 1e-8


def unit(x: Float[Array, "... features"]) -> Float[Array, "... features"]:
    """x / |x| along the last axis, in float32; zeros stay zeros, and so does their gradient."""
    x = x.astype(jnp.float32)
    square = jnp.sum(x**2, axis=-1, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(square, EPSILON**2))
