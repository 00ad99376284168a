"""What a head of masked prediction sees."""

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from jasr.layers.linear import Linear
from jasr.types import Padded


@dataclasses.dataclass(frozen=True)
class MaskedFrames:
    """A batch on its way through a model.

    features:       of everything, [B, stride x T, num_mels].
    frames:         what the stem makes of them, [B, T, embed_dim]; nothing masked.
    encoded:        what the layers make of them with spans masked, [B, T, embed_dim].
    masked:         Bool[Array, "batch frames"]
    keys:           a key of each example, [B].
    teacher_states: of each layer of an encoder of averaged parameters that sees everything,
                    [layers, B, T, embed_dim].
    """

    features: Padded
    frames: Padded
    encoded: Padded
    masked: Any
    keys: Any
    teacher_states: Callable[[], Array]


def project(
    encoded: Padded, features: tuple[int, ...], axes: tuple[str, ...]
) -> Float[Array, "batch frames ..."]:
    """A head's linear layer "project" over the encoder's frames, float32."""
    layer = Linear(
        features,
        ("embed",),
        axes,
        dtype=encoded.values.dtype.name,
        out_dtype="float32",
        name="project",
    )
    return layer(encoded.values)
