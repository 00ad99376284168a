"""Waveform augmentation as configured."""

import numpy as np
import pytest
from tone_corpus import SAMPLE_RATE, write_manifest

from jasr.corpora.manifest_file import ManifestCorpus
from jasr.errors import UserError
from jasr.pipeline.augment import WaveformAugment


def tone(samples: int = 4000) -> np.ndarray:
    return (0.1 * np.sin(0.3 * np.arange(samples))).astype(np.float32)


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(signal)) / np.mean(np.square(noise)))


def augmented(augment: WaveformAugment, seed: int = 0) -> tuple[np.ndarray, list]:
    problems: list[tuple[str, str]] = []
    return augment(tone(), np.random.default_rng(seed), problems), problems


def test_nothing_configured_changes_nothing():
    np.testing.assert_array_equal(augmented(WaveformAugment())[0], tone())


@pytest.mark.parametrize("gain_db", [6.0, (-6.0, 6.0)])
def test_gain_stays_in_its_range_and_varies(gain_db):
    gains = [
        decibels(augmented(WaveformAugment(gain_db=gain_db), seed)[0], tone()) for seed in range(50)
    ]
    assert min(gains) >= -6.001
    assert max(gains) <= 6.001
    assert max(gains) - min(gains) > 8


def test_a_range_of_one_gain_is_that_gain():
    wave, _ = augmented(WaveformAugment(gain_db=(-3.0, -3.0)))
    assert decibels(wave, tone()) == pytest.approx(-3.0, abs=0.01)


def test_the_spectrum_is_shaped_as_often_as_asked_and_each_time_another():
    augment = WaveformAugment(filter_probability=0.5)
    levels = [decibels(augmented(augment, seed)[0], tone()) for seed in range(60)]
    shaped = [level for level in levels if level]
    assert 15 <= len(shaped) <= 45
    assert len(set(shaped)) == len(shaped)
    assert max(map(abs, shaped)) < 15


def test_noise_is_as_loud_and_as_frequent_as_asked():
    augment = WaveformAugment(noise_probability=0.5, noise_snr_db=(10.0, 20.0))
    noises = [augmented(augment, seed)[0] - tone() for seed in range(60)]
    ratios = [decibels(tone(), noise) for noise in noises if np.any(noise)]
    assert 15 <= len(ratios) <= 45
    assert min(ratios) >= 9.9
    assert max(ratios) <= 20.1


def test_noise_comes_from_the_corpus_given(tmp_path):
    corpus = ManifestCorpus(write_manifest(tmp_path, 1), SAMPLE_RATE)
    augment = WaveformAugment(noise_probability=1.0, noise_snr_db=(0.0, 0.0), noise_corpus=corpus)
    noise = augmented(augment)[0] - tone()
    spectrum = np.abs(np.fft.rfft(noise))
    peak = np.argmax(spectrum) * SAMPLE_RATE / len(noise)
    assert peak == pytest.approx(200, abs=5)


def test_an_unreadable_noise_recording_is_named_and_generated_noise_used(tmp_path):
    corpus = ManifestCorpus(write_manifest(tmp_path, 1), SAMPLE_RATE)
    (tmp_path / "u0.flac").write_bytes(b"not audio")
    augment = WaveformAugment(noise_probability=1.0, noise_corpus=corpus)
    wave, problems = augmented(augment)
    assert [id for id, _ in problems] == ["u0"]
    assert np.any(wave != tone())


def test_the_same_draws_give_the_same_wave():
    augment = WaveformAugment(gain_db=3.0, noise_probability=1.0)
    np.testing.assert_array_equal(augmented(augment, 7)[0], augmented(augment, 7)[0])
    assert np.any(augmented(augment, 7)[0] != augmented(augment, 8)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"speeds": ()},
        {"speeds": (0.0, 1.0)},
        {"filter_probability": -0.1},
        {"noise_probability": 1.5},
        {"gain_db": (3.0, -3.0)},
        {"noise_snr_db": (20.0, 5.0)},
    ],
)
def test_impossible_settings_are_an_error_that_names_the_key(options):
    with pytest.raises(UserError, match=f"augment.{next(iter(options))}"):
        WaveformAugment(**options)
