"""Dropout, and layer drop."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.errors import UserError


class Dropout(nn.Module):
    """Zeroes each value with probability `rate` and scales the others by 1 / (1 - rate).

    Draws from the "dropout" stream, in training only. Raises UserError for a rate outside [0, 1).
    Srivastava et al. 2014, "Dropout", section 4.
    """

    rate: float

    def __call__(self, x: Float[Array, "..."], *, train: bool) -> Float[Array, "..."]:
        if not 0.0 <= self.rate < 1.0:
            raise UserError(f"dropout: is {self.rate}; it must be at least 0 and less than 1")
        if not train or self.rate == 0.0:
            return x
        threshold = min(round(self.rate * 2**16), 2**16 - 1)
        keep = _random_halfwords(self.make_rng("dropout"), x.shape) >= threshold
        return jnp.where(keep, x / (1.0 - self.rate), 0).astype(x.dtype)


def drop_layer(layer: nn.Module, new: Array, old: Array, *, rate: float, train: bool) -> Array:
    """The layer's result, or with probability `rate` in training what went into it.

    Fan et al. 2020, "Reducing transformer depth on demand with structured dropout".
    """
    if not train or rate == 0.0:
        return new
    keep = jax.random.bernoulli(layer.make_rng("dropout"), 1.0 - rate)
    return jnp.where(keep, new, old)


def _random_halfwords(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform uint16: two from every word drawn, since drawing is what dropout's time goes to."""
    words = jax.random.bits(key, (*shape[:-1], (shape[-1] + 1) // 2), jnp.uint32)
    halfwords = jax.lax.bitcast_convert_type(words, jnp.uint16)
    return halfwords.reshape(*shape[:-1], -1)[..., : shape[-1]]
