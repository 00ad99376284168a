"""Stems: log-mel frames in, fewer and wider frames out, each mapping the mask itself.

A strided layer's frame t is centred on input frame t * stride, so it is real where that is.
Padding is set to zero before every convolution: what lies behind a recording's end looks to it
like the end of the array.
"""

import itertools
import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from jasr.layers.choices import choose
from jasr.layers.feed_forward import POINTWISE
from jasr.layers.linear import Linear, fan_in_normal
from jasr.layers.parameter import parameter
from jasr.layers.waveform_stem import WaveformStem
from jasr.types import Padded

KERNEL_SIZE = 3


class ConvStack1d(nn.Module):
    """Convolutions over time, each followed by a GELU; the frames become stride-fold fewer."""

    strides: tuple[int, ...]
    embed_dim: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features: Padded) -> Padded:
        """features: [B, T, num_mels] -> [B, ceil(T / stride), embed_dim]"""
        for number, stride in enumerate(self.strides):
            conv = Convolution((stride,), self.embed_dim, self.dtype, name=f"conv_{number}")
            x_BTE = conv(zero_padding(features).values)
            features = Padded(POINTWISE["gelu"](x_BTE), features.mask[:, ::stride])
        return features


class ConvStack2d(nn.Module):
    """Convolutions over time and frequency, each followed by a ReLU, then a projection.

    Dong et al. 2018, "Speech-transformer", section 3.1.
    """

    strides: tuple[int, ...]
    embed_dim: int
    dtype: str = "float32"
    channels: int = 64

    @nn.compact
    def __call__(self, features: Padded) -> Padded:
        """features: [B, T, num_mels] -> [B, ceil(T / stride), embed_dim]"""
        image = Padded(features.values[..., None], features.mask)
        for number, stride in enumerate(self.strides):
            conv = Convolution((stride, stride), self.channels, self.dtype, name=f"conv_{number}")
            x_BTFC = conv(zero_padding(image).values)
            image = Padded(jax.nn.relu(x_BTFC), image.mask[:, ::stride])
        project = Linear(
            (self.embed_dim,), ("features",), ("embed",), dtype=self.dtype, name="project"
        )
        flat_BTF = image.values.reshape(*image.values.shape[:2], -1)
        return Padded(project(flat_BTF), image.mask)


class Convolution(nn.Module):
    """Strided convolution over time, or time and frequency; width 3, centred on its frame."""

    strides: tuple[int, ...]
    channels: int
    dtype: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """x: [B, T, C], or [B, T, F, C] for two strides."""
        num_axes = len(self.strides)
        kernel = parameter(
            self,
            "kernel",
            fan_in_normal(num_axes + 1),
            (KERNEL_SIZE,) * num_axes + (x.shape[-1], self.channels),
            ("kernel",) * num_axes + ("features", "embed"),
        )
        bias = parameter(self, "bias", nn.initializers.zeros, (self.channels,), ("embed",))
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.strides)
        return y + bias.astype(y.dtype)


def convolve(x: Array, kernel: Array, strides: tuple[int, ...]) -> Array:
    """Strided convolution of x [B, T, C] or [B, T, F, C] with kernel [3, (3,) C, D]; zeros beyond.

    On CPU the gradients of XLA's strided convolution take many times the forward pass; as a
    product of stacked neighbours with the kernel, forward and backward are matrix products.
    """
    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=partial(_matrix_product, strides=strides),
        default=partial(_convolution, strides=strides),
    )


def _convolution(x: Array, kernel: Array, *, strides: tuple[int, ...]) -> Array:
    axes = "HW"[: len(strides)]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=strides,
        padding=[(KERNEL_SIZE // 2, KERNEL_SIZE // 2)] * len(strides),
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
    )


def _matrix_product(x: Array, kernel: Array, *, strides: tuple[int, ...]) -> Array:
    reach = KERNEL_SIZE // 2
    padded = jnp.pad(x, ((0, 0), *((reach, reach) for _ in strides), (0, 0)))
    sizes = [-(-size // stride) for size, stride in zip(x.shape[1:], strides, strict=False)]
    neighbours = [
        padded[
            (
                slice(None),
                *(
                    slice(offset, offset + (size - 1) * stride + 1, stride)
                    for offset, size, stride in zip(offsets, sizes, strides, strict=True)
                ),
            )
        ]
        for offsets in itertools.product(range(KERNEL_SIZE), repeat=len(strides))
    ]
    return jnp.concatenate(neighbours, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def zero_padding(padded: Padded) -> Padded:
    """The same with zeros wherever the mask is False."""
    mask = padded.mask.reshape(padded.mask.shape + (1,) * (padded.values.ndim - 2))
    return Padded(jnp.where(mask, padded.values, 0), padded.mask)


# Called with embed_dim and dtype.
STEMS: Mapping[str, partial[Any]] = MappingProxyType(
    {
        "whisper": partial(ConvStack1d, (1, 2)),
        "conv1d_4x": partial(ConvStack1d, (2, 2)),
        "conv1d_8x": partial(ConvStack1d, (2, 2, 2)),
        "conv2d_4x": partial(ConvStack2d, (2, 2)),
        "wav2vec2": partial(WaveformStem, (5, 2, 2, 2, 2, 2, 2)),
    }
)


def stem_stride(name: str) -> int:
    """Feature frames behind each of a stem's frames; raises UserError for an unknown stem."""
    (strides,) = choose(STEMS, name, key="stem").args
    return math.prod(strides)
