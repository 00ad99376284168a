"""The TFDS builder of every corpus: recordings in, FLAC in ArrayRecord files out.

Source ──▶ Recording ──▶ decode, mix down, resample, FLAC ──▶ ArrayRecord
           a file           on threads, in order
"""

import functools
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import tensorflow_datasets as tfds
from tqdm import tqdm

from jasr.audio.recording import encode_flac, read_recording
from jasr.corpora.corpus import LENGTH_TOLERANCE_SECONDS, Problem, Utterance
from jasr.corpora.ordered_map import ordered_map
from jasr.corpora.source import Recording, RecordingStream, Source
from jasr.errors import UserError

VERSION = "1.0.0"


@dataclass
class SpeechConfig(tfds.core.BuilderConfig):
    """A corpus and how it is stored; `sample_rate` in Hz."""

    sample_rate: int = 16000
    source: Source | None = None


class SpeechBuilder(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Writes a Source's splits, and keeps their index and what could not be read.

    utterances: split -> id -> Utterance, of what was written.
    problems:   split -> recordings left out.
    """

    name = "jasr"
    VERSION = tfds.core.Version(VERSION)
    # Else TFDS looks there for checksums of downloads, with a package that it does not require.
    code_path = None

    def __init__(self, **kwargs: Any):
        super().__init__(file_format="array_record", **kwargs)
        self.utterances: dict[str, dict[str, Utterance]] = {}
        self.problems: dict[str, list[Problem]] = {}

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "id": tfds.features.Text(),
            "audio": tfds.features.Tensor(shape=(), dtype=np.bytes_),
            "text": tfds.features.Text(),
            "speaker": tfds.features.Text(),
            "duration": tfds.features.Scalar(np.float64),
            "labels": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Speech: 16-bit mono FLAC at {self.builder_config.sample_rate} Hz",
            features=tfds.features.FeaturesDict(features),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager
        streams = self.builder_config.source.splits()
        return {split: self._generate_examples(split, stream) for split, stream in streams.items()}

    def _generate_examples(
        self, split: str, stream: RecordingStream
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        utterances = self.utterances.setdefault(split, {})
        problems = self.problems.setdefault(split, [])
        encode = functools.partial(_encode_or_problem, sample_rate=self.builder_config.sample_rate)
        progress = tqdm(
            ordered_map(encode, stream.recordings, num_threads=os.cpu_count() or 1),
            desc=f"Preparing {split}",
            total=stream.total,
            unit=" recordings",
        )
        for recording, outcome in progress:
            if isinstance(outcome, UserError):
                problems.append(Problem(recording.id, str(outcome)))
                continue
            if recording.id in utterances:
                raise UserError(
                    f"two recordings of {split!r} have the id {recording.id!r}: give each its own"
                )
            flac, duration = outcome
            utterances[recording.id] = Utterance(
                recording.id, recording.text, recording.speaker, duration, recording.labels
            )
            yield recording.id, _example(utterances[recording.id], flac)
        if not utterances:
            first = f"; the first, {problems[0].id!r}: {problems[0].reason}" if problems else ""
            raise UserError(
                f"split {split!r}: none of its {len(problems)} recordings can be used{first}"
            )


def _example(utterance: Utterance, flac: bytes) -> dict[str, Any]:
    return {
        "id": utterance.id,
        "audio": flac,
        "text": utterance.text or "",
        "speaker": utterance.speaker or "",
        "duration": utterance.duration,
        "labels": json.dumps(dict(utterance.labels), ensure_ascii=False),
    }


def _encode_or_problem(
    recording: Recording, sample_rate: int
) -> tuple[Recording, tuple[bytes, float] | UserError]:
    try:
        return recording, _encode(recording, sample_rate)
    except UserError as error:
        return recording, error


def _encode(recording: Recording, sample_rate: int) -> tuple[bytes, float]:
    """FLAC bytes and seconds; bytes that are as they should be already are kept."""
    audio = recording.audio
    if isinstance(audio, bytes):
        wave, contents = read_recording(audio, sample_rate, name=recording.id), audio
    else:
        wave, contents = read_recording(audio, sample_rate), audio.read_bytes()
    duration = len(wave) / sample_rate
    said = recording.duration
    if said is not None and abs(said - duration) > LENGTH_TOLERANCE_SECONDS:
        raise UserError(
            f"its audio lasts {duration:.2f} s, and its source says {said:.2f} s: mend its "
            f"duration, or copy the file again"
        )
    if _is_stored_form(contents, sample_rate):
        return contents, duration
    return encode_flac(wave, sample_rate), duration


def _is_stored_form(contents: bytes, sample_rate: int) -> bool:
    with soundfile.SoundFile(io.BytesIO(contents)) as file:
        found = (file.format, file.subtype, file.channels, file.samplerate)
    return found == ("FLAC", "PCM_16", 1, sample_rate)
