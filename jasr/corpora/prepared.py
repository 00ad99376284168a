"""A prepared corpus on disk, and reading it.

    DATA_DIR/jasr/NAME-RATEhz/VERSION/
        dataset_info.json, features.json, *.array_record-*    TFDS's own
        index-SPLIT.jsonl     one utterance a line, in the order of the records
        source.json           what it was prepared from
        problems.jsonl        recordings that could not be read, and why

A folder of this name is complete: it appears by one rename when everything is in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float

from jasr.audio.recording import read_piece, read_recording
from jasr.corpora.corpus import Corpus, Problem, Utterance
from jasr.errors import UserError, first_line
from jasr.files import read_json_lines, write_json_lines

PROBLEMS_FILE = "problems.jsonl"
SOURCE_FILE = "source.json"


class PreparedCorpus(Corpus):
    """One split of a prepared corpus; files are opened at first use, in each process anew."""

    def __init__(self, folder: Path, name: str, split: str, sample_rate: int):
        self.folder = folder
        self.name = name
        self.split = split
        self.sample_rate = sample_rate

    def __reduce__(self):
        return PreparedCorpus, (self.folder, self.name, self.split, self.sample_rate)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return read_index(self.folder, self.split)

    @cached_property
    def problems(self) -> Sequence[Problem]:
        rows = read_problems(self.folder)
        return [Problem(row["id"], row["reason"]) for row in rows if row["split"] == self.split]

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return read_recording(self._audio(index), self.sample_rate, name=self._place(index))

    def read_piece(self, index: int, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        return read_piece(self._audio(index), start, stop, name=self._place(index))

    def _place(self, index: int) -> str:
        return f"record {index} of {self.folder}"

    def _audio(self, index: int) -> bytes:
        try:
            audio: bytes = self._records[index]["audio"]
        # The reader's own errors are many, and have no common base below Exception.
        except Exception as error:
            raise UserError(
                f"utterance {self.utterances[index].id!r} of {self.folder}: "
                f"its record is corrupt ({first_line(error)}); delete the folder and prepare it "
                f"again"
            ) from error
        return audio

    @cached_property
    def _records(self) -> Sequence[Mapping[str, Any]]:
        return tfds.builder_from_directory(self.folder).as_data_source(self.split)


def splits_of(folder: Path) -> list[str]:
    """Names of the splits of a prepared corpus."""
    return sorted(path.stem.removeprefix("index-") for path in folder.glob("index-*.jsonl"))


def read_index(folder: Path, split: str) -> list[Utterance]:
    """The utterances of a split, in the order of their records."""
    return [Utterance(**row) for row in _read_json_lines(_index_path(folder, split))]


def read_problems(folder: Path) -> list[dict[str, Any]]:
    """Recordings left out of a prepared corpus: `split`, `id` and `reason`."""
    return _read_json_lines(folder / PROBLEMS_FILE)


def write_index(folder: Path, split: str, utterances: Mapping[str, Utterance]) -> None:
    """Writes the index of a split; reads every record once, so it holds what can be read."""
    records = tfds.builder_from_directory(folder).as_data_source(split)
    ordered = (utterances[record["id"].decode()] for record in records)
    write_json_lines(_index_path(folder, split), map(asdict, ordered))


def _index_path(folder: Path, split: str) -> Path:
    return folder / f"index-{split}.jsonl"


def _read_json_lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [row for _, row in read_json_lines(path)]
    except UserError as error:
        raise UserError(f"{error}; delete the folder {path.parent} and prepare it again") from error
