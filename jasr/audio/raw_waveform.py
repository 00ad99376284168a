"""The waveform itself, in the place of log-mel features."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jasr.types import Padded

VARIANCE_FLOOR = 1e-7


@dataclass(frozen=True)
class RawWaveform:
    """audio [B, samples] -> features [B, samples, 1], mean 0 and variance 1 over each recording.

    For the stem "wav2vec2". Baevski et al. 2020, "wav2vec 2.0", section 2.

    sample_rate: Hz.
    """

    sample_rate: int = 16_000

    num_mels: ClassVar[int] = 1
    hop_length: ClassVar[int] = 1

    def __call__(self, audio: Padded) -> Padded:
        count_B1 = jnp.maximum(jnp.sum(audio.mask, axis=1, keepdims=True), 1)
        mean_B1 = jnp.sum(audio.values, axis=1, keepdims=True, where=audio.mask) / count_B1
        centred_BT = jnp.where(audio.mask, audio.values - mean_B1, 0)
        variance_B1 = jnp.sum(centred_BT**2, axis=1, keepdims=True) / count_B1
        scaled_BT = centred_BT / jnp.sqrt(variance_B1 + VARIANCE_FLOOR)
        return Padded(scaled_BT[..., None], audio.mask)
