"""Linear maps over named axes, and the norm."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.constrain import constrain
from jasr.layers.parameter import parameter


class Linear(nn.Module):
    """Contracts the trailing axes of its input with a kernel; float32 parameters.

    features:   sizes of the output's new trailing axes.
    in_axes:    logical names of the trailing input axes that are contracted.
    out_axes:   logical names of the new axes, one for each size in `features`.
    dtype:      of the product and the result.
    out_dtype:  of the result, where it is to be more precise than the product.
    std:        standard deviation of the kernel at first, instead of `fan_in_normal`'s.
    """

    features: tuple[int, ...]
    in_axes: tuple[str, ...]
    out_axes: tuple[str, ...]
    use_bias: bool = True
    dtype: str = "float32"
    out_dtype: str | None = None
    std: float | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        num_in = len(self.in_axes)
        kernel = parameter(
            self,
            "kernel",
            fan_in_normal(num_in) if self.std is None else nn.initializers.normal(self.std),
            x.shape[-num_in:] + self.features,
            self.in_axes + self.out_axes,
        )
        contracted = tuple(range(x.ndim - num_in, x.ndim)), tuple(range(num_in))
        y = jax.lax.dot_general(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            (contracted, ((), ())),
            preferred_element_type=jnp.dtype(self.out_dtype or self.dtype),
        )
        if self.use_bias:
            bias = parameter(self, "bias", nn.initializers.zeros, self.features, self.out_axes)
            y += bias.astype(y.dtype)
        # Rows are split like the batch, and never over what the next layer contracts whole.
        split = tuple(None if axis == "embed" else axis for axis in self.out_axes)
        return constrain(self, y, ("batch", *(None,) * (y.ndim - 1 - len(split)), *split))


def fan_in_normal(num_in: int) -> Any:
    """Truncated normal of variance 1 / (product of the first `num_in` axes' sizes).

    LeCun et al. 1998, "Efficient backprop", equation 16.
    """

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        in_axis, out_axis = tuple(range(num_in)), tuple(range(num_in, len(shape)))
        return nn.initializers.lecun_normal(in_axis=in_axis, out_axis=out_axis)(key, shape, dtype)

    return draw


def layer_norm(*, dtype: str, name: str | None = None, axis: str = "embed") -> nn.LayerNorm:
    """Layer normalisation over the last axis, statistics in float32, epsilon 1e-5.

    Ba et al. 2016, "Layer normalization", equation 4.
    """
    return nn.remat(nn.LayerNorm, prevent_cse=False)(
        epsilon=1e-5,
        dtype=jnp.dtype(dtype),
        # The variance as E[x^2] - E[x]^2 cancels where the mean is large.
        use_fast_variance=False,
        scale_init=nn.with_logical_partitioning(nn.initializers.ones, (axis,)),
        bias_init=nn.with_logical_partitioning(nn.initializers.zeros, (axis,)),
        name=name,
    )
