"""Attention on a TPU that writes no weights to memory: JAX's Splash kernel, over a mesh.

Dao et al. 2022, "FlashAttention", in tiles that lie in the TPU's vector memory. Suffixes: T and S
are queries and keys padded to whole tiles.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu import splash_attention as splash
from jaxtyping import Array, Bool, Float

# A TPU's vectors have 128 lanes: shorter sequences would be mostly padding.
SMALLEST_TILE = 128
LARGEST_TILE = 512


def worth_tiling(query: Array, key: Array) -> bool:
    """Whether [batch, queries, heads, head_dim] and its keys fill a tile."""
    return min(query.shape[1], key.shape[1]) >= SMALLEST_TILE


def splash_attention(
    query: Float[Array, "batch queries heads head_dim"],
    key: Float[Array, "batch keys heads head_dim"],
    value: Float[Array, "batch keys heads head_dim"],
    key_mask: Bool[Array, "batch keys"],
    *,
    causal: bool,
    interpret: bool = False,
) -> Float[Array, "batch queries heads head_dim"]:
    """Softmax attention, as `jasr.layers.attention.attention`, without a bias.

    On a mesh each device attends for its own rows and heads, by the logical axis rules.
    interpret: run the kernel's program without a TPU.
    """
    attend = partial(_attend, causal=causal, interpret=interpret)
    if jax.sharding.get_abstract_mesh().empty:
        return attend(query, key, value, key_mask)
    heads = nn.logical_to_mesh_axes(("batch", None, "heads", None))
    rows = nn.logical_to_mesh_axes(("batch", None))
    return jax.shard_map(
        attend, in_specs=(heads, heads, heads, rows), out_specs=heads, check_vma=False
    )(query, key, value, key_mask)


def _attend(
    query: Array, key: Array, value: Array, key_mask: Array, *, causal: bool, interpret: bool
) -> Array:
    _, num_queries, num_heads, head_dim = query.shape
    # With nothing to attend to, the values' mean: all keys alike, and all seen.
    empty_B1 = ~key_mask.any(-1, keepdims=True)
    scale_B111 = jnp.where(empty_B1, 0, head_dim**-0.5).astype(query.dtype)[..., None, None]
    query_BHTD, key_BHSD, value_BHSD = (
        _whole_tiles(x.swapaxes(1, 2)) for x in (query * scale_B111, key, value)
    )
    seen_BS = _whole_tiles(key_mask | empty_B1, axis=1)
    kernel = _kernel(num_heads, query_BHTD.shape[2], key_BHSD.shape[2], causal, interpret)

    def one(query_HTD: Array, key_HSD: Array, value_HSD: Array, seen_S: Array) -> Array:
        ones = jnp.ones(query_HTD.shape[1], jnp.int32)
        segments = splash.SegmentIds(q=ones, kv=seen_S.astype(jnp.int32))
        return kernel(query_HTD, key_HSD, value_HSD, segments)

    attended_BHTD = jax.vmap(one)(query_BHTD, key_BHSD, value_BHSD, seen_BS)
    return attended_BHTD.swapaxes(1, 2)[:, :num_queries]


def _kernel(heads: int, queries: int, keys: int, causal: bool, interpret: bool) -> Any:
    mask = (splash.CausalMask if causal else splash.FullMask)((queries, keys))
    q, kv = _tile(queries), _tile(keys)
    return splash.make_splash_mha_single_device(
        mask=splash.MultiHeadMask([mask] * heads),
        block_sizes=splash.BlockSizes(
            block_q=q,
            block_kv=kv,
            block_q_dkv=q,
            block_kv_dkv=kv,
            block_q_dq=q,
            block_kv_dq=kv,
            # Heads are narrower than a vector: the other way half of each would be padding.
            q_layout=splash.QKVLayout.SEQ_MINOR,
            k_layout=splash.QKVLayout.SEQ_MINOR,
            v_layout=splash.QKVLayout.SEQ_MINOR,
        ),
        residual_checkpoint_name="attended",
        interpret=interpret,
    )


def _tile(length: int) -> int:
    """Length of a tile; of a sequence's padded length, a divisor."""
    return min(LARGEST_TILE, -(-length // SMALLEST_TILE) * SMALLEST_TILE)


def _whole_tiles(x: Array, axis: int = 2) -> Array:
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, -x.shape[axis] % _tile(x.shape[axis]))
    return jnp.pad(x, padding)
