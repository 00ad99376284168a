"""Small recordings and manifests to prepare."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


def tone(seconds: float, *, rate: int = 16000, hz: float = 300.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


@pytest.fixture
def make_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes recordings of 0.1 s, 0.2 s, ... and their manifest; returns its folder."""

    def make(splits: dict[str, int], *, name: str = "source", **columns) -> Path:
        folder = tmp_path / name
        (folder / "audio").mkdir(parents=True)
        rows = []
        for split, count in splits.items():
            for number in range(1, count + 1):
                id_ = f"{split}-{number}"
                soundfile.write(folder / "audio" / f"{id_}.flac", tone(number / 10), 16000)
                row = {"id": id_, "audio": f"audio/{id_}.flac", "text": f"word {number}"}
                rows.append({**row, "speaker": "kim", "split": split, **columns})
        lines = [json.dumps(row) + "\n" for row in rows]
        (folder / "manifest.jsonl").write_text("".join(lines))
        return folder

    return make
