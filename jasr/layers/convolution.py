"""Depthwise convolution, and the Conformer's convolution module around it."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from jasr.layers.dropout import Dropout
from jasr.layers.linear import Linear, fan_in_normal, layer_norm
from jasr.layers.parameter import parameter


class ConvolutionModule(nn.Module):
    """Gated pointwise, depthwise over time, pointwise.

    Gulati et al. 2020, "Conformer", section 2.2, with a layer norm for its batch norm: a frame
    must not depend on the batch it travelled in, nor on padding.
    """

    kernel_size: int
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch frames embed"],
        mask: Bool[Array, "batch frames"],
        *,
        train: bool,
    ) -> Float[Array, "batch frames embed"]:
        dim = x.shape[-1]

        def pointwise(name: str, in_axis: str, out_axis: str) -> Linear:
            return Linear((dim,), (in_axis,), (out_axis,), dtype=self.dtype, name=name)

        gate = nn.sigmoid(pointwise("gate", "embed", "mlp")(x))
        y = jnp.where(mask[..., None], gate * pointwise("up", "embed", "mlp")(x), 0)
        y = DepthwiseConvolution(self.kernel_size, self.dtype, name="depthwise")(y)
        y = nn.silu(layer_norm(dtype=self.dtype, name="norm", axis="mlp")(y))
        return Dropout(self.dropout)(pointwise("down", "mlp", "embed")(y), train=train)


class DepthwiseConvolution(nn.Module):
    """Every channel convolved over time with a kernel of its own."""

    kernel_size: int
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch frames channels"]
    ) -> Float[Array, "batch frames channels"]:
        channels = x.shape[-1]
        kernel_KC = parameter(
            self, "kernel", fan_in_normal(1), (self.kernel_size, channels), ("kernel", "mlp")
        )
        bias_C = parameter(self, "bias", nn.initializers.zeros, (channels,), ("mlp",))
        y = depthwise_convolution(x.astype(self.dtype), kernel_KC.astype(self.dtype))
        return y + bias_C.astype(y.dtype)


def depthwise_convolution(
    x: Float[Array, "batch frames channels"], kernel: Float[Array, "width channels"]
) -> Float[Array, "batch frames channels"]:
    """Each frame's neighbours, weighted by channel; zeros beyond the ends."""
    return jax.lax.platform_dependent(x, kernel, cpu=_shift_and_sum, default=_grouped_convolution)


def _shift_and_sum(x_BTC: jax.Array, kernel_KC: jax.Array) -> jax.Array:
    """One fused loop; XLA's grouped convolution has no fast path on CPU."""
    width, num_frames = len(kernel_KC), x_BTC.shape[1]
    before = (width - 1) // 2
    padded = jnp.pad(x_BTC, ((0, 0), (before, width - 1 - before), (0, 0)))
    shifted = (padded[:, k : k + num_frames] * kernel_KC[k] for k in range(width))
    return sum(shifted, start=jnp.zeros_like(x_BTC))


def _grouped_convolution(x_BTC: jax.Array, kernel_KC: jax.Array) -> jax.Array:
    width, channels = kernel_KC.shape
    before = (width - 1) // 2
    return jax.lax.conv_general_dilated(
        x_BTC,
        kernel_KC[:, None],
        window_strides=(1,),
        padding=[(before, width - 1 - before)],
        dimension_numbers=("NHC", "HIO", "NHC"),
        feature_group_count=channels,
    )
