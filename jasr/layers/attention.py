"""Attention: the one function that computes it, and the module around it."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float

from jasr.errors import UserError
from jasr.layers.linear import Linear
from jasr.layers.positions import NO_RELATIONS, Relations, rotate
from jasr.layers.recomputed_attention import recomputed_attention
from jasr.layers.splash_attention import splash_attention, worth_tiling


def attention(
    query: Float[Array, "batch queries heads head_dim"],
    key: Float[Array, "batch keys heads head_dim"],
    value: Float[Array, "batch keys heads head_dim"],
    *,
    key_mask: Bool[Array, "batch keys"] | None = None,
    bias: Float[Array, "heads queries keys"] | None = None,
    causal: bool = False,
) -> Float[Array, "batch queries heads head_dim"]:
    """Softmax attention, the softmax in float32.

    On a CPU, and on a TPU of whole tiles and without a bias, no weights are kept in memory; all
    else is the library's.

    key_mask: True = may be attended to; a query with no such key gets the values' mean.
    bias:     added to the scaled logits.
    causal:   query i attends to keys 0 to i only.

    Vaswani et al. 2017, "Attention is all you need", equation 1.
    """
    if key_mask is None:
        key_mask = jnp.ones(key.shape[:2], bool)
    return jax.lax.platform_dependent(
        query,
        key,
        value,
        key_mask,
        bias,
        cpu=partial(recomputed_attention, causal=causal),
        tpu=partial(_tpu_attention, causal=causal),
        default=partial(_library_attention, causal=causal),
    )


def _tpu_attention(
    query: Array, key: Array, value: Array, key_mask: Array, bias: Array | None, *, causal: bool
) -> Array:
    if bias is None and worth_tiling(query, key):
        return splash_attention(query, key, value, key_mask, causal=causal)
    return _library_attention(query, key, value, key_mask, bias, causal=causal)


def _library_attention(
    query: Array, key: Array, value: Array, key_mask: Array, bias: Array | None, *, causal: bool
) -> Array:
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        bias=None if bias is None else bias[None],
        mask=key_mask[:, None, None],
        is_causal=causal,
    )


def attention_weights(
    query: Float[Array, "batch queries heads head_dim"],
    key: Float[Array, "batch keys heads head_dim"],
    key_mask: Bool[Array, "batch keys"] | None = None,
    bias: Float[Array, "heads queries keys"] | None = None,
    *,
    causal: bool = False,
) -> Float[Array, "batch heads queries keys"]:
    """The float32 weights of `attention` themselves, to look at or to learn from."""
    logits = jnp.einsum("bthd,bshd->bhts", query, key, preferred_element_type=jnp.float32)
    logits = logits * query.shape[-1] ** -0.5 + (0.0 if bias is None else bias)
    allowed = jnp.ones((), bool) if key_mask is None else key_mask[:, None, None]
    if causal:
        allowed &= jnp.tri(query.shape[1], key.shape[1], dtype=bool)
    return jax.nn.softmax(jnp.where(allowed, logits, -jnp.inf), where=allowed)


class MultiHeadAttention(nn.Module):
    """Queries of one sequence attend to keys and values of another, or of the same.

    Keys and values are an argument of their own, so that they can be kept between calls. The
    keys' projection has no bias: it would shift all logits of a query alike.
    Whisper's arrangement; Vaswani et al. 2017, section 3.2.2.

    Whoever makes the collection "attention" mutable finds the float32 weights in it, under
    "weights", [batch, heads, queries, keys]: to look at, or for another model to learn from.
    """

    num_heads: int
    embed_dim: int
    dtype: str = "float32"

    def setup(self) -> None:
        if self.embed_dim % self.num_heads:
            raise UserError(
                f"num_heads: embed_dim {self.embed_dim} cannot be divided into "
                f"{self.num_heads} heads; choose a divisor of it"
            )
        head_dim = self.embed_dim // self.num_heads
        self.query, self.key, self.value = (
            Linear(
                (self.num_heads, head_dim),
                ("embed",),
                ("heads", "head_dim"),
                use_bias=use_bias,
                dtype=self.dtype,
            )
            for use_bias in (True, False, True)
        )
        self.out = Linear((self.embed_dim,), ("heads", "head_dim"), ("embed",), dtype=self.dtype)

    def __call__(
        self,
        x: Float[Array, "batch queries embed"],
        keys_values: tuple[Array, Array],
        *,
        key_mask: Bool[Array, "batch keys"] | None = None,
        relations: Relations = NO_RELATIONS,
        causal: bool = False,
    ) -> Float[Array, "batch queries embed"]:
        """keys_values: from `keys_values`, [batch, keys, heads, head_dim] each."""
        keys, values = keys_values
        query = self.queries(x, relations)
        if self.is_mutable_collection("attention") and not self.is_initializing():
            weights = attention_weights(query, keys, key_mask, relations.bias, causal=causal)
            self.sow("attention", "weights", weights)
        attended = attention(
            query,
            keys,
            values,
            key_mask=key_mask,
            bias=relations.bias,
            causal=causal,
        )
        return self.out(checkpoint_name(attended, "attended"))

    def to_itself(
        self,
        x: Float[Array, "batch length embed"],
        mask: Bool[Array, "batch length"],
        relations: Relations,
    ) -> Float[Array, "batch length embed"]:
        """Every position attends to every real one."""
        keys_values = self.keys_values(x, relations)
        return self(x, keys_values, key_mask=mask, relations=relations)

    def queries(
        self, x: Float[Array, "batch queries embed"], relations: Relations = NO_RELATIONS
    ) -> Float[Array, "batch queries heads head_dim"]:
        """Queries of x."""
        query = checkpoint_name(self.query(x), "query")
        return query if relations.rotation is None else rotate(query, relations.rotation)

    def keys_values(
        self, x: Float[Array, "batch keys embed"], relations: Relations = NO_RELATIONS
    ) -> tuple[Array, Array]:
        """Keys and values of x, [batch, keys, heads, head_dim] each."""
        key = checkpoint_name(self.key(x), "key")
        value = checkpoint_name(self.value(x), "value")
        return (key if relations.rotation is None else rotate(key, relations.rotation)), value
