"""Clusters of frames, found once in a sample of a corpus, and then read off every recording.

audio ──▶ description of each frame ──▶ scaled ──▶ the nearest centroid ─┐
                                          ▲                              │
                                          └── what is left, the next codebook
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jasr.models.encoder import Encoder
from jasr.models.pretraining.frame_cepstra import NEIGHBOURHOOD, frame_cepstra
from jasr.models.pretraining.masked_speech import layer_outputs
from jasr.types import Padded


@runtime_checkable
class Description(Protocol):
    """What frames are clustered by; `num_features` of them, made of those of `log_mel`."""

    @property
    def log_mel(self) -> Callable[[Padded], Padded]: ...

    @property
    def num_features(self) -> int: ...

    def __call__(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        """[B, T, features], float32."""
        ...


@dataclasses.dataclass(frozen=True)
class Cepstra:
    """The cepstra of all feature frames behind a frame and the two beside it (`frame_cepstra`).

    stride: feature frames behind each.
    """

    log_mel: Callable[[Padded], Padded]
    stride: int
    num_cepstra: int = 13

    @property
    def num_features(self) -> int:
        return NEIGHBOURHOOD * self.stride * self.num_cepstra

    def __call__(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        del variables
        features = self.log_mel(audio)
        mask = features.mask[:, :: self.stride]
        described = frame_cepstra(features, num_frames=mask.shape[1], num_cepstra=self.num_cepstra)
        return Padded(described, mask)


@dataclasses.dataclass(frozen=True)
class TeacherLayer:
    """What a layer of a trained encoder makes of a recording; layers are counted from 1.

    variables: "teacher", the encoder's parameters.
    """

    log_mel: Callable[[Padded], Padded]
    encoder: Encoder
    layer: int

    @property
    def num_features(self) -> int:
        return self.encoder.embed_dim

    def __call__(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        params = dict(variables["teacher"])
        params["layers"] = jax.tree.map(lambda leaf: leaf[: self.layer], params["layers"])
        lower = self.encoder.clone(num_layers=self.layer, parent=None)
        states = layer_outputs(lower, params, self.log_mel(audio))
        return Padded(states.values[-1].astype(jnp.float32), states.mask)


@dataclasses.dataclass(frozen=True)
class Clusters:
    """(variables, audio [B, samples]) -> the clusters of every frame, one in each codebook.

    The sum of a frame's centroids is what they make of it: each codebook is of what those before it
    leave over. One codebook is k-means and no more.

    variables: "mean" [features], "std", one for all features, "centroids" [codebooks, clusters,
               features] of scaled descriptions, and what the description needs.

    Chen, Guan and Wang 2010, "Approximate nearest neighbor search by residual vector quantization".
    """

    describe: Description
    num_clusters: int
    num_codebooks: int = 1

    def __call__(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        """int32 [B, T, codebooks]"""
        return self.nearest(variables, self.scaled(variables, audio))

    def scaled(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        """Descriptions of frames, [B, T, features], each of mean 0 over the corpus."""
        described = self.describe(variables, audio)
        scaled = (described.values - variables["mean"]) / variables["std"]
        return Padded(scaled, described.mask)

    def nearest(self, variables: Mapping[str, Any], scaled: Padded) -> Padded:
        """The clusters of each scaled description, int32 [B, T, codebooks]."""

        def quantize(left_BTF: Array, centroids_VF: Array) -> tuple[Array, Array]:
            # |x - c|^2 without |x|^2, which is the same for all.
            distance_BTV = jnp.sum(centroids_VF**2, axis=1) - 2 * left_BTF @ centroids_VF.T
            code_BT = jnp.argmin(distance_BTV, axis=-1).astype(jnp.int32)
            return left_BTF - centroids_VF[code_BT], code_BT

        _, codes_NBT = jax.lax.scan(quantize, scaled.values, jnp.asarray(variables["centroids"]))
        return Padded(jnp.moveaxis(codes_NBT, 0, -1), scaled.mask)
