"""Noise over recordings, on the device: of a batch whose own audio stays at hand for others."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jasr.errors import UserError
from jasr.types import Padded

# How many octaves pink noise has: at 16 kHz down to 4 Hz.
OCTAVES = 12


@dataclass(frozen=True)
class AddNoise:
    """Adds white or pink noise, equally likely, to some recordings of a batch.

    probability: how often a recording has noise.
    snr_db:      range of the signal-to-noise ratio in dB, of mean powers over the recording.
    """

    probability: float = 0.5
    snr_db: tuple[float, float] = (0.0, 20.0)

    def __post_init__(self):
        if not 0 <= self.probability <= 1 or self.snr_db[0] > self.snr_db[1]:
            raise UserError(
                f"{self}: expected a probability from 0 to 1, and the lowest and highest dB"
            )

    def __call__(self, audio: Padded, keys: Key[Array, " batch"]) -> Padded:
        """audio: [B, samples]; the same shape, and padding stays as it is.

        What is added to a recording depends on its key and its own samples alone.
        """
        return Padded(jax.vmap(self._add)(audio.values, audio.mask, keys), audio.mask)

    def _add(
        self, wave: Float[Array, " samples"], mask: Bool[Array, " samples"], key: Key[Array, ""]
    ) -> Float[Array, " samples"]:
        key_of_noise, key_of_rest = jax.random.split(key)
        is_noisy, is_pink, place = jax.random.uniform(key_of_rest, (3,))
        white = jax.random.normal(key_of_noise, wave.shape)
        noise = jnp.where(is_pink < 0.5, _pink(key_of_noise, len(wave)), white)
        low, high = self.snr_db
        ratio = 10 ** ((low + place * (high - low)) / 10)
        noise_power = jnp.sum(jnp.square(noise), where=mask)
        scale = jnp.sqrt(jnp.sum(jnp.square(wave), where=mask) / (noise_power * ratio + 1e-20))
        return jnp.where(mask & (is_noisy < self.probability), wave + scale * noise, wave)


def _pink(key: Key[Array, ""], num_samples: int) -> Float[Array, " {num_samples}"]:
    """Noise of about equal power in each octave: the sum of steps that last 1, 2, 4 ... samples.

    Gardner 1978, "White and brown music, fractal curves and one-over-f fluctuations", after Voss.
    Its first samples are the same however many there are.
    """
    total = jnp.zeros(num_samples)
    for octave, key_of_octave in enumerate(jax.random.split(key, OCTAVES)):
        length = 2**octave
        steps = jax.random.normal(key_of_octave, (-(-num_samples // length),))
        total += jnp.repeat(steps, length)[:num_samples]
    return total
