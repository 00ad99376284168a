"""Waveform augmentation on the host: speed, spectral shape, gain and noise.

Pure functions: what is random comes from the generator that the caller gives.
"""

import math
from typing import Literal

import numpy as np
import soxr
from jaxtyping import Float


def change_speed(wave: Float[np.ndarray, " samples"], speed: float) -> Float[np.ndarray, " faster"]:
    """The wave played `speed` times as fast, ceil(samples / speed) samples long.

    Tempo and pitch change together, as when a tape runs faster (Ko et al. 2015).
    """
    if speed == 1:
        return wave
    num_samples = math.ceil(len(wave) / speed)
    faster = soxr.resample(wave, speed, 1.0, quality="HQ")[:num_samples]
    return np.pad(faster, (0, num_samples - len(faster)))


def apply_gain(
    wave: Float[np.ndarray, " samples"], gain_db: float
) -> Float[np.ndarray, " samples"]:
    """The wave made louder by gain_db (dB), quieter where that is negative."""
    return wave * np.float32(10 ** (gain_db / 20))


def shape_spectrum(
    wave: Float[np.ndarray, " samples"], coefficients: Float[np.ndarray, "4"]
) -> Float[np.ndarray, " samples"]:
    """The wave as through another microphone: H(z) = (1 + a z⁻¹ + b z⁻²) / (1 + c z⁻¹ + d z⁻²).

    coefficients: a, b, c, d; the filter is stable where |c| + |d| < 1.

    Valin 2018, "A hybrid DSP/deep learning approach to real-time full-band speech enhancement",
    which draws all four from -3/8 to 3/8 to make training robust to how it was recorded.
    """
    # Imported at first use: it takes a second.
    from scipy.signal import lfilter

    a, b, c, d = coefficients
    return lfilter([1.0, a, b], [1.0, c, d], wave).astype(np.float32)


def add_noise(
    wave: Float[np.ndarray, " samples"], noise: Float[np.ndarray, " noise"], snr_db: float
) -> Float[np.ndarray, " samples"]:
    """The wave with noise added at a signal-to-noise ratio of snr_db (dB).

    The noise is cut to the wave, or repeated to fill it; the ratio is that of mean powers over
    the whole of both. Where either is silent there is no such ratio, and the wave stays.
    """
    noise = np.resize(noise, wave.shape)
    signal_power, noise_power = _power(wave), _power(noise)
    if not signal_power or not noise_power:
        return wave
    scale = math.sqrt(signal_power / (noise_power * 10 ** (snr_db / 10)))
    return wave + np.float32(scale) * noise


def random_excerpt(
    wave: Float[np.ndarray, " samples"], num_samples: int, random: np.random.Generator
) -> Float[np.ndarray, " {num_samples}"]:
    """num_samples of a wave from a random place on, going round from its end to its start."""
    return np.resize(np.roll(wave, -int(random.integers(len(wave)))), num_samples)


def generate_noise(
    num_samples: int, color: Literal["white", "pink"], random: np.random.Generator
) -> Float[np.ndarray, " {num_samples}"]:
    """Gaussian float32 noise, of equal power at each frequency (white) or in each octave (pink)."""
    white = random.standard_normal(num_samples, dtype=np.float32)
    if color == "white":
        return white
    spectrum = np.fft.rfft(white)
    # Power falls as 1 / frequency; at 0 Hz that has no bound, and nothing is heard.
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum, num_samples).astype(np.float32)


def _power(wave: Float[np.ndarray, " samples"]) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))
