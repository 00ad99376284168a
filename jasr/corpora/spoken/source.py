"""The embedded corpus: everyday events, with who did what to whom, spoken by espeak-ng.

    grammar ──▶ sentence, labels ─┐
                                  ├─▶ espeak.py, one process a core ──▶ Recording
    voices  ──▶ delivery ─────────┘

Splits share no sentence and no voice. espeak-ng (GPL-3) is used at preparation only.
"""

import functools
import hashlib
import itertools
import json
import os
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from jasr.corpora.ordered_map import ordered_map
from jasr.corpora.source import Recording, RecordingStream, Source, wav_bytes
from jasr.corpora.spoken import espeak
from jasr.corpora.spoken.grammar import Sentence, sentences
from jasr.corpora.spoken.voices import Delivery, deliveries
from jasr.errors import UserError, nearest

# Utterances given to one process: its start-up is a twentieth of its time.
CHUNK = 100

TRANSCRIPTS = ("words", "phonemes")


@dataclass(frozen=True)
class SpokenOptions:
    """Distinct sentences in each split, what is written of them, and the seed of all that is drawn.

    transcript: "words", or "phonemes" as the voice pronounces them: one character each, or two for
                a diphthong or an affricate, with neither stress nor length.
    """

    train_sentences: int = 5000
    validation_sentences: int = 300
    test_sentences: int = 300
    transcript: str = "words"
    seed: int = 0


@dataclass(frozen=True)
class Line:
    """A sentence and how it is to be spoken."""

    id: str
    sentence: Sentence
    delivery: Delivery


class SpokenSource(Source):
    """Needs nothing but the wheel espeakng-loader; the same bytes for the same options."""

    Options = SpokenOptions
    needs_source = None

    def __init__(self, source: None, options: SpokenOptions):
        del source
        if options.transcript not in TRANSCRIPTS:
            raise UserError(
                f"config.corpus.options.transcript {options.transcript!r} is unknown: "
                f"{nearest(options.transcript, TRANSCRIPTS)}"
            )
        self.transcript = options.transcript
        self.lines = _script(options)

    def fingerprint(self) -> str:
        """Of everything said and how: it changes with the grammar and the voices too."""
        script = {split: [asdict(line) for line in lines] for split, lines in self.lines.items()}
        written = "" if self.transcript == "words" else self.transcript
        said = json.dumps(script, sort_keys=True) + written
        return hashlib.sha256(said.encode()).hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        return {
            split: RecordingStream(_speak(lines, self.transcript), total=len(lines))
            for split, lines in self.lines.items()
        }


def _script(options: SpokenOptions) -> dict[str, list[Line]]:
    script: dict[str, list[Line]] = {}
    said: set[str] = set()
    for split in ("train", "validation", "test"):
        count = getattr(options, f"{split}_sentences")
        seed = f"{options.seed}-{split}"
        chosen = sentences(f"{seed}-sentences", count, avoid=said)
        said.update(sentence.text for sentence in chosen)
        script[split] = [
            Line(f"{split}-{number:05d}", sentence, delivery)
            for number, (sentence, delivery) in enumerate(
                zip(chosen, deliveries(split, f"{seed}-voices", count), strict=True)
            )
        ]
    return script


def _speak(lines: Sequence[Line], transcript: str) -> Iterator[Recording]:
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
        raise UserError(f"espeak-ng could not speak the embedded corpus: {' '.join(reason)}")
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
