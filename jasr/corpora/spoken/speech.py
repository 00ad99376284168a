"""Sentences and how they are to be spoken ──▶ espeak.py, one process a core ──▶ recordings."""

import functools
import itertools
import json
import os
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from jasr.corpora.ordered_map import ordered_map
from jasr.corpora.source import Recording, wav_bytes
from jasr.corpora.spoken import espeak
from jasr.corpora.spoken.grammar import Sentence
from jasr.corpora.spoken.voices import Delivery
from jasr.errors import UserError, nearest

# Utterances given to one process: its start-up is a twentieth of its time.
CHUNK = 100

TRANSCRIPTS = ("words", "phonemes")


@dataclass(frozen=True)
class Line:
    """A sentence and how it is to be spoken."""

    id: str
    sentence: Sentence
    delivery: Delivery


def speak(lines: Sequence[Line], transcript: str) -> Iterator[Recording]:
    """The lines' recordings, in their order.

    transcript: what is written of them: "words", or "phonemes" as the voice pronounces them, one
                character each, or two for a diphthong or an affricate, with neither stress nor
                length.
    Raises UserError for another.
    """
    if transcript not in TRANSCRIPTS:
        raise UserError(
            f"config.corpus.options.transcript {transcript!r} is unknown: "
            f"{nearest(transcript, TRANSCRIPTS)}"
        )
    num_processes = os.cpu_count() or 1
    chunks = [lines[start : start + CHUNK] for start in range(0, len(lines), CHUNK)]
    spoken = ordered_map(
        functools.partial(_speak_chunk, transcript=transcript),
        chunks,
        num_threads=num_processes,
        items_under_way=num_processes + 1,
    )
    return itertools.chain.from_iterable(spoken)


def _speak_chunk(lines: Sequence[Line], transcript: str) -> list[Recording]:
    """A clean process, as forking needs one without threads."""
    requests = [{"text": line.sentence.text, **asdict(line.delivery)} for line in lines]
    finished = subprocess.run(
        [sys.executable, "-P", str(Path(espeak.__file__))],
        input="".join(json.dumps(request) + "\n" for request in requests).encode(),
        capture_output=True,
        check=False,
    )
    if finished.returncode != 0:
        reason = finished.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UserError(f"espeak-ng could not speak: {' '.join(reason)}")
    parts = list(_split_output(finished.stdout))
    return [
        Recording(
            id=line.id,
            audio=wav_bytes(np.frombuffer(samples, "<i2"), espeak.SAMPLE_RATE),
            text=line.sentence.text if transcript == "words" else _plain(phonemes.decode()),
            speaker=line.delivery.voice,
            labels=line.sentence.labels,
        )
        for line, samples, phonemes in zip(lines, parts[::2], parts[1::2], strict=True)
    ]


def _plain(phonemes: str) -> str:
    """Without marks on phonemes, which are modifier letters, combining marks or punctuation."""
    letters = ("Ll", "Lo")
    return "".join(c for c in phonemes if c == " " or unicodedata.category(c) in letters)


def _split_output(output: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(output):
        (size,) = struct.unpack_from("<I", output, position)
        position += 4
        yield output[position : position + size]
        position += size
