"""Recordings in files: any format that libsndfile reads, any rate, any number of channels.

file or bytes ──▶ decode ──▶ mean of channels ──▶ resample ──▶ float32 waveform
"""

import io
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from jasr.errors import UserError

FORMATS = "WAV, FLAC, Ogg, MP3 or another format of libsndfile"

# A damaged header can claim any rate, and resampling from an absurd one takes for ever.
MIN_RATE, MAX_RATE = 1_000, 768_000
# What libsndfile says of a stream whose header states no length.
UNSTATED_FRAMES = 2**63 - 1


def read_recording(
    source: Path | str | bytes, sample_rate: int, *, name: str | None = None
) -> Float[np.ndarray, " samples"]:
    """The mono waveform of a recording, float32, resampled to sample_rate (Hz).

    source: a path, or the file's contents.
    name:   what messages call the recording; the path where none is given.

    Full scale is [-1, 1], whatever the file's sample type. Raises UserError if the file is
    missing or not audio, claims an absurd rate, has no samples, or has a sample that is NaN or
    infinite.
    """
    name = _name(source) if name is None else name
    contents = source if isinstance(source, bytes) else _read_bytes(Path(source), name)
    wave, rate = _decode(contents, name)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UserError(f"{name} claims {rate} Hz: expected a rate of {MIN_RATE} to {MAX_RATE} Hz")
    if rate != sample_rate:
        wave = soxr.resample(wave, rate, sample_rate, quality="HQ")
    if not wave.size:
        raise UserError(f"{name} has no samples: expected a recording that is not empty")
    return wave


def read_piece(
    contents: bytes, start: int, stop: int, *, name: str
) -> Float[np.ndarray, " samples"]:
    """Samples start to stop of a recording, as `read_recording` gives them at its own rate.

    Nothing before them is decoded where the format can be sought in, as FLAC can. Fewer come where
    the recording ends. Raises UserError as `read_recording` does.
    """
    return _decode(contents, name, start, stop)[0]


def encode_flac(wave: Float[np.ndarray, " samples"], sample_rate: int) -> bytes:
    """A mono FLAC file of 16-bit samples; what exceeds [-1, 1] is clipped.

    Encoding what `read_recording` gives for such a file at its own rate gives the same samples.
    """
    samples = np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def duration_seconds(path: Path | str) -> float:
    """Seconds that a recording lasts, from its header alone.

    Raises UserError if the file is missing, is not audio, or has no samples.
    """
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            header = soundfile.info(file)
    except OSError as error:
        raise _unreadable(name, error) from error
    except (soundfile.LibsndfileError, TypeError) as error:
        raise _not_audio(name, error) from error
    if not header.frames:
        raise UserError(f"{name} has no samples: expected a recording that is not empty")
    if header.frames == UNSTATED_FRAMES:
        raise _of_unstated_length(name)
    return header.frames / header.samplerate


def _name(source: Path | str | bytes) -> str:
    return f"recording of {len(source)} bytes" if isinstance(source, bytes) else str(source)


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from error


def _decode(
    contents: bytes, name: str, start: int = 0, stop: int | None = None
) -> tuple[Float[np.ndarray, " samples"], int]:
    """The mono waveform and its rate."""
    file = io.BytesIO(contents)
    try:
        channels, rate = soundfile.read(
            file, start=start, stop=stop, dtype="float32", always_2d=True
        )
    # A damaged header can claim more samples than memory, or an array, holds.
    except (soundfile.LibsndfileError, MemoryError, ValueError) as error:
        if _is_of_unstated_length(contents):
            raise _of_unstated_length(name) from error
        raise _not_audio(name, error) from error
    wave = channels.mean(axis=1)
    finite = np.isfinite(wave)
    if not finite.all():
        first = int(np.argmin(finite))
        at = start + first
        raise UserError(
            f"{name}: sample {at} (at {at / rate:.3f} s) is {wave[first]}: "
            "expected finite samples; export the recording again"
        )
    return wave, rate


def _unreadable(name: str, error: OSError) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{name} does not exist: expected a recording")
    return UserError(f"{name} cannot be read: {error.strerror}")


def _is_of_unstated_length(contents: bytes) -> bool:
    try:
        return soundfile.info(io.BytesIO(contents)).frames == UNSTATED_FRAMES
    except (soundfile.LibsndfileError, TypeError):
        return False


def _of_unstated_length(name: str) -> UserError:
    return UserError(
        f"{name} does not say how long it is, as audio that was written to a pipe: convert it "
        f"again, to a file"
    )


def _not_audio(name: str, error: Exception) -> UserError:
    reason = getattr(error, "error_string", "damaged or missing header")
    reason = reason.removeprefix("Error : ").strip(" .\n")
    return UserError(f"{name} is not audio that can be read ({reason}): expected {FORMATS}")
