"""Waveform augmentation: what is drawn for an utterance, and in which order it is applied."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from jasr.audio.waveform import (
    add_noise,
    apply_gain,
    generate_noise,
    random_excerpt,
    shape_spectrum,
)
from jasr.corpora.corpus import Corpus
from jasr.errors import UserError

# Of a filter that shapes the spectrum.
MAX_COEFFICIENT = 3 / 8
NOISE_COLORS: tuple[Literal["white", "pink"], ...] = ("white", "pink")


@dataclass(frozen=True)
class WaveformAugment:
    """Draws speed, spectral shape, noise and gain for each utterance anew in every epoch.

    speeds:            factors of speed perturbation, equally likely; the plan draws them, since
                       they change the length (Ko et al. 2015, Audio augmentation for speech
                       recognition).
    gain_db:           range of the gain in dB; a single number g stands for (-g, g).
    filter_probability: how often the spectrum is shaped, as by another microphone.
    noise_probability: how often noise is added.
    noise_snr_db:      range of the signal-to-noise ratio in dB.
    noise_corpus:      recordings to take noise from; white and pink noise is generated without.
    """

    speeds: tuple[float, ...] = (1.0,)
    gain_db: float | tuple[float, float] = 0.0
    filter_probability: float = 0.0
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    noise_corpus: Corpus | None = None

    def __post_init__(self):
        if not self.speeds or min(self.speeds) <= 0:
            raise UserError(f"augment.speeds: expected factors above 0, found {self.speeds}")
        for key in ("filter_probability", "noise_probability"):
            if not 0 <= getattr(self, key) <= 1:
                raise UserError(f"augment.{key}: expected 0 to 1, found {getattr(self, key)}")
        for key, bounds in (("gain_db", self._gain_bounds), ("noise_snr_db", self.noise_snr_db)):
            if len(bounds) != 2 or bounds[0] > bounds[1]:
                raise UserError(f"augment.{key}: expected (lowest, highest) in dB, found {bounds}")

    @property
    def _gain_bounds(self) -> tuple[float, ...]:
        return self.gain_db if isinstance(self.gain_db, tuple) else (-self.gain_db, self.gain_db)

    def __call__(
        self,
        wave: Float[np.ndarray, " samples"],
        random: np.random.Generator,
        problems: list[tuple[str, str]],
    ) -> Float[np.ndarray, " samples"]:
        """The wave with shape, noise and gain drawn from `random`; float32 of the same length.

        A noise recording that cannot be read is added to `problems` as (id, reason), and
        generated noise takes its place.
        """
        if self.filter_probability and random.random() < self.filter_probability:
            wave = shape_spectrum(wave, random.uniform(-MAX_COEFFICIENT, MAX_COEFFICIENT, 4))
        if random.random() < self.noise_probability:
            noise = self._noise(len(wave), random, problems)
            wave = add_noise(wave, noise, random.uniform(*self.noise_snr_db))
        low, high = self._gain_bounds
        return wave if low == high == 0 else apply_gain(wave, random.uniform(low, high))

    def _noise(
        self, num_samples: int, random: np.random.Generator, problems: list[tuple[str, str]]
    ) -> Float[np.ndarray, " samples"]:
        if self.noise_corpus is not None:
            index = int(random.integers(len(self.noise_corpus)))
            try:
                return random_excerpt(self.noise_corpus.read(index), num_samples, random)
            except UserError as error:
                problems.append((self.noise_corpus.utterances[index].id, str(error)))
        return generate_noise(num_samples, NOISE_COLORS[random.integers(len(NOISE_COLORS))], random)
