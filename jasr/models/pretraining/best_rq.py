"""Codes of a quantiser that is drawn once and never trained."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jasr.audio.standardize import standardize
from jasr.models.pretraining.frame_cepstra import frame_cepstra
from jasr.models.pretraining.head import MaskedFrames, project
from jasr.types import Batch, Outputs, Padded


class BestRQ(nn.Module):
    """Predicts, for each codebook, which random code is nearest to a projection of the frame.

    num_codebooks: independent quantisers (Zhang et al. 2023, "Google USM", section 3.2).
    num_cepstra:   of each feature frame around a frame; what is projected.
    seed:          of projections and codes; the quantisers are a function of it.

    Chiu et al. 2022, "Self-supervised learning with random-projection quantizer for speech
    recognition", equations 1 and 2, over cepstra where they have log-mel bands: bands rise and
    fall together, so that most of their projections point one of two ways and most codes go
    unused.
    """

    num_codes: int = 1024
    code_dim: int = 16
    num_codebooks: int = 1
    num_cepstra: int = 13
    seed: int = 0

    @nn.compact
    def __call__(self, seen: MaskedFrames, batch: Batch, *, train: bool) -> Outputs:
        """ "logits" [B, T, codebooks, codes]; "codes" int32 [B, T, codebooks]."""
        del batch, train
        encoded = seen.encoded
        projected = project(encoded, (self.num_codebooks, self.num_codes), ("heads", "vocab"))
        described = frame_cepstra(
            seen.features, num_frames=encoded.mask.shape[1], num_cepstra=self.num_cepstra
        )
        codes_BTN = self.quantize(standardize(described, encoded.mask))
        return {
            "logits": Padded(projected, encoded.mask),
            "codes": Padded(codes_BTN, encoded.mask),
        }

    def quantize(
        self, x: Float[Array, "batch frames features"]
    ) -> Int[Array, "batch frames codebooks"]:
        """The nearest code of each codebook, by cosine."""
        of_projection, of_codes = jax.random.split(jax.random.key(self.seed))
        projection_NFD = nn.initializers.xavier_uniform(in_axis=1, out_axis=2, batch_axis=0)(
            of_projection, (self.num_codebooks, x.shape[-1], self.code_dim), jnp.float32
        )
        codes_NVD = jax.random.normal(of_codes, (self.num_codebooks, self.num_codes, self.code_dim))
        codes_NVD /= jnp.linalg.norm(codes_NVD, axis=-1, keepdims=True)
        # Of unit codes, the nearest to a projection made unit is the one of the largest product.
        projected_BTND = jnp.einsum("btf,nfd->btnd", x.astype(jnp.float32), projection_NFD)
        return jnp.argmax(jnp.einsum("btnd,nvd->btnv", projected_BTND, codes_NVD), axis=-1)
