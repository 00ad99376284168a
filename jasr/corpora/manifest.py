"""A user's own recordings, listed in a manifest."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from jasr.corpora.manifest_file import ManifestRow, find_manifest, read_manifest
from jasr.corpora.source import NoOptions, Recording, RecordingStream, Source

GLANCE_BYTES = 4096


class ManifestSource(Source):
    """The recordings of a manifest.jsonl or manifest.tsv, by the splits it names."""

    needs_source = "a manifest.jsonl or manifest.tsv, or the folder that holds it"

    def __init__(self, source: Path, options: NoOptions):
        del options
        self.path = find_manifest(source)
        self.rows = read_manifest(self.path)

    def fingerprint(self) -> str:
        """Of the manifest, the sizes of its files and some bytes amid each: wherever they lie,
        whenever copied."""
        digest = hashlib.sha256(self.path.read_bytes())
        for row in self.rows:
            size, amid = _glance(row.audio)
            digest.update(f"{row.id} {size} ".encode() + amid)
        return digest.hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        rows_of_split: dict[str, list[ManifestRow]] = defaultdict(list)
        for row in self.rows:
            rows_of_split[row.split].append(row)
        return {
            split: RecordingStream(map(_recording, rows), total=len(rows))
            for split, rows in rows_of_split.items()
        }


def _glance(path: Path) -> tuple[int | None, bytes]:
    """A file's size and what stands in its middle; None where it cannot be read, or is no file."""
    try:
        if not path.is_file():
            return None, b""
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(size // 2)
            return size, file.read(GLANCE_BYTES)
    except OSError:
        return None, b""


def _recording(row: ManifestRow) -> Recording:
    return Recording(row.id, row.audio, row.text, row.speaker, row.labels, row.duration)
