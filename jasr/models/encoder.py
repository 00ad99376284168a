"""What Transformer and Conformer encoders share.

log-mel ──▶ stem ──▶ positions ──▶ layers, scanned ──▶ (norm) ──▶ [B, T, embed_dim]
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from jasr.layers.choices import choose
from jasr.layers.dropout import Dropout
from jasr.layers.positions import Positions, Relations
from jasr.layers.stack import stack
from jasr.layers.subsampling import STEMS, zero_padding
from jasr.types import Padded


@struct.dataclass
class EncoderContext:
    """What every encoder layer sees beside its input.

    condition: what its output is modulated by, [B, features], or None.
    """

    mask: Any
    relations: Relations
    condition: Any = None


class Encoder(nn.Module):
    """A stem and a stack of layers; a subclass says which.

    A layer's fields are those of the encoder with the same names.

    mlp_dim:    width of the feed-forward networks.
    position:   "sinusoidal", "learned", "rotary", "relative" or "none".
    activation: of the feed-forward networks: "gelu", "relu", "silu" or "swiglu".
    dropout:    probability, wherever dropout stands.
    layer_drop: probability that a layer is left out of a training step.
    stem:       a key of `STEMS`.
    max_frames: the most frames behind the stem; binds learned positions only.
    remat:      what layers keep for the backward pass, a key of `SAVED`.
    unroll:     layers per iteration of the compiled loop.
    dtype:      of matrix products, "float32" or "bfloat16"; parameters are float32.
    """

    num_layers: int
    embed_dim: int
    num_heads: int
    mlp_dim: int
    position: str = "sinusoidal"
    activation: str = "gelu"
    dropout: float = 0.0
    layer_drop: float = 0.0
    stem: str = "whisper"
    max_frames: int = 1500
    remat: str = "none"
    unroll: int = 1
    dtype: str = "float32"

    layer: ClassVar[type[nn.Module]]

    def setup(self) -> None:
        stem = choose(STEMS, self.stem, key="stem")
        self._stem = stem(embed_dim=self.embed_dim, dtype=self.dtype, name="stem")
        self.positions = Positions(
            self.position,
            num_heads=self.num_heads,
            embed_dim=self.embed_dim,
            max_length=self.max_frames,
            bidirectional=True,
        )
        self.drop = Dropout(self.dropout)
        names = {field.name for field in dataclasses.fields(self.layer)} - {"parent", "name"}
        layers = stack(self.layer, self.num_layers, remat=self.remat, unroll=self.unroll)
        self.layers = layers(**{name: getattr(self, name) for name in names})

    def __call__(self, features: Padded, *, train: bool) -> Padded:
        """features: [B, T, num_mels] -> [B, T / the stem's stride, embed_dim], 0 at padding."""
        return self.contextualize(self.embed(features), train=train)

    def embed(self, features: Padded) -> Padded:
        """The stem's frames of features, [B, T / the stem's stride, embed_dim]."""
        frames: Padded = self._stem(features)
        return frames

    def contextualize(
        self,
        frames: Padded,
        *,
        train: bool,
        condition: Float[Array, "batch features"] | None = None,
    ) -> Padded:
        """The layers, over frames such as `embed` makes of features: [B, T, embed_dim].

        condition: what every layer's output is modulated by.
        """
        x_BTE = self.drop(self.positions.add(frames.values), train=train)
        context = EncoderContext(frames.mask, self.positions.relations(x_BTE.shape[1]), condition)
        x_BTE, _ = self.layers(x_BTE, context, train)
        x_BTE = self.finish(x_BTE)
        return zero_padding(Padded(x_BTE.astype(jnp.dtype(self.dtype)), frames.mask))

    def finish(self, x: Float[Array, "batch frames embed"]) -> Float[Array, "batch frames embed"]:
        """What follows the layers."""
        return x
