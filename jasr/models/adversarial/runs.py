"""Frames in a row with one id, as one segment."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jasr.types import Padded


def pool_runs(x: Padded, ids: Int[Array, "batch frames"]) -> Padded:
    """The mean of each run of equal ids, [B, T, ...] -> [B, T, ...], as many segments as runs.

    The segments stand before padding of zeros; runs end where the real frames do.
    """
    changed_BT = jnp.pad(ids[:, 1:] != ids[:, :-1], ((0, 0), (1, 0)))
    segment_BT = jnp.cumsum(changed_BT & x.mask, axis=1)
    num_frames = ids.shape[1]

    def of_row(values_TF: Array, segment_T: Array, mask_T: Array) -> tuple[Array, Array]:
        weight_T = mask_T.astype(values_TF.dtype)
        add = lambda what: jax.ops.segment_sum(what, segment_T, num_segments=num_frames)  # noqa: E731
        count_S = add(weight_T)
        total_SF = add(values_TF * weight_T[:, None])
        return total_SF / jnp.maximum(count_S, 1)[:, None], count_S > 0

    values_BSF, mask_BS = jax.vmap(of_row)(x.values, segment_BT, x.mask)
    return Padded(values_BSF, mask_BS)
