"""Cepstra of log-mel features."""

import jax.numpy as jnp
import numpy as np
import scipy.fft
from jaxtyping import Float

from jasr.types import Padded


def cepstra(features: Padded, count: int) -> Padded:
    """The first `count` cepstral coefficients of log-mel features, [B, T, bands] -> [B, T, count].

    The orthonormal discrete cosine transform, type II, over the bands.
    Davis & Mermelstein 1980, "Comparison of parametric representations for monosyllabic word
    recognition", equation 1.
    """
    return Padded(
        jnp.matmul(features.values, _transform(features.values.shape[-1], count)), features.mask
    )


def _transform(bands: int, count: int) -> Float[np.ndarray, "bands count"]:
    return scipy.fft.dct(np.eye(bands), norm="ortho", axis=1)[:, :count].astype(np.float32)
