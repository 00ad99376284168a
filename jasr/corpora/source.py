"""What a kind of corpus has to say for itself so that it can be prepared."""

import abc
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
from jaxtyping import Float, Int16


@dataclass(frozen=True)
class Recording:
    """A recording as its source has it: `audio` is a file, or the bytes of one.

    duration: seconds that it is said to last; None where nothing is said.
    """

    id: str
    audio: Path | bytes
    text: str | None = None
    speaker: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    duration: float | None = None


@dataclass(frozen=True)
class RecordingStream:
    """The recordings of a split, given once; `total` None where only reading them can tell."""

    recordings: Iterable[Recording]
    total: int | None = None


@dataclass(frozen=True)
class NoOptions:
    """Of a kind with nothing to choose."""


class Source(abc.ABC):
    """A place that recordings come from.

    Options:      frozen dataclass whose fields are the keys of the config's `options`.
    needs_source: what `--source` must be, in words; None for a kind that needs none.
    """

    Options: ClassVar[type] = NoOptions
    needs_source: ClassVar[str | None]

    @abc.abstractmethod
    def __init__(self, source: Path | None, options: Any): ...

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Equal for sources that would be prepared into the same corpus; reads no audio."""

    @abc.abstractmethod
    def splits(self) -> Mapping[str, RecordingStream]:
        """Every split by name; its recordings are asked for one split after the other."""


def wav_bytes(
    samples: Int16[np.ndarray, " samples"] | Float[np.ndarray, " samples"], sample_rate: int
) -> bytes:
    """Samples (int16, or floats in [-1, 1]) as a 16-bit WAV file, for a `Recording`."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
