"""Attention whose backward pass computes the weights again instead of keeping them.

What JAX keeps of plain attention are arrays of [batch, heads, queries, keys]; here it is two
numbers a query. Dao et al. 2022, "FlashAttention", section 3.1 and appendix B.2, with the heads
of an utterance for its tiles. Suffixes: X runs over the heads of all utterances.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Heads are attended to together while their weights, in float32, fit in a core's cache.
CACHED_WEIGHTS = 1 << 18
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
    num_heads = query.shape[2]
    inputs = (*map(_by_head, (query, key, value)), jnp.repeat(key_mask, num_heads, axis=0))

    def attend(query_XTD: Array, key_XSD: Array, value_XSD: Array, mask_XS: Array) -> Any:
        logits_XTS, _ = _logits(query_XTD, key_XSD, mask_XS, bias, causal)
        largest_XT1 = logits_XTS.max(-1, keepdims=True)
        weights_XTS = jnp.exp(logits_XTS - largest_XT1)
        total_XT1 = weights_XTS.sum(-1, keepdims=True)
        attended_XTD = _product("xts,xsd->xtd", weights_XTS, value_XSD) / total_XT1
        return attended_XTD.astype(value_XSD.dtype), largest_XT1, total_XT1

    kept = _few_at_a_time(attend, bias, inputs)
    return _by_utterance(kept[0], num_heads), (*inputs, bias, *kept)


def _backward(causal: bool, kept: Any, gradient: Array) -> tuple[Array | None, ...]:
    *inputs, bias, attended, largest, total = kept
    num_heads = gradient.shape[2]

    def attend_back(
        query_XTD: Array,
        key_XSD: Array,
        value_XSD: Array,
        mask_XS: Array,
        attended_XTD: Array,
        largest_XT1: Array,
        total_XT1: Array,
        d_attended_XTD: Array,
    ) -> Any:
        logits_XTS, seen = _logits(query_XTD, key_XSD, mask_XS, bias, causal)
        weights_XTS = jnp.exp(logits_XTS - largest_XT1) / total_XT1
        d_weights_XTS = _product("xtd,xsd->xts", d_attended_XTD, value_XSD)
        along_XT1 = jnp.sum(attended_XTD * d_attended_XTD, -1, keepdims=True, dtype=jnp.float32)
        d_logits_XTS = jnp.where(seen, weights_XTS * (d_weights_XTS - along_XT1), 0)
        scale = query_XTD.shape[-1] ** -0.5
        gradients = (
            _product("xts,xsd->xtd", d_logits_XTS, key_XSD) * scale,
            _product("xts,xtd->xsd", d_logits_XTS, query_XTD) * scale,
            _product("xts,xtd->xsd", weights_XTS, d_attended_XTD),
        )
        # Of one head after the other, as the bias is: only the whole batch has the heads' order.
        d_bias = jax.tree.map(
            lambda b: d_logits_XTS.reshape(-1, *b.shape).sum(0).astype(b.dtype), bias
        )
        return *(d.astype(query_XTD.dtype) for d in gradients), d_bias

    arrays = (*inputs, attended, largest, total, _by_head(gradient))
    *gradients, d_bias = _few_at_a_time(attend_back, bias, arrays)
    return *(_by_utterance(d, num_heads) for d in gradients), None, d_bias


recomputed_attention.defvjp(_forward, _backward)


def _logits(
    query_XTD: Array, key_XSD: Array, mask_XS: Array, bias: Array | None, causal: bool
) -> tuple[Float[Array, "x queries keys"], Bool[Array, "..."]]:
    """Logits, and which of them are of keys that may be attended to."""
    scale = jnp.asarray(query_XTD.shape[-1] ** -0.5, query_XTD.dtype)
    logits_XTS = _product("xtd,xsd->xts", query_XTD * scale, key_XSD)
    if bias is not None:
        logits_XTS = (logits_XTS.reshape(-1, *bias.shape) + bias).reshape(logits_XTS.shape)
    seen = mask_XS[:, None]
    if causal:
        seen &= jnp.tri(logits_XTS.shape[1], logits_XTS.shape[2], dtype=bool)
    return jnp.where(seen, logits_XTS, MASKED), seen


def _product(equation: str, a: Array, b: Array) -> Array:
    return jnp.einsum(equation, a.astype(b.dtype), b, preferred_element_type=jnp.float32)


def _by_head(x_BTHD: Array) -> Array:
    B, T, H, D = x_BTHD.shape
    return x_BTHD.swapaxes(1, 2).reshape(B * H, T, D)


def _by_utterance(x_XTD: Array, num_heads: int) -> Array:
    X, T, D = x_XTD.shape
    return x_XTD.reshape(X // num_heads, num_heads, T, D).swapaxes(1, 2)


def _few_at_a_time(
    function: Callable[..., tuple[Any, ...]], bias: Array | None, arrays: tuple[Array, ...]
) -> tuple[Any, ...]:
    """The function of all heads, or of as many at a time as the cache holds."""
    num_queries, num_keys = arrays[0].shape[1], arrays[1].shape[1]
    heads = max(1, CACHED_WEIGHTS // (num_queries * num_keys))
    if bias is not None or heads >= len(arrays[0]):
        return function(*arrays)

    def one(head: tuple[Array, ...]) -> tuple[Any, ...]:
        return jax.tree.map(lambda x: x[0], function(*(x[None] for x in head)))

    return jax.lax.map(one, arrays, batch_size=heads if heads > 1 else None)
