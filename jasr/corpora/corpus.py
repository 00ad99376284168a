"""What the rest of the library sees of a corpus: an index, and audio one by one."""

import abc
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jasr.errors import UserError

# One thing under two names: users say either.
SPLIT_ALIASES = {"dev": "validation", "validation": "dev"}


@dataclass(frozen=True)
class Utterance:
    """One line of the index; `duration` in seconds, `text` None where nobody transcribed it."""

    id: str
    text: str | None
    speaker: str | None
    duration: float
    labels: Mapping[str, Any] = field(default_factory=dict)


# By how many seconds a recording may be longer or shorter than is said of it: indexes round,
# decoders pad.
LENGTH_TOLERANCE_SECONDS = 0.1


@dataclass(frozen=True)
class Problem:
    """A recording that cannot be used, and why."""

    id: str
    reason: str


class Corpus(abc.ABC):
    """One split of a corpus. Pickles as the place it reads from, never as its contents.

    utterances: the index, in the order of `read`; no audio is touched for it.
    problems:   recordings left out of the index because they could not be read.
    """

    name: str
    split: str
    sample_rate: int

    @property
    @abc.abstractmethod
    def utterances(self) -> Sequence[Utterance]: ...

    @property
    @abc.abstractmethod
    def problems(self) -> Sequence[Problem]: ...

    def passes_of(self, indices: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"] | None:
        """How often an epoch goes over each of these utterances, if they are all it has; None:
        once."""
        del indices
        return None

    @abc.abstractmethod
    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        """Audio of utterance `index`, float32 mono in [-1, 1] at `sample_rate` Hz.

        Raises UserError, naming the utterance, where its record cannot be read.
        """

    def read_piece(self, index: int, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        """Samples start to stop of what `read` gives; fewer where it ends."""
        return self.read(index)[start:stop]

    def __len__(self) -> int:
        return len(self.utterances)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the index: equal where the same data would be trained on."""
        digest = hashlib.sha256()
        for utterance in self.utterances:
            row = [utterance.id, utterance.text, utterance.speaker, utterance.duration]
            labels = dict(utterance.labels)
            digest.update(json.dumps([*row, labels], sort_keys=True).encode() + b"\n")
        return digest.hexdigest()[:16]


class NotPrepared(UserError):
    """A corpus that is not there yet."""


class NoSuchSplit(UserError):
    """A split that a corpus does not have."""


def find_split(split: str, available: Iterable[str], *, corpus: str) -> str:
    """The split's name as the corpus has it; "dev" and "validation" find each other.

    Raises NoSuchSplit, listing the splits there are.
    """
    available = list(available)
    for name in (split, SPLIT_ALIASES.get(split)):
        if name in available:
            return name
    raise NoSuchSplit(
        f"corpus {corpus!r} has no split {split!r}; it has {', '.join(sorted(available)) or 'none'}"
    )
