"""Log-mel features, inside the compiled step, in two conventions: LogMel and WhisperLogMel.

Frame t is centred on sample t * hop_length and is real iff that sample is. What an utterance
gives does not depend on how much padding follows it.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jasr.audio.mel_power import MelBands, mel_power
from jasr.audio.standardize import standardize
from jasr.errors import UserError, nearest
from jasr.types import Padded

Normalization = Literal["utterance", "global", "none"]

POWER_FLOOR = 1e-10


@dataclass(frozen=True)
class LogMel:
    """Natural logarithm of the power in mel bands, normalised.

    ln(max(mel, 1e-10)), mel as librosa.feature.melspectrogram gives it with its default
    conventions: periodic Hann window, centred frames with zeros beyond both ends, squared
    magnitude, Slaney mel filters; only the frame past the last sample is left out.

    sample_rate:     Hz.
    window_length:   samples, a multiple of 4; also the length of the Fourier transform.
    hop_length:      samples from one frame to the next.
    low_hz, high_hz: where the mel bands begin and end; None is half the sample rate.
    normalize:       "utterance": mean 0 and variance 1 of each band over the utterance;
                     "global": by `mean` and `std` of each band; "none".
    """

    sample_rate: int = 16_000
    window_length: int = 400
    hop_length: int = 160
    num_mels: int = 80
    low_hz: float = 0.0
    high_hz: float | None = None
    normalize: Normalization = "utterance"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self):
        choices = get_args(Normalization)
        if self.normalize not in choices:
            hint = nearest(self.normalize, choices)
            raise UserError(f"log-mel normalize {self.normalize!r} is unknown: {hint}")
        if self.window_length < 4 or self.window_length % 4:
            raise UserError(
                f"log-mel window_length is {self.window_length}: expected a multiple of 4 samples"
            )
        if self.hop_length < 1 or self.num_mels < 1:
            raise UserError(
                f"log-mel hop_length is {self.hop_length} and num_mels {self.num_mels}: "
                "expected 1 or more of each"
            )
        if not 0 <= self.low_hz < self._bands.high_hz <= self.sample_rate / 2:
            raise UserError(
                f"log-mel low_hz is {self.low_hz} and high_hz {self.high_hz}: expected 0 <= low_hz "
                f"< high_hz <= {self.sample_rate / 2:g}, half the sample rate"
            )
        if self.normalize == "global" and not (
            len(self.mean) == len(self.std) == self.num_mels and min(self.std) > 0
        ):
            raise UserError(
                "log-mel normalize 'global' needs a mean and a std above 0 for each of "
                f"{self.num_mels} bands, found {len(self.mean)} and {len(self.std)}"
            )

    def num_frames(self, num_samples: int) -> int:
        """Frames of that many samples."""
        return -(-num_samples // self.hop_length)

    def __call__(self, audio: Padded) -> Padded:
        """audio: [B, samples] -> float32 [B, num_frames(samples), num_mels]; 0 where padded."""
        half = self.window_length // 2
        wave_BS = jnp.pad(_silent_padding(audio), ((0, 0), (half, 0)))
        num_frames = self.num_frames(audio.values.shape[1])
        power_BTM = mel_power(wave_BS, self._bands, num_frames=num_frames)
        mask_BT = jnp.asarray(audio.mask)[:, :: self.hop_length]
        log_mel_BTM = self._normalized(jnp.log(jnp.maximum(power_BTM, POWER_FLOOR)), mask_BT)
        return _zero_padding(log_mel_BTM, mask_BT)

    def _normalized(
        self, x_BTM: Float[Array, "batch frames mels"], mask_BT: Bool[Array, "batch frames"]
    ) -> Float[Array, "batch frames mels"]:
        if self.normalize == "none":
            return x_BTM
        if self.normalize == "global":
            return (x_BTM - jnp.asarray(self.mean)) / jnp.asarray(self.std)
        return standardize(x_BTM, mask_BT)

    @property
    def _bands(self) -> MelBands:
        high_hz = self.sample_rate / 2 if self.high_hz is None else self.high_hz
        return MelBands(
            self.sample_rate,
            self.window_length,
            self.hop_length,
            self.num_mels,
            float(self.low_hz),
            float(high_hz),
        )


@dataclass(frozen=True)
class WhisperLogMel:
    """Log-mel as OpenAI's Whisper hears it (Radford et al. 2022).

    (max(log10 mel, the utterance's highest - 8) + 4) / 4, windows of 25 ms every 10 ms.

    num_mels:      80, or 128 as large-v3 has.
    chunk_seconds: the recording is continued with silence or cut to so many seconds, and all of
                   them are real frames, as in Whisper's training; a row with no real sample
                   stays padding. None: any length, silence after the end, real frames alone.
    """

    window_length: ClassVar[int] = 400
    hop_length: ClassVar[int] = 160

    sample_rate: int = 16_000
    num_mels: int = 80
    chunk_seconds: float | None = 30.0

    def __post_init__(self):
        if self.sample_rate != 16_000:
            raise UserError(f"Whisper's log-mel takes 16000 Hz, found {self.sample_rate} Hz")
        if self.num_mels not in (80, 128):
            raise UserError(f"Whisper's log-mel has 80 or 128 bands, found {self.num_mels}")
        if self.chunk_seconds is not None and self.chunk_seconds * self.sample_rate < 1:
            raise UserError(
                f"Whisper's chunk_seconds is {self.chunk_seconds}: expected more than 0"
            )

    def num_frames(self, num_samples: int) -> int:
        """Frames of that many samples, or of the chunk if there is one."""
        num_samples = num_samples if self.chunk_seconds is None else self._chunk_samples
        return -(-num_samples // self.hop_length)

    def __call__(self, audio: Padded) -> Padded:
        """audio: [B, samples] -> float32 [B, num_frames(samples), num_mels]; 0 where padded."""
        wave_BS = _silent_padding(audio)
        half = self.window_length // 2
        num_frames = self.num_frames(wave_BS.shape[1])
        if self.chunk_seconds is None:
            mask_BT = jnp.asarray(audio.mask)[:, :: self.hop_length]
            wave_BS = _mirrored_start(wave_BS, half)
        else:
            mask_BT = jnp.broadcast_to(audio.mask[:, :1], (len(wave_BS), num_frames))
            wave_BS = _mirrored_start(_resized(wave_BS, self._chunk_samples), half)
            wave_BS = _mirrored_start(wave_BS[:, ::-1], half)[:, ::-1]
        power_BTM = mel_power(wave_BS, self._bands, num_frames=num_frames)
        log_mel_BTM = jnp.log10(jnp.maximum(power_BTM, POWER_FLOOR))
        highest_B11 = jnp.max(
            log_mel_BTM, axis=(1, 2), keepdims=True, where=mask_BT[..., None], initial=-10.0
        )
        log_mel_BTM = (jnp.maximum(log_mel_BTM, highest_B11 - 8.0) + 4.0) / 4.0
        return _zero_padding(log_mel_BTM, mask_BT)

    @property
    def _chunk_samples(self) -> int:
        assert self.chunk_seconds is not None
        return round(self.chunk_seconds * self.sample_rate)

    @property
    def _bands(self) -> MelBands:
        high_hz = self.sample_rate / 2
        return MelBands(
            self.sample_rate, self.window_length, self.hop_length, self.num_mels, 0.0, high_hz
        )


def _silent_padding(audio: Padded) -> Float[Array, "batch samples"]:
    return jnp.where(audio.mask, audio.values, 0.0).astype(jnp.float32)


def _zero_padding(x_BTM: Float[Array, "batch frames mels"], mask_BT: Bool[Array, "batch frames"]):
    return Padded(jnp.where(mask_BT[..., None], x_BTM, 0.0), mask_BT)


def _resized(wave_BS: Float[Array, "batch samples"], num_samples: int):
    """Cut or continued with silence to num_samples."""
    missing = max(num_samples - wave_BS.shape[1], 0)
    return jnp.pad(wave_BS[:, :num_samples], ((0, 0), (0, missing)))


def _mirrored_start(wave_BS: Float[Array, "batch samples"], count: int):
    """Preceded by its samples count ... 1, the mirror image about its first."""
    wave_BS = _resized(wave_BS, max(wave_BS.shape[1], count + 1))
    return jnp.concatenate([wave_BS[:, count:0:-1], wave_BS], axis=1)
