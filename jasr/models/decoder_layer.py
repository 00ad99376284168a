"""One layer of the Transformer decoder, over a whole text or token by token."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from jasr.layers.attention import MultiHeadAttention
from jasr.layers.choices import choose
from jasr.layers.dropout import Dropout, drop_layer
from jasr.layers.feed_forward import FeedForward
from jasr.layers.linear import layer_norm
from jasr.layers.modulation import Modulation
from jasr.layers.positions import Relations
from jasr.layers.residual import RESIDUALS
from jasr.types import Padded


@struct.dataclass
class TextContext:
    """What every layer sees beside its input, when it reads a whole text.

    encoded:   None for a decoder of text alone.
    condition: what its output is modulated by, [B, features], or None.
    """

    encoded: Padded | None
    relations: Relations
    condition: Any = None


@struct.dataclass
class StepContext:
    """What every layer sees beside its input and its memory, when it reads one token."""

    index: Any  # int32 scalar, the token's position
    encoder_mask: Any  # [B, frames]
    relations: Relations
    condition: Any = None


@struct.dataclass
class LayerMemory:
    """Keys and values that a layer keeps: of what each beam has read, and of the recording.

    keys, values:             [B, K, tokens, heads, head_dim]
    cross_keys, cross_values: [B, frames, heads, head_dim], shared by the beams
    """

    keys: Any
    values: Any
    cross_keys: Any
    cross_values: Any


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the recording if there is one, feed-forward.

    Vaswani et al. 2017, "Attention is all you need", section 3.1.
    """

    embed_dim: int
    num_heads: int
    mlp_dim: int
    norm: str
    activation: str
    dropout: float
    layer_drop: float
    dtype: str

    def setup(self) -> None:
        self.residual = choose(RESIDUALS, self.norm, key="norm")
        self.self_attention_norm = layer_norm(dtype=self.dtype)
        self.self_attention = MultiHeadAttention(self.num_heads, self.embed_dim, self.dtype)
        self.cross_attention_norm = layer_norm(dtype=self.dtype)
        self.cross_attention = MultiHeadAttention(self.num_heads, self.embed_dim, self.dtype)
        self.mlp_norm = layer_norm(dtype=self.dtype)
        self.mlp = FeedForward(self.mlp_dim, self.activation, self.dropout, self.dtype)
        self.drop = Dropout(self.dropout)
        self.modulation = Modulation()

    def __call__(
        self, x: Float[Array, "batch tokens embed"], context: TextContext, train: bool
    ) -> tuple[Array, None]:
        encoded, relations = context.encoded, context.relations
        entered = x

        y = self.residual.enter(x, self.self_attention_norm)
        keys_values = self.self_attention.keys_values(y, relations)
        y = self.self_attention(y, keys_values, relations=relations, causal=True)
        x = self.residual.leave(x, self.drop(y, train=train), self.self_attention_norm)

        if encoded is not None:
            y = self.residual.enter(x, self.cross_attention_norm)
            keys_values = self.cross_attention.keys_values(encoded.values)
            y = self.cross_attention(y, keys_values, key_mask=encoded.mask)
            x = self.residual.leave(x, self.drop(y, train=train), self.cross_attention_norm)

        x = self._modulated(self._feed_forward(x, train=train), context)
        return drop_layer(self, x, entered, rate=self.layer_drop, train=train), None

    def remember(
        self, carry: None, encoded: Float[Array, "batch frames embed"]
    ) -> tuple[None, tuple[Array, Array]]:
        """Keys and values of the recording, [B, frames, heads, head_dim] each."""
        return carry, self.cross_attention.keys_values(encoded)

    def step(
        self, x: Float[Array, "batch beams embed"], memory: LayerMemory, context: StepContext
    ) -> tuple[Array, tuple[Array, Array]]:
        """Reads one token per beam; returns its key and value, [B, K, heads, head_dim] each."""
        y = self.residual.enter(x, self.self_attention_norm)
        y, key, value = self._attend_to_read(y, memory, context)
        x = self.residual.leave(x, y, self.self_attention_norm)

        # The beams share the recording: to its keys they are so many queries.
        y = self.residual.enter(x, self.cross_attention_norm)
        keys_values = memory.cross_keys, memory.cross_values
        y = self.cross_attention(y, keys_values, key_mask=context.encoder_mask)
        x = self.residual.leave(x, y, self.cross_attention_norm)

        return self._modulated(self._feed_forward(x, train=False), context), (key, value)

    def _attend_to_read(
        self, y: Array, memory: LayerMemory, context: StepContext
    ) -> tuple[Array, Array, Array]:
        """Self-attention to the tokens read and this one; its result, and this one's key, value.

        Each beam has read tokens of its own, so a beam is a row of the batch.
        """
        B, K, N, *heads = memory.keys.shape
        y = y.reshape(B * K, 1, self.embed_dim)
        new = self.self_attention.keys_values(y, context.relations)
        key, value = (part.reshape(B, K, *heads) for part in new)
        keys = memory.keys.at[:, :, context.index].set(key).reshape(B * K, N, *heads)
        values = memory.values.at[:, :, context.index].set(value).reshape(B * K, N, *heads)
        is_read = jnp.broadcast_to(jnp.arange(N) <= context.index, (B * K, N))
        attended = self.self_attention(
            y, (keys, values), key_mask=is_read, relations=context.relations
        )
        return attended.reshape(B, K, self.embed_dim), key, value

    def _feed_forward(self, x: Array, *, train: bool) -> Array:
        y = self.mlp(self.residual.enter(x, self.mlp_norm), train=train)
        return self.residual.leave(x, self.drop(y, train=train), self.mlp_norm)

    def _modulated(self, x: Array, context: TextContext | StepContext) -> Array:
        return x if context.condition is None else self.modulation(x, context.condition)
