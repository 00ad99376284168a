"""Noise that is added on the device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jasr.audio.add_noise import AddNoise
from jasr.errors import UserError
from jasr.types import Padded

LENGTHS = np.array([16_000, 12_000, 9_000])


def recordings(rows=60, size=16_000):
    rng = np.random.default_rng(0)
    lengths = LENGTHS[np.arange(rows) % 3]
    waves = 0.1 * rng.standard_normal((rows, 16_000), dtype=np.float32)
    waves = np.pad(waves, ((0, 0), (0, size - 16_000)))
    return Padded(jnp.array(waves), jnp.arange(size) < lengths[:, None])


def noise_over(audio, **options):
    keys = jax.vmap(jax.random.key)(jnp.arange(len(audio.values)))
    return np.asarray(jax.jit(AddNoise(**options))(audio, keys).values - audio.values)


def ratio_db(audio, noise, row):
    length = LENGTHS[row % 3]
    signal = np.asarray(audio.values[row, :length])
    return 10 * np.log10(np.mean(signal**2) / np.mean(noise[row, :length] ** 2))


def test_some_recordings_have_noise_of_the_ratio_asked():
    audio = recordings()
    noise = noise_over(audio, probability=0.5, snr_db=(5.0, 15.0))
    noisy = [row for row in range(60) if noise[row].any()]
    assert 18 <= len(noisy) <= 42
    ratios = [ratio_db(audio, noise, row) for row in noisy]
    assert min(ratios) >= 4.99
    assert max(ratios) <= 15.01
    assert max(ratios) - min(ratios) > 6
    assert not noise[~np.asarray(audio.mask)].any()


def test_half_of_the_noise_is_pink():
    """An octave of white noise has twice the power of the one below; of pink, as much."""
    noise = noise_over(recordings(), probability=1.0)
    slopes = []
    for row in range(0, 60, 3):
        power = np.abs(np.fft.rfft(noise[row])) ** 2
        octaves = [np.sum(power[edge : 2 * edge]) for edge in (125, 250, 500, 1000, 2000)]
        slopes.append(np.mean(np.diff(np.log2(octaves))))
    is_pink = np.abs(slopes) < 0.35
    is_white = np.abs(np.array(slopes) - 1) < 0.35
    assert (is_pink | is_white).all()
    assert 5 <= is_pink.sum() <= 15


def test_noise_depends_on_neither_padding_nor_batch_mates():
    options = {"probability": 1.0}
    whole = noise_over(recordings(), **options)
    wide = noise_over(recordings(size=20_000), **options)
    np.testing.assert_allclose(wide[:, :16_000], whole, atol=1e-5)
    few = noise_over(recordings(rows=2), **options)
    np.testing.assert_allclose(few, whole[:2], atol=1e-5)


def test_silence_stays_silent():
    audio = Padded(jnp.zeros((2, 1000)), jnp.ones((2, 1000), bool))
    assert np.abs(noise_over(audio, probability=1.0)).max() < 1e-4


@pytest.mark.parametrize("options", [{"probability": 1.2}, {"snr_db": (9.0, 3.0)}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(UserError, match="expected a probability"):
        AddNoise(**options)
