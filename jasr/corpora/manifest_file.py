"""Manifests: one recording a line, as JSON lines or as TSV with a header.

    {"id": "a1", "audio": "audio/a1.flac", "text": "hello", "speaker": "kim", "split": "train"}

`id` and `audio` are required; `text`, `speaker`, `split` and `duration` (seconds) are optional;
every other column is a label. Relative audio paths are relative to the manifest's folder.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jasr.audio.recording import duration_seconds, read_recording
from jasr.corpora.corpus import Corpus, Problem, Utterance, find_split
from jasr.errors import UserError
from jasr.files import read_json_lines, read_lines

COLUMNS = ("id", "audio", "text", "speaker", "split", "duration")
MANIFEST_NAMES = ("manifest.jsonl", "manifest.tsv")
DEFAULT_SPLIT = "train"
LONGEST_SECONDS = 24 * 3600.0
# A lone surrogate, or NUL as JSON has it.
NO_CHARACTER = re.compile(r"[\ud800-\udfff]|(?<!\\)\\u0000")


@dataclass(frozen=True)
class ManifestRow:
    """One recording; `duration` in seconds where it is given, `split` "train" where none is."""

    id: str
    audio: Path
    text: str | None
    speaker: str | None
    split: str
    duration: float | None
    labels: Mapping[str, Any]


def find_manifest(source: Path | str) -> Path:
    """The manifest at `source`, a file or a folder that holds one."""
    source = Path(source)
    candidates = [source / name for name in MANIFEST_NAMES] if source.is_dir() else [source]
    for path in candidates:
        if path.is_file():
            return path
    if source.is_dir():
        raise UserError(f"{source} holds no manifest: expected {' or '.join(MANIFEST_NAMES)} in it")
    raise UserError(f"{source} does not exist: expected a manifest, or a folder that holds one")


def read_manifest(path: Path | str) -> list[ManifestRow]:
    """Rows of a manifest, in its order; audio files are not looked at.

    Raises UserError with file and line for a row that cannot be used, and for ids given twice.
    """
    path = Path(path)
    records = {".jsonl": read_json_lines, ".json": read_json_lines, ".tsv": _tsv_records}.get(
        path.suffix.lower()
    )
    if records is None:
        raise UserError(f"{path} is no manifest: expected a name that ends in .jsonl or .tsv")
    rows: list[ManifestRow] = []
    lines: dict[str, int] = {}
    for line, record in records(path):
        row = _row(record, folder=path.parent, where=f"{path}:{line}")
        if row.id in lines:
            raise UserError(
                f"{path}:{line}: id {row.id!r} was given on line {lines[row.id]} already"
            )
        lines[row.id] = line
        rows.append(row)
    if not rows:
        raise UserError(f"{path} has no rows: expected one recording a line")
    return rows


def _tsv_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """An empty cell is a value not given."""
    lines = read_lines(path)
    header = lines[0].split("\t")
    if not {"id", "audio"} <= set(header):
        raise UserError(f"{path}:1: expected a header with columns id and audio, found {header}")
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(
                f"{path}:{number}: expected {len(header)} cells as in line 1, found {len(cells)}"
            )
        yield number, {name: cell for name, cell in zip(header, cells, strict=True) if cell}


def _row(record: Mapping[str, Any], *, folder: Path, where: str) -> ManifestRow:
    if broken := NO_CHARACTER.search(json.dumps(record, ensure_ascii=False)):
        raise UserError(
            f"{where}: {broken[0]!a} is no character: half of one is left where a text was cut, or "
            f"a zero; mend the line"
        )
    for column in ("id", "audio"):
        if record.get(column) in (None, ""):
            raise UserError(f"{where}: no {column!r}; the columns here are {', '.join(record)}")
    split = _string(record, "split", where) or DEFAULT_SPLIT
    if not re.fullmatch(r"[\w-]+", split) or split == "all":
        raise UserError(
            f"{where}: split {split!r} cannot be a split's name: "
            "expected letters, digits, '-' and '_', and not 'all'"
        )
    return ManifestRow(
        id=_string(record, "id", where) or "",
        audio=folder / (_string(record, "audio", where) or ""),
        text=_string(record, "text", where),
        speaker=_string(record, "speaker", where),
        split=split,
        duration=_seconds(record.get("duration"), where),
        labels={name: value for name, value in record.items() if name not in COLUMNS},
    )


def _string(record: Mapping[str, Any], column: str, where: str) -> str | None:
    value = record.get(column)
    if isinstance(value, int) and not isinstance(value, bool) and column in ("id", "speaker"):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise UserError(f"{where}: {column!r} should be a string, found {value!r}")
    return value


def _seconds(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise UserError(f"{where}: 'duration' should be seconds, at most a day, found {value!r}")
    return seconds


class ManifestCorpus(Corpus):
    """The recordings of a manifest, read from their own files with nothing prepared.

    split: one split of the manifest, or None for every row.
    Raises UserError as `read_manifest` does, and for a split that is not there.
    """

    def __init__(self, path: Path | str, sample_rate: int, *, split: str | None = None):
        self.path = find_manifest(path)
        self.sample_rate = sample_rate
        self.name = self.path.parent.resolve().name
        self.split = "all"
        if split is not None:
            splits = {row.split for row in self._all_rows}
            self.split = find_split(split, splits, corpus=str(self.path))

    def __reduce__(self):
        split = None if self.split == "all" else self.split
        return _reopen_manifest, (self.path, self.sample_rate, split)

    @property
    def utterances(self) -> Sequence[Utterance]:
        return self._index[0]

    @property
    def problems(self) -> Sequence[Problem]:
        return self._index[1]

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        utterance = self.utterances[index]
        return read_recording(self._audio[utterance.id], self.sample_rate)

    @cached_property
    def _all_rows(self) -> list[ManifestRow]:
        return read_manifest(self.path)

    @cached_property
    def _audio(self) -> dict[str, Path]:
        return {row.id: row.audio for row in self._all_rows}

    @cached_property
    def _index(self) -> tuple[list[Utterance], list[Problem]]:
        """Durations that the manifest does not give come from the files' headers."""
        utterances, problems = [], []
        for row in self._all_rows:
            if self.split not in ("all", row.split):
                continue
            try:
                duration = row.duration if row.duration else duration_seconds(row.audio)
            except UserError as error:
                problems.append(Problem(row.id, str(error)))
                continue
            utterances.append(Utterance(row.id, row.text, row.speaker, duration, row.labels))
        return utterances, problems


def _reopen_manifest(path: Path, sample_rate: int, split: str | None) -> ManifestCorpus:
    return ManifestCorpus(path, sample_rate, split=split)
