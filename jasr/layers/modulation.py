"""Scaling and shifting of activations by a vector."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.parameter import parameter


class Modulation(nn.Module):
    """x * (1 + scale) + shift, both linear in a row's condition; nothing changes at first.

    Perez et al. 2018, "FiLM: visual reasoning with a general conditioning layer", equation 2.
    """

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch length embed"],
        condition: Float[Array, "batch features"],
    ) -> Float[Array, "batch length embed"]:
        kernel = parameter(
            self,
            "kernel",
            nn.initializers.zeros,
            (condition.shape[-1], 2, x.shape[-1]),
            ("features", "kernel", "embed"),
        )
        scale_and_shift = jnp.einsum("bf,fse->sbe", condition, kernel)[:, :, None]
        scale, shift = scale_and_shift.astype(x.dtype)
        return x * (1 + scale) + shift
