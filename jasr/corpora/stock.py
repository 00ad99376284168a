"""Speech sets that TFDS prepared itself, taken over from where they lie.

TFDS's `Audio` feature and its TFRecord files need TensorFlow, and cannot be read in random order;
so a stock set is read once, where TensorFlow is installed, and is a corpus like any other after.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jasr.corpora.source import Recording, RecordingStream, Source, wav_bytes
from jasr.errors import UserError, first_line


@dataclass(frozen=True)
class StockOptions:
    """Names of the set's features; one it does not have is "", and every other one is a label.

    feature_sample_rate: of the audio in Hz, where the feature itself does not say (0: it does).
    """

    audio: str = "speech"
    text: str = "text"
    speaker: str = "speaker_id"
    id: str = "id"
    feature_sample_rate: int = 0


class StockSource(Source):
    """A prepared TFDS set; `source` is the folder with its dataset_info.json."""

    Options = StockOptions
    needs_source = "the folder of a prepared TFDS set (DATA_DIR/NAME/CONFIG/VERSION)"

    def __init__(self, source: Path, options: StockOptions):
        self.folder = source
        self.options = options
        self.builder = _open(source)
        self.features: Mapping[str, Any] = self.builder.info.features
        for key in ("audio", "text", "speaker", "id"):
            name = getattr(options, key)
            if name and name not in self.features:
                raise UserError(
                    f"{source} has no feature {name!r} (config.corpus.options.{key}); "
                    f"it has {', '.join(self.features)}"
                )
        feature = self.features[options.audio]
        self.sample_rate: int = options.feature_sample_rate or getattr(feature, "sample_rate", 0)
        if not self.sample_rate:
            raise UserError(
                f"{source} does not say the sample rate of {options.audio!r}: "
                "set config.corpus.options.feature_sample_rate"
            )

    def fingerprint(self) -> str:
        return hashlib.sha256((self.folder / "dataset_info.json").read_bytes()).hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        return {
            name: RecordingStream(self._recordings(name), total=info.num_examples)
            for name, info in self.builder.info.splits.items()
        }

    def _recordings(self, split: str) -> Iterator[Recording]:
        options = self.options
        for number, example in enumerate(_examples(self.builder, split, options.audio)):
            audio = example[options.audio]
            if not isinstance(audio, bytes):
                audio = wav_bytes(_wave(audio), self.sample_rate)
            values = {name: self._plain(name, value) for name, value in example.items()}
            id_, text, speaker = (
                values.pop(name, None) for name in (options.id, options.text, options.speaker)
            )
            yield Recording(
                id=f"{split}-{number:07d}" if id_ is None else str(id_),
                audio=audio,
                text=text,
                speaker=None if speaker is None else str(speaker),
                labels={name: value for name, value in values.items() if value is not None},
            )

    def _plain(self, name: str, value: Any) -> Any:
        """A scalar as JSON has it, a class by its name; None for what is no scalar."""
        if name == self.options.audio or np.ndim(value) != 0:
            return None
        if isinstance(value, bytes):
            return value.decode("utf-8", errors="replace")
        feature = self.features[name]
        if isinstance(feature, tfds.features.ClassLabel):
            return feature.int2str(int(value))
        return np.asarray(value).item()


def _open(folder: Path) -> tfds.core.DatasetBuilder:
    if not (folder / "dataset_info.json").is_file():
        raise UserError(f"{folder} is no prepared TFDS set: there is no dataset_info.json in it")
    try:
        return tfds.builder_from_directory(folder)
    except ImportError as error:
        raise UserError(_needs_tensorflow(folder, error)) from error


def _examples(
    builder: tfds.core.DatasetBuilder, split: str, audio: str
) -> Iterator[Mapping[str, Any]]:
    """In the order of the records; those of TFRecord files through TensorFlow."""
    try:
        if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            yield from builder.as_data_source(split)
        else:
            # Audio stays as it was stored: files as bytes, which read_recording decodes.
            decoders = {audio: tfds.decode.SkipDecoding()}
            yield from tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
    except ImportError as error:
        raise UserError(_needs_tensorflow(Path(builder.data_dir), error)) from error


def _needs_tensorflow(folder: Path, error: ImportError) -> str:
    return f"reading {folder} needs TensorFlow (pip install tensorflow): {first_line(error)}"


def _wave(samples: np.ndarray) -> np.ndarray:
    """TFDS keeps 16-bit samples in integers of any width."""
    samples = np.asarray(samples)
    return samples if samples.dtype.kind == "f" else samples.astype(np.int16)
