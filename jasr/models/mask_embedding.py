"""What stands for the frames that a model is not to see."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool

from jasr.layers.parameter import parameter
from jasr.types import Padded


class MaskEmbedding(nn.Module):
    """One learned vector in place of every masked frame.

    Baevski et al. 2020, "wav2vec 2.0", section 3.1.
    """

    @nn.compact
    def __call__(self, frames: Padded, masked: Bool[Array, "batch frames"]) -> Padded:
        """frames: [B, T, embed_dim], and so is the result."""
        vector_E = parameter(
            self, "vector", nn.initializers.normal(0.1), (frames.values.shape[-1],), ("embed",)
        )
        values = jnp.where(masked[..., None], vector_E.astype(frames.values.dtype), frames.values)
        return Padded(values, frames.mask)
