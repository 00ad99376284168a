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
        {path: _quantized(leaf, read_axes(path, axes[path])) for path, leaf in flat.items()},
        sep="/",
    )


def dequantized(params: Any) -> Any:
    """Every `Int8` as the float32 kernel it stands for."""

    def restored(leaf: Any) -> Any:
        return leaf.values.astype(jnp.float32) * leaf.scale if isinstance(leaf, Int8) else leaf

    return jax.tree.map(restored, params, is_leaf=lambda leaf: isinstance(leaf, Int8))


def kept_in(params: Any) -> dict[str, Any]:
    """What the parameters are kept in, "weights", and the bytes that they take."""
    leaves = jax.tree.leaves(params)
    narrowest = min(leaves, key=lambda leaf: leaf.dtype.itemsize)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    return {"weights": narrowest.dtype.name, "parameter_bytes": size}


def _quantized(leaf: Float[Array, "..."], read: tuple[int, ...]) -> Any:
    if not read:
        return leaf
    largest = jnp.max(jnp.abs(leaf.astype(jnp.float32)), axis=read, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1.0) / LARGEST
    return Int8(jnp.round(leaf / scale).astype(jnp.int8), scale)


def read_axes(path: str, axes: Sequence[str]) -> tuple[int, ...]:
    """Along which the input of a map lies: of a kernel from "embed" that, of another all but the
    last; of a table of embeddings the last, as it is a map when it writes tokens.

    None of what is no map, such as a bias or a norm's scale.
    """
    name = path.rpartition("/")[2]
    places = [place for place, axis in enumerate(axes) if axis != "layers"]
    if name == "embedding":
        return (places[-1],)
    if not name.endswith("kernel") or len(places) < 2:
        return ()
    return (places[0],) if axes[places[0]] == "embed" else tuple(places[:-1])
