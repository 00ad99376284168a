"""Weights of eight bits: a quarter of the size to keep, and float32 again to compute with.

kernel ──▶ int8, and the scale of each output ──▶ kernel, to 1 / 254 of its output's largest weight
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

LARGEST = 127


@struct.dataclass
class Int8:
    """A kernel as int8 values times float32 scales, one for each of its outputs."""

    values: Any
    scale: Any


def quantized(params: Any, axes: Mapping[str, Sequence[str]]) -> Any:
    """The parameters with every matrix as an `Int8`; norms and biases stay what they are.

    axes: the logical axes of each, by path. Symmetric, to the nearest: Jacob et al. 2018,
    "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    equation 1, with Z = 0.
    """
    flat = flatten_dict(params, sep="/")
    return unflatten_dict(
        {path: _quantized(leaf, axes[path]) for path, leaf in flat.items()}, sep="/"
    )


def dequantized(params: Any) -> Any:
    """Every `Int8` as the float32 kernel it stands for."""

    def restored(leaf: Any) -> Any:
        return leaf.values.astype(jnp.float32) * leaf.scale if isinstance(leaf, Int8) else leaf

    return jax.tree.map(restored, params, is_leaf=lambda leaf: isinstance(leaf, Int8))


def num_bytes(params: Any) -> int:
    """That the parameters take."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))


def _quantized(leaf: Float[Array, "..."], axes: Sequence[str]) -> Any:
    read = read_axes(axes)
    if not read:
        return leaf
    largest = jnp.max(jnp.abs(leaf.astype(jnp.float32)), axis=read, keepdims=True)
    scale = jnp.maximum(largest, jnp.finfo(jnp.float32).tiny) / LARGEST
    return Int8(jnp.round(leaf / scale).astype(jnp.int8), scale)


def read_axes(axes: Sequence[str]) -> tuple[int, ...]:
    """Along which a map's input lies: "embed" where it stands first, or all before it.

    A table of embeddings is read along "embed" too, as the layer that it is when it writes tokens.
    None of a vector, such as a norm's scale.
    """
    places = [place for place, name in enumerate(axes) if name != "layers"]
    if len(places) < 2:
        return ()
    if axes[places[0]] == "embed" or axes[places[-1]] != "embed":
        return (places[0],)
    return (places[-1],) if axes[places[0]] == "vocab" else tuple(places[:-1])
