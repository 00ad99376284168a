"""The Conformer encoder."""

from typing import ClassVar

from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.attention import MultiHeadAttention
from jasr.layers.convolution import ConvolutionModule
from jasr.layers.dropout import Dropout, drop_layer
from jasr.layers.feed_forward import FeedForward
from jasr.layers.linear import layer_norm
from jasr.layers.modulation import Modulation
from jasr.models.encoder import Encoder, EncoderContext


class ConformerLayer(nn.Module):
    """Half a feed-forward step, self-attention, convolution, half a feed-forward step, norm.

    Gulati et al. 2020, "Conformer: convolution-augmented transformer for speech recognition",
    equation 1; positions are as config.model.encoder.position says, not those of its section 2.1.
    """

    num_heads: int
    mlp_dim: int
    kernel_size: int
    activation: str
    dropout: float
    layer_drop: float
    dtype: str

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch frames embed"], context: EncoderContext, train: bool
    ) -> tuple[Array, None]:
        attend = MultiHeadAttention(self.num_heads, x.shape[-1], self.dtype, name="self_attention")
        convolve = ConvolutionModule(self.kernel_size, self.dropout, self.dtype, name="convolution")
        entered = x

        x = x + 0.5 * self._feed_forward(x, "first_mlp", train=train)
        y = attend.to_itself(self._norm(x, "self_attention"), context.mask, context.relations)
        x = x + Dropout(self.dropout)(y, train=train)
        x = x + convolve(self._norm(x, "convolution"), context.mask, train=train)
        x = x + 0.5 * self._feed_forward(x, "second_mlp", train=train)
        x = self._norm(x, "layer")
        if context.condition is not None:
            x = Modulation(name="modulation")(x, context.condition)

        x = drop_layer(self, x, entered, rate=self.layer_drop, train=train)
        self.sow("intermediates", "output", x)
        return x, None

    def _feed_forward(self, x: Array, name: str, *, train: bool) -> Array:
        mlp = FeedForward(self.mlp_dim, self.activation, self.dropout, self.dtype, name=name)
        return Dropout(self.dropout)(mlp(self._norm(x, name), train=train), train=train)

    def _norm(self, x: Array, name: str) -> Array:
        return layer_norm(dtype=self.dtype, name=f"{name}_norm")(x)


class ConformerEncoder(Encoder):
    """Stem, positions, Conformer layers.

    kernel_size: width of the depthwise convolutions, frames.
    The other fields are as in `Encoder`.
    """

    position: str = "rotary"
    activation: str = "silu"
    kernel_size: int = 31

    layer: ClassVar[type[nn.Module]] = ConformerLayer
