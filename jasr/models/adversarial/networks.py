"""What generates units from speech, and what tells them from text."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.dropout import Dropout
from jasr.layers.linear import fan_in_normal
from jasr.layers.parameter import parameter
from jasr.types import Padded


class MaskedConvolution(nn.Module):
    """A convolution over time that sees zeros wherever nothing is real."""

    features: int
    width: int
    axes: tuple[str, str]

    @nn.compact
    def __call__(self, x: Padded) -> Float[Array, "batch frames features"]:
        values = jnp.where(x.mask[..., None], x.values, 0)
        kernel = parameter(
            self,
            "kernel",
            fan_in_normal(2),
            (self.width, values.shape[-1], self.features),
            ("kernel", *self.axes),
        )
        bias = parameter(self, "bias", nn.initializers.zeros, (self.features,), self.axes[1:])
        y = jax.lax.conv_general_dilated(
            values, kernel, (1,), "SAME", dimension_numbers=("NTC", "TIO", "NTC")
        )
        return y + bias


class Generator(nn.Module):
    """Logits of a unit for each segment of speech, by one convolution.

    Baevski et al. 2021, "Unsupervised speech recognition", section 4.1.
    """

    vocab_size: int
    width: int = 5
    dropout: float = 0.1

    @nn.compact
    def __call__(self, segments: Padded, *, train: bool) -> Padded:
        x = Dropout(self.dropout)(segments.values, train=train)
        convolve = MaskedConvolution(
            self.vocab_size, self.width, ("features", "vocab"), name="convolution"
        )
        return Padded(convolve(Padded(x, segments.mask)), segments.mask)


class Discriminator(nn.Module):
    """How much a sequence of distributions over units looks like text: a score for each.

    Baevski et al. 2021, "Unsupervised speech recognition", section 4.2.
    """

    dim: int = 256
    width: int = 6
    depth: int = 2

    @nn.compact
    def __call__(self, units: Padded) -> Float[Array, " batch"]:
        x = units
        axes = ("vocab", "embed")
        for number in range(self.depth):
            convolve = MaskedConvolution(self.dim, self.width, axes, name=f"convolution_{number}")
            x = Padded(jax.nn.gelu(convolve(x)), x.mask)
            axes = ("features", "embed")
        last = MaskedConvolution(1, self.width, ("embed", "features"), name="score")
        score_BT = last(x)[..., 0]
        count_B = jnp.maximum(jnp.sum(x.mask, axis=1), 1)
        return jnp.sum(jnp.where(x.mask, score_BT, 0), axis=1) / count_B
