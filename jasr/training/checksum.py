"""Checksums of a tree of arrays, the same on any mesh."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped, UInt32

from jasr.types import path_of


def checksums(tree: Any) -> dict[str, int]:
    """For each array by its path, the sum of its elements' bits as whole numbers, modulo 2^32.

    Whole numbers add up to the same in any order, so how an array is split does not matter; any
    one bit that differs shows.
    """
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    sums = jax.device_get(_bit_sums(jax.tree.leaves(tree)))
    return dict(zip(paths, map(int, sums), strict=True))


@jax.jit
def _bit_sums(leaves: list[Array]) -> UInt32[Array, " leaves"]:
    return jnp.stack([_bit_sum(leaf) for leaf in leaves])


def _bit_sum(x: Shaped[Array, "..."]) -> UInt32[Array, ""]:
    unsigned = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    return jnp.sum(jax.lax.bitcast_convert_type(x, unsigned), dtype=jnp.uint32)
