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
    """Predicts which cluster a frame belongs to, by cosine with an embedding of each.

    clusters:    (variables, audio) -> the cluster of each frame; the variables are the
                 collection "clusters".
    temperature: of the cosines.

    Hsu et al. 2021, "HuBERT", equation 3.
    """

    clusters: Clusters
    code_dim: int = 256
    temperature: float = 0.1

    @nn.compact
    def __call__(self, seen: MaskedFrames, batch: Batch, *, train: bool) -> Outputs:
        """ "logits" [B, T, clusters]; "codes" int32 [B, T]."""
        del train
        encoded = seen.encoded
        projected = project(encoded, (self.code_dim,), ("features",))
        embedding_VD = parameter(
            self,
            "embedding",
            nn.initializers.normal(1.0),
            (self.clusters.num_clusters, self.code_dim),
            ("vocab", "features"),
        )
        cosine_BTV = unit(projected) @ unit(embedding_VD).T
        return {
            "logits": Padded(cosine_BTV / self.temperature, encoded.mask),
            "codes": Padded(self._codes(batch.audio, encoded.mask.shape[1]), encoded.mask),
        }

    def _codes(self, audio: Padded, num_frames: int) -> Int[Array, "batch frames"]:
        if self.is_initializing():
            return jnp.zeros((len(audio.values), num_frames), jnp.int32)
        variables = read_collection(self, "clusters")
        if not variables:
            raise UserError("model: the clusters that the head 'units' predicts were not given")
        codes_BT = self.clusters(variables, audio).values
        if codes_BT.shape[1] != num_frames:
            raise UserError(
                f"model: the clusters are of {codes_BT.shape[1]} frames where the encoder has "
                f"{num_frames}: find them with a stem of the same stride"
            )
        return codes_BT
