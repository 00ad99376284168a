"""Clusters of frames, found once in a sample of a corpus, and then read off every recording.

audio ──▶ description of each frame ──▶ scaled ──▶ the nearest centroid
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jasr.models.encoder import Encoder
from jasr.models.pretraining.frame_cepstra import NEIGHBOURHOOD, frame_cepstra
from jasr.models.pretraining.masked_speech import layer_outputs
from jasr.types import Padded


@runtime_checkable
class Description(Protocol):
    """What frames are clustered by; `num_features` of them."""

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
    """(variables, audio [B, samples]) -> the cluster of every frame.

    variables: "mean" [features], "std", one for all features, "centroids" [clusters, features] of
               scaled descriptions, and what the description needs.
    """

    describe: Description
    num_clusters: int

    def __call__(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        """int32 [B, T]"""
        return self.nearest(variables, self.scaled(variables, audio))

    def scaled(self, variables: Mapping[str, Any], audio: Padded) -> Padded:
        """Descriptions of frames, [B, T, features], each of mean 0 over the corpus."""
        described = self.describe(variables, audio)
        scaled = (described.values - variables["mean"]) / variables["std"]
        return Padded(scaled, described.mask)

    def nearest(self, variables: Mapping[str, Any], scaled: Padded) -> Padded:
        """The cluster of each scaled description, int32 [B, T]."""
        centroids_VF = variables["centroids"]
        # |x - c|^2 without |x|^2, which is the same for all.
        distance_BTV = jnp.sum(centroids_VF**2, axis=1) - 2 * scaled.values @ centroids_VF.T
        return Padded(jnp.argmin(distance_BTV, axis=-1), scaled.mask)
