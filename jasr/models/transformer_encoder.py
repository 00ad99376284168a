"""The Transformer encoder."""

from typing import ClassVar

from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.attention import MultiHeadAttention
from jasr.layers.choices import choose
from jasr.layers.dropout import Dropout, drop_layer
from jasr.layers.feed_forward import FeedForward
from jasr.layers.linear import layer_norm
from jasr.layers.modulation import Modulation
from jasr.layers.residual import RESIDUALS
from jasr.models.encoder import Encoder, EncoderContext


class TransformerLayer(nn.Module):
    """Self-attention, then feed-forward.

    Vaswani et al. 2017, "Attention is all you need", section 3.1.
    """

    num_heads: int
    mlp_dim: int
    norm: str
    activation: str
    dropout: float
    layer_drop: float
    dtype: str

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch frames embed"], context: EncoderContext, train: bool
    ) -> tuple[Array, None]:
        residual = choose(RESIDUALS, self.norm, key="norm")
        drop = Dropout(self.dropout)
        entered = x

        norm = layer_norm(dtype=self.dtype, name="self_attention_norm")
        attend = MultiHeadAttention(self.num_heads, x.shape[-1], self.dtype, name="self_attention")
        y = attend.to_itself(residual.enter(x, norm), context.mask, context.relations)
        x = residual.leave(x, drop(y, train=train), norm)

        norm = layer_norm(dtype=self.dtype, name="mlp_norm")
        mlp = FeedForward(self.mlp_dim, self.activation, self.dropout, self.dtype, name="mlp")
        y = mlp(residual.enter(x, norm), train=train)
        x = residual.leave(x, drop(y, train=train), norm)
        if context.condition is not None:
            x = Modulation(name="modulation")(x, context.condition)

        x = drop_layer(self, x, entered, rate=self.layer_drop, train=train)
        self.sow("intermediates", "output", x)
        return x, None


class TransformerEncoder(Encoder):
    """Stem, positions, Transformer layers.

    norm: "pre" (with one more norm at the end) or "post".
    The other fields are as in `Encoder`.
    """

    norm: str = "pre"

    layer: ClassVar[type[nn.Module]] = TransformerLayer

    def setup(self) -> None:
        super().setup()
        self.final_norm = layer_norm(dtype=self.dtype) if self.norm == "pre" else None

    def finish(self, x: Float[Array, "batch frames embed"]) -> Float[Array, "batch frames embed"]:
        return x if self.final_norm is None else self.final_norm(x)
