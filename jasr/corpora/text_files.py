"""Plain text files, a line each utterance: a corpus without audio.

Text is measured as if it were spoken at 15 characters a second, its sample rate: batch_seconds,
max_seconds and buckets mean for it what they mean for speech.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jasr.corpora.corpus import Corpus, NotPrepared, Problem, Utterance, find_split
from jasr.errors import UserError
from jasr.files import read_lines

CHARACTERS_PER_SECOND = 15
# Of files that are no split's own, every so many-th block of lines goes to validation and to test.
LINES_PER_BLOCK, BLOCKS = 50, 20
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """path: a .txt file, or a folder of them; it is read where it lies."""

    path: str = ""


class TextCorpus(Corpus):
    """A split of text files; its audio is silence, a sample a character.

    Files of a folder called train.txt, validation.txt (or dev.txt) and test.txt are those splits,
    and others beside them are not read. Where there are none of these, of every 1,000 lines of a
    file 50 are validation and 50 are test; of a shorter file a twentieth each.
    """

    sample_rate = CHARACTERS_PER_SECOND

    def __init__(self, path: Path, name: str, split: str):
        self.path, self.name = path, name
        self.split = find_split(split, SPLITS, corpus=name)

    def __reduce__(self):
        return TextCorpus, (self.path, self.name, self.split)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return [
            Utterance(id_, line, None, max(1, len(line)) / CHARACTERS_PER_SECOND)
            for id_, line in self._lines()
        ]

    @property
    def problems(self) -> Sequence[Problem]:
        return []

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return np.zeros(len(self.utterances[index].text or ""), np.float32)

    def _lines(self) -> list[tuple[str, str]]:
        files = _files(self.path)
        own = [file for file in files if _split_of(file) is not None]
        if own and self.path.is_dir():
            return [line for file in own if _split_of(file) == self.split for line in _read(file)]
        lines = [line for file in files for line in _in_split(_read(file), self.split)]
        if not lines:
            raise UserError(
                f"{self.path} has too few lines for a split {self.split!r}: give {BLOCKS} or more, "
                f"or a folder with {self.split}.txt"
            )
        return lines


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise UserError(
            f"config.corpus.options.path is {str(path)!r}: expected a .txt file or a folder of them"
        )
    return files


def _read(file: Path) -> list[tuple[str, str]]:
    return [
        (f"{file.stem}-{number}", line.strip())
        for number, line in enumerate(read_lines(file), 1)
        if line.strip()
    ]


def _split_of(file: Path) -> str | None:
    stem = "validation" if file.stem == "dev" else file.stem
    return stem if stem in SPLITS else None


def _in_split(lines: list[tuple[str, str]], split: str) -> list[tuple[str, str]]:
    size = min(LINES_PER_BLOCK, max(1, len(lines) // BLOCKS))
    held_back = {BLOCKS - 2: "validation", BLOCKS - 1: "test"}
    return [
        line
        for number, line in enumerate(lines)
        if held_back.get(number // size % BLOCKS, "train") == split
    ]


def open_text(name: str, options: Any, split: str) -> TextCorpus:
    """The split of the text files that a config's options name.

    Raises NotPrepared where they name none.
    """
    if not options.path:
        raise NotPrepared(
            "config.corpus.options.path is empty: give a .txt file or a folder of them"
        )
    return TextCorpus(Path(options.path).absolute(), name, split)
