"""The stem of wav2vec 2.0: a waveform in, a frame of 20 ms out."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.linear import Linear, fan_in_normal, layer_norm
from jasr.layers.parameter import parameter
from jasr.types import Padded

# Width and stride of each convolution.
WIDTHS = (10, 3, 3, 3, 3, 2, 2)


class WaveformStem(nn.Module):
    """Convolutions, each followed by a layer norm and a GELU; a norm; a projection.

    A frame is real where all the samples that it sees are.
    Baevski et al. 2020, "wav2vec 2.0", sections 2 and 4.2, with the larger model's layer norms.
    """

    strides: tuple[int, ...]
    embed_dim: int
    dtype: str = "float32"
    channels: int = 512
    widths: tuple[int, ...] = WIDTHS

    @nn.compact
    def __call__(self, features: Padded) -> Padded:
        """features: [B, samples, 1] -> [B, frames, embed_dim]"""
        x_BTC = features.values.astype(self.dtype)
        lengths_B = features.lengths()
        for number, (width, stride) in enumerate(zip(self.widths, self.strides, strict=True)):
            x_BTC = self._convolve(x_BTC, width, stride, name=f"conv_{number}")
            norm = layer_norm(dtype=self.dtype, name=f"norm_{number}")
            x_BTC = jax.nn.gelu(norm(x_BTC), approximate=False)
            lengths_B = jnp.maximum((lengths_B - width) // stride + 1, 0)
        x_BTC = layer_norm(dtype=self.dtype, name="final_norm")(x_BTC)
        project = Linear(
            (self.embed_dim,), ("features",), ("embed",), dtype=self.dtype, name="project"
        )
        mask_BT = jnp.arange(x_BTC.shape[1]) < lengths_B[:, None]
        return Padded(project(x_BTC), mask_BT)

    def _convolve(
        self, x_BTC: Array, width: int, stride: int, *, name: str
    ) -> Float[Array, "batch frames channels"]:
        kernel = parameter(
            self,
            f"{name}_kernel",
            fan_in_normal(2),
            (width, x_BTC.shape[-1], self.channels),
            ("kernel", "features", "embed"),
        )
        bias = parameter(self, f"{name}_bias", nn.initializers.zeros, (self.channels,), ("embed",))
        y = jax.lax.conv_general_dilated(
            x_BTC,
            kernel.astype(x_BTC.dtype),
            (stride,),
            "VALID",
            dimension_numbers=("NTC", "TIO", "NTC"),
        )
        return y + bias.astype(y.dtype)
