import numpy as np
import pytest

from jasr.audio.waveform import (
    add_noise,
    apply_gain,
    change_speed,
    generate_noise,
    random_excerpt,
    shape_spectrum,
)


def tone(hz, num_samples=16_000):
    return np.sin(2 * np.pi * hz * np.arange(num_samples) / 16_000).astype(np.float32)


def power(wave):
    return np.mean(np.square(wave, dtype=np.float64))


def loudest_hz(wave):
    return np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * 16_000 / len(wave)


@pytest.mark.parametrize("speed", [0.9, 1.1, 0.5, 1.37])
def test_speed_changes_length_and_pitch(speed):
    wave = change_speed(tone(1000), speed)
    assert wave.dtype == np.float32
    assert len(wave) == np.ceil(16_000 / speed)
    assert loudest_hz(wave) == pytest.approx(1000 * speed, abs=2)
    assert power(wave[500:-500]) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("num_samples", [1, 2, 4767, 16_001])
@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_gives_the_length_it_states(num_samples, speed):
    assert len(change_speed(np.ones(num_samples, np.float32), speed)) == np.ceil(
        num_samples / speed
    )


def test_own_speed_is_the_wave_itself():
    wave = tone(300)
    assert change_speed(wave, 1.0) is wave


@pytest.mark.parametrize("hz", [200, 1000, 3900, 7500])
def test_a_filter_shapes_the_spectrum_as_its_equation_says(hz):
    a, b, c, d = 0.3, -0.2, -0.35, 0.1
    wave = shape_spectrum(tone(hz), np.array([a, b, c, d]))
    assert wave.dtype == np.float32
    assert len(wave) == 16_000
    z = np.exp(2j * np.pi * hz / 16_000)
    expected = abs((1 + a / z + b / z**2) / (1 + c / z + d / z**2))
    assert np.sqrt(power(wave[100:]) / power(tone(hz)[100:])) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("gain_db", [-20.0, 0.0, 6.0])
def test_gain(gain_db):
    wave = apply_gain(tone(500), gain_db)
    assert wave.dtype == np.float32
    assert 10 * np.log10(power(wave) / power(tone(500))) == pytest.approx(gain_db, abs=1e-4)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 30.0])
@pytest.mark.parametrize("num_noise", [7_000, 16_000, 50_000])
def test_noise_has_the_stated_ratio(snr_db, num_noise):
    wave, noise = tone(500), 0.3 * generate_noise(num_noise, "white", np.random.default_rng(0))
    added = add_noise(wave, noise, snr_db) - wave
    assert added.dtype == np.float32
    assert 10 * np.log10(power(wave) / power(added)) == pytest.approx(snr_db, abs=0.01)


def test_short_noise_is_repeated():
    noise = np.array([1.0, -1.0, 0.5], np.float32)
    added = add_noise(np.ones(7, np.float32), noise, 0.0) - 1
    np.testing.assert_allclose(added / added[0], [1, -1, 0.5, 1, -1, 0.5, 1], rtol=1e-5)


def test_silence_has_no_ratio():
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(add_noise(silence, tone(500, 100), 10.0), silence)
    np.testing.assert_array_equal(add_noise(tone(500, 100), silence, 10.0), tone(500, 100))


def octave_powers(wave):
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    return np.array([spectrum[2**k : 2 ** (k + 1)].sum() for k in range(9, 15)])


def test_white_noise_doubles_in_power_by_the_octave_and_pink_does_not():
    white, pink = (
        octave_powers(generate_noise(2**16, color, np.random.default_rng(1)))
        for color in ("white", "pink")
    )
    np.testing.assert_allclose(white[1:] / white[:-1], 2, rtol=0.2)
    np.testing.assert_allclose(pink[1:] / pink[:-1], 1, rtol=0.2)


@pytest.mark.parametrize("num_samples", [1, 2, 4767])
@pytest.mark.parametrize("color", ["white", "pink"])
def test_generated_noise_is_the_generators(num_samples, color):
    first, again, other = (
        generate_noise(num_samples, color, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert first.dtype == np.float32
    assert first.shape == (num_samples,)
    np.testing.assert_array_equal(first, again)
    assert num_samples == 1 or (first != other).any()


def test_excerpts_start_anywhere_and_go_round():
    wave = np.arange(10, dtype=np.float32)
    random = np.random.default_rng(0)
    excerpts = [random_excerpt(wave, 23, random) for _ in range(100)]
    for excerpt in excerpts:
        np.testing.assert_array_equal(np.diff(excerpt) % 10, 1)
    assert {excerpt[0] for excerpt in excerpts} == set(wave)
