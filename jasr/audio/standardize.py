"""Features of mean 0 and variance 1 over an utterance."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

VARIANCE_FLOOR = 1e-5


def standardize(
    x: Float[Array, "batch frames features"], mask: Bool[Array, "batch frames"]
) -> Float[Array, "batch frames features"]:
    """Each feature with mean 0 and variance 1 over an utterance's real frames.

    The others are shifted and scaled alike; 1e-5 is added to the variance.
    """
    real_BT1 = mask[..., None]
    count_B11 = jnp.maximum(jnp.sum(real_BT1, axis=1, keepdims=True), 1)
    mean_B1F = jnp.sum(x, axis=1, keepdims=True, where=real_BT1) / count_B11
    centred_BTF = x - mean_B1F
    variance_B1F = jnp.sum(centred_BTF**2, axis=1, keepdims=True, where=real_BT1) / count_B11
    return centred_BTF / jnp.sqrt(variance_B1F + VARIANCE_FLOOR)
