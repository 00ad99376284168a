import numpy as np
import pytest

from jasr.audio.recording import read_recording
from jasr.types import Padded

SPEECH = (
    "fsdd/audio/0_george_0.flac",
    "an4/audio/an1-mblw-b.ogg",
    "speechocean762/audio/022360092.ogg",
)


@pytest.fixture(scope="session")
def speech(real_data):
    """Recordings of 0.3 s (of 8 kHz originally), 2 s and 4 s, at 16 kHz."""
    return [read_recording(real_data / path, 16_000) for path in SPEECH]


@pytest.fixture(scope="session")
def pad_waves():
    """Waves -> Padded [B, num_samples], with `fill` where there is no sample."""

    def pad(waves, num_samples=None, fill=0.0):
        num_samples = num_samples or max(map(len, waves))
        values = np.full((len(waves), num_samples), fill, np.float32)
        mask = np.zeros(values.shape, bool)
        for row, wave in enumerate(waves):
            values[row, : len(wave)] = wave
            mask[row, : len(wave)] = True
        return Padded(values, mask)

    return pad
