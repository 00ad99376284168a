"""The Transformer decoder: reads embedded tokens and an encoded recording.

all tokens at once     __call__(x_BTE, encoded)                  training, teacher-forced
one token per beam     start_cache(encoded), step(x_BKE, cache)  search
"""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

from jasr.layers.dropout import Dropout
from jasr.layers.linear import layer_norm
from jasr.layers.positions import Positions
from jasr.layers.stack import stack
from jasr.models.decoder_layer import DecoderLayer, LayerMemory, StepContext, TextContext
from jasr.types import Padded


@struct.dataclass
class DecoderCache:
    """What a decoder remembers of the recording, and of the tokens that each beam has read.

    num_read:     int32 scalar, tokens read by every beam.
    memory:       of all layers, each array with a leading "layers" axis.
    encoder_mask: [B, frames]
    condition: what every layer is modulated by, [B, features], or None.
    """

    num_read: Any
    memory: LayerMemory
    encoder_mask: Any
    condition: Any = None

    def take(self, beams_BK: Int[Array, "batch beams"]) -> "DecoderCache":
        """The cache whose beam k of utterance b is this one's beam `beams_BK[b, k]`."""
        index = beams_BK[None, :, :, None, None, None]
        memory = replace(
            self.memory,
            keys=jnp.take_along_axis(self.memory.keys, index, axis=2),
            values=jnp.take_along_axis(self.memory.values, index, axis=2),
        )
        return replace(self, memory=memory)


class TransformerDecoder(nn.Module):
    """Positions, then Transformer layers that attend to the recording.

    norm:       "pre" (with one more norm at the end) or "post".
    max_tokens: the most tokens read, the start token counted; binds learned positions only.
    The other fields are as in `Encoder`.

    Whoever makes the collection "attention" mutable finds in it the weights of
    layers/self_attention and layers/cross_attention, with a leading "layers" axis.
    """

    num_layers: int
    embed_dim: int
    num_heads: int
    mlp_dim: int
    position: str = "learned"
    norm: str = "pre"
    activation: str = "gelu"
    dropout: float = 0.0
    layer_drop: float = 0.0
    max_tokens: int = 448
    remat: str = "none"
    unroll: int = 1
    dtype: str = "float32"

    def setup(self) -> None:
        self.positions = Positions(
            self.position,
            num_heads=self.num_heads,
            embed_dim=self.embed_dim,
            max_length=self.max_tokens,
            bidirectional=False,
        )
        self.drop = Dropout(self.dropout)
        layers = stack(
            DecoderLayer,
            self.num_layers,
            remat=self.remat,
            unroll=self.unroll,
            steps={"remember": (nn.broadcast,), "step": (0, nn.broadcast)},
        )
        self.layers = layers(
            embed_dim=self.embed_dim,
            num_heads=self.num_heads,
            mlp_dim=self.mlp_dim,
            norm=self.norm,
            activation=self.activation,
            dropout=self.dropout,
            layer_drop=self.layer_drop,
            dtype=self.dtype,
        )
        self.final_norm = layer_norm(dtype=self.dtype) if self.norm == "pre" else None

    def __call__(
        self,
        x: Float[Array, "batch tokens embed"],
        encoded: Padded | None,
        *,
        train: bool,
        condition: Float[Array, "batch features"] | None = None,
    ) -> Float[Array, "batch tokens embed"]:
        """Token i of the result depends on tokens 0 to i, and on the recording if there is one.

        condition: what every layer's output is modulated by.
        Raises UserError for more tokens than there are learned positions.
        """
        x = self.drop(self.positions.add(x), train=train)
        context = TextContext(encoded, self.positions.relations(x.shape[1]), condition)
        x, _ = self.layers(x, context, train)
        return self._finish(x)

    def start_cache(
        self,
        encoded: Padded,
        *,
        beam_size: int,
        max_tokens: int,
        condition: Float[Array, "batch features"] | None = None,
    ) -> DecoderCache:
        """A cache with nothing read yet and room for `max_tokens`, the start token counted.

        condition: what every layer's output is to be modulated by.
        Raises UserError for more tokens than there are learned positions.
        """
        self.positions.check_length(max_tokens)
        _, (cross_keys, cross_values) = self.layers.remember(None, encoded.values)
        num_layers, batch_size, _, *heads = cross_keys.shape
        shape = (num_layers, batch_size, beam_size, max_tokens, *heads)
        nothing = jnp.zeros(shape, cross_keys.dtype)
        return DecoderCache(
            num_read=jnp.zeros((), jnp.int32),
            memory=LayerMemory(nothing, nothing, cross_keys, cross_values),
            encoder_mask=encoded.mask,
            condition=condition,
        )

    def step(
        self, x: Float[Array, "batch beams embed"], cache: DecoderCache
    ) -> tuple[Float[Array, "batch beams embed"], DecoderCache]:
        """Reads one embedded token per beam."""
        index, memory = cache.num_read, cache.memory
        relations = self.positions.relations_at(index, memory.keys.shape[3])
        context = StepContext(index, cache.encoder_mask, relations, cache.condition)
        x, (keys, values) = self.layers.step(self.positions.add_at(x, index), memory, context)
        memory = replace(
            memory,
            keys=memory.keys.at[:, :, :, index].set(keys),
            values=memory.values.at[:, :, :, index].set(values),
        )
        return self._finish(x), replace(cache, num_read=index + 1, memory=memory)

    def _finish(self, x: Array) -> Array:
        return x if self.final_norm is None else self.final_norm(x)
