"""The spectrum around a frame of a stem, as a vector."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jasr.audio.cepstrum import cepstra
from jasr.types import Padded

# The frame before, itself, and the frame after.
NEIGHBOURHOOD = 3


def frame_cepstra(
    features: Padded, *, num_frames: int, num_cepstra: int
) -> Float[Array, "batch frames described"]:
    """The cepstra of all feature frames behind a frame and the two beside it, side by side.

    num_frames: of the stem; features are as many or a multiple, [B, stride x T, bands].
    Zeros stand for what is padding or beyond the ends. `described` is NEIGHBOURHOOD x stride x
    the cepstra of a feature frame.
    """
    coefficients = cepstra(features, num_cepstra)
    values = jnp.where(coefficients.mask[..., None], coefficients.values, 0)
    stride = -(-values.shape[1] // num_frames)
    values = jnp.pad(values, ((0, 0), (0, num_frames * stride - values.shape[1]), (0, 0)))
    of_frame_BTD = values.reshape(len(values), num_frames, -1)
    reach = NEIGHBOURHOOD // 2
    around = jnp.pad(of_frame_BTD, ((0, 0), (reach, reach), (0, 0)))
    return jnp.concatenate(
        [around[:, place : place + num_frames] for place in range(NEIGHBOURHOOD)], axis=-1
    )
