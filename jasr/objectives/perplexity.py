"""How many of its outcomes a distribution uses."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def perplexity(weights: Float[Array, "... codes"]) -> Float[Array, "..."]:
    """exp of the entropy of what the weights, normalised, are a distribution of."""
    p = weights / jnp.maximum(jnp.sum(weights, axis=-1, keepdims=True), 1e-9)
    return jnp.exp(-jnp.sum(p * jnp.log(jnp.maximum(p, 1e-9)), axis=-1))
