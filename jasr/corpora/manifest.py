"""A user's own recordings, listed in a manifest."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from jasr.corpora.manifest_file import ManifestRow, find_manifest, read_manifest
from jasr.corpora.source import NoOptions, Recording, RecordingStream, Source


class ManifestSource(Source):
    """The recordings of a manifest.jsonl or manifest.tsv, by the splits it names."""

    needs_source = "a manifest.jsonl or manifest.tsv, or the folder that holds it"

    def __init__(self, source: Path, options: NoOptions):
        del options
        self.path = find_manifest(source)
        self.rows = read_manifest(self.path)

    def fingerprint(self) -> str:
        """Of the manifest and the sizes of its files: wherever they lie, whenever copied."""
        digest = hashlib.sha256(self.path.read_bytes())
        for row in self.rows:
            digest.update(f"{row.id} {_size(row.audio)}\n".encode())
        return digest.hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        rows_of_split: dict[str, list[ManifestRow]] = defaultdict(list)
        for row in self.rows:
            rows_of_split[row.split].append(row)
        return {
            split: RecordingStream(map(_recording, rows), total=len(rows))
            for split, rows in rows_of_split.items()
        }


def _size(path: Path) -> int | None:
    """None where it cannot be found out, as of a name that is no file's."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _recording(row: ManifestRow) -> Recording:
    return Recording(row.id, row.audio, row.text, row.speaker, row.labels)
