"""Attention whose backward pass computes the weights again instead of keeping them.

What XLA keeps of plain attention are arrays of [batch, heads, queries, keys]; here it is two
numbers a query. Dao et al. 2022, "FlashAttention", section 3.1 and appendix B.2, with rows of the
batch for its tiles.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Rows of the batch are attended to together while their weights fit in a core's cache.
CACHED_WEIGHTS = 1 << 20
MASKED = -1e30


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def recomputed_attention(
    query: Float[Array, "batch queries heads head_dim"],
    key: Float[Array, "batch keys heads head_dim"],
    value: Float[Array, "batch keys heads head_dim"],
    key_mask: Bool[Array, "batch keys"],
    bias: Float[Array, "heads queries keys"] | None,
    causal: bool,
) -> Float[Array, "batch queries heads head_dim"]:
    """Softmax attention, as `jasr.layers.attention.attention`."""
    return _forward(query, key, value, key_mask, bias, causal)[0]


def _forward(
    query: Array, key: Array, value: Array, key_mask: Array, bias: Array | None, causal: bool
) -> tuple[Array, Any]:
    def attend(query: Array, key: Array, value: Array, key_mask: Array) -> tuple[Array, ...]:
        logits, _ = _logits(query, key, key_mask, bias, causal)
        largest_BHT1 = logits.max(-1, keepdims=True)
        weights = jnp.exp(logits - largest_BHT1)
        total_BHT1 = weights.sum(-1, keepdims=True)
        attended = _product("bhts,bshd->bthd", weights, value) / total_BHT1.swapaxes(1, 2)
        return attended.astype(value.dtype), largest_BHT1, total_BHT1

    attended, *kept = _by_rows(attend, bias, query, key, value, key_mask)
    return attended, (query, key, value, key_mask, bias, attended, *kept)


def _backward(causal: bool, kept: Any, gradient: Array) -> tuple[Array | None, ...]:
    *inputs, key_mask, bias, attended, largest, total = kept

    def attend_back(
        query: Array,
        key: Array,
        value: Array,
        key_mask: Array,
        attended: Array,
        largest: Array,
        total: Array,
        gradient: Array,
    ) -> tuple[Array | None, ...]:
        logits, seen = _logits(query, key, key_mask, bias, causal)
        weights = jnp.exp(logits - largest) / total
        d_weights = _product("bthd,bshd->bhts", gradient, value)
        along = jnp.einsum("bthd,bthd->bht", attended, gradient, preferred_element_type="float32")
        d_logits = jnp.where(seen, weights * (d_weights - along[..., None]), 0)
        scale = query.shape[-1] ** -0.5
        d_query = _product("bhts,bshd->bthd", d_logits, key) * scale
        d_key = _product("bhts,bthd->bshd", d_logits, query) * scale
        d_value = _product("bhts,bthd->bshd", weights, gradient)
        d_bias = jax.tree.map(lambda bias: d_logits.sum(0).astype(bias.dtype), bias)
        return *(d.astype(query.dtype) for d in (d_query, d_key, d_value)), d_bias

    arrays = (*inputs, key_mask, attended, largest, total, gradient)
    *gradients, d_bias = _by_rows(attend_back, bias, *arrays)
    return *gradients, None, d_bias


recomputed_attention.defvjp(_forward, _backward)


def _logits(
    query: Array, key: Array, key_mask: Array, bias: Array | None, causal: bool
) -> tuple[Float[Array, "batch heads queries keys"], Bool[Array, "..."]]:
    """Logits, and which of them are of keys that may be attended to."""
    scale = query.shape[-1] ** -0.5
    logits = _product("bthd,bshd->bhts", query * jnp.asarray(scale, query.dtype), key)
    if bias is not None:
        logits += bias
    seen = key_mask[:, None, None]
    if causal:
        seen &= jnp.tri(logits.shape[2], logits.shape[3], dtype=bool)
    return jnp.where(seen, logits, MASKED), seen


def _product(equation: str, a: Array, b: Array) -> Array:
    return jnp.einsum(equation, a.astype(b.dtype), b, preferred_element_type=jnp.float32)


def _by_rows(
    function: Callable[..., tuple[Any, ...]], bias: Array | None, *arrays: Array
) -> tuple[Any, ...]:
    """The function of the whole batch, or of a few rows of it at a time."""
    batch_size, num_queries, num_heads, _ = arrays[0].shape
    rows = max(1, CACHED_WEIGHTS // (num_heads * num_queries * arrays[1].shape[1]))
    if bias is not None or rows >= batch_size:
        return function(*arrays)

    def one(row: tuple[Array, ...]) -> tuple[Any, ...]:
        return jax.tree.map(lambda x: x[0], function(*(x[None] for x in row)))

    return jax.lax.map(one, arrays, batch_size=rows if rows > 1 else None)
