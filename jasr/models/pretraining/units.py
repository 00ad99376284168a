"""Clusters that were found beforehand."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Int

from jasr.errors import UserError
from jasr.layers.collections import read_collection
from jasr.layers.parameter import parameter
from jasr.layers.unit import unit
from jasr.models.pretraining.clusters import Clusters
from jasr.models.pretraining.head import MaskedFrames, project
from jasr.types import Batch, Outputs, Padded


class Units(nn.Module):
    """Predicts which clusters a frame belongs to, by cosine with an embedding of each.

    clusters:    (variables, audio) -> the clusters of each frame, one in each codebook; the
                 variables are the collection "clusters".
    temperature: of the cosines.

    Hsu et al. 2021, "HuBERT", equation 3.
    """

    clusters: Clusters
    code_dim: int = 256
    temperature: float = 0.1

    def __call__(self, seen: MaskedFrames, batch: Batch, *, train: bool) -> Outputs:
        """As `predict`, of frames of which spans were masked."""
        del train
        return self.predict(seen.encoded, batch.audio)

    @nn.compact
    def predict(
        self,
        encoded: Padded,
        audio: Padded,
        found: Int[Array, "batch frames codebooks"] | None = None,
    ) -> Outputs:
        """ "logits" [B, T, codebooks, clusters]; "codes" int32 [B, T, codebooks].

        found: the codes, where they were found before.
        """
        books, size = self.clusters.num_codebooks, self.clusters.num_clusters
        projected = project(encoded, (books * self.code_dim,), ("features",))
        # Codes are no tokens, and lie where a wide layer's units do.
        embedding = parameter(
            self,
            "embedding",
            nn.initializers.normal(1.0),
            (books * size, self.code_dim),
            ("mlp", "features"),
        )
        embedding_NVD = embedding.reshape(books, size, self.code_dim)
        projected = projected.reshape(*projected.shape[:2], books, self.code_dim)
        num_frames = encoded.mask.shape[1]
        codes = self._codes(audio, num_frames) if found is None else found
        if codes.shape[1] != num_frames:
            raise UserError(
                f"model: the clusters are of {codes.shape[1]} frames where the encoder has "
                f"{num_frames}: find them with a stem of the same stride"
            )
        cosine_BTNV = jnp.einsum("btnd,nvd->btnv", unit(projected), unit(embedding_NVD))
        return {
            "logits": Padded(cosine_BTNV / self.temperature, encoded.mask),
            "codes": Padded(codes.astype(jnp.int32), encoded.mask),
        }

    def _codes(self, audio: Padded, num_frames: int) -> Int[Array, "batch frames codebooks"]:
        if self.is_initializing():
            return jnp.zeros(
                (len(audio.values), num_frames, self.clusters.num_codebooks), jnp.int32
            )
        variables = read_collection(self, "clusters")
        if not variables:
            raise UserError("model: the clusters that the head 'units' predicts were not given")
        codes_BTN: Array = self.clusters(variables, audio).values
        return codes_BTN
