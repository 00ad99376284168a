"""A small corpus of real files: tones of 0.2 to 1 s at 8 kHz, in a manifest."""

import json
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 8_000
WORDS = ("one", "two", "three", "four", "five", "six", "seven")


def write_manifest(folder: Path, count: int, **changes: dict) -> Path:
    """A manifest of `count` tones; `changes` maps an id to columns that its row gets instead."""
    rows = []
    for number in range(count):
        rng = np.random.default_rng(number)
        seconds = rng.uniform(0.2, 1.0)
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        wave = 0.3 * np.sin(2 * np.pi * (200 + 20 * number) * time)
        soundfile.write(folder / f"u{number}.flac", wave, SAMPLE_RATE)
        row = {
            "id": f"u{number}",
            "audio": f"u{number}.flac",
            "text": " ".join(rng.choice(WORDS, size=rng.integers(1, 4))),
            "duration": len(time) / SAMPLE_RATE,
        }
        rows.append(row | changes.get(f"u{number}", {}))
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
