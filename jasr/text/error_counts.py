"""Word and character errors as integer counts, which add up exactly over utterances and hosts.

Counts are those of a Levenshtein alignment, every operation at cost 1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from rapidfuzz.distance import Levenshtein

from jasr.text.bootstrap import bootstrap_interval

Operation: TypeAlias = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True)
class ErrorCounts:
    """Errors of hypotheses against references; length is that of the references."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    length: int = 0

    @property
    def errors(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """errors / length; where the references are empty, the number of errors."""
        return self.errors / max(self.length, 1)

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.length + other.length,
        )


def count_word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Errors between the words of two texts; words are what white space separates."""
    return _count(reference.split(), hypothesis.split())


def count_character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Errors between the characters of two texts, spaces included."""
    return _count(reference, hypothesis)


def align_words(reference: str, hypothesis: str) -> list[tuple[Operation, str | None, str | None]]:
    """The alignment that `count_word_errors` counts: (operation, reference word, hypothesis word).

    A deleted word has no hypothesis word, an inserted one no reference word.
    """
    said, heard = reference.split(), hypothesis.split()
    steps: list[tuple[Operation, str | None, str | None]] = []
    for code in Levenshtein.opcodes(said, heard):
        old, new = said[code.src_start : code.src_end], heard[code.dest_start : code.dest_end]
        if code.tag == "delete":
            steps += [("delete", word, None) for word in old]
        elif code.tag == "insert":
            steps += [("insert", None, word) for word in new]
        else:
            operation: Operation = "equal" if code.tag == "equal" else "substitute"
            steps += [(operation, a, b) for a, b in zip(old, new, strict=True)]
    return steps


def error_rate_interval(
    counts: Sequence[ErrorCounts],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the pooled error rate.

    counts: one for each utterance, which are what is resampled. (0, 0) where there is none.
    """
    if not counts:
        return 0.0, 0.0
    table = np.array([[count.errors, count.length] for count in counts])
    return bootstrap_interval(
        table,
        lambda sums: sums[0] / max(sums[1], 1),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def _count(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    kinds = Counter(edit.tag for edit in Levenshtein.editops(reference, hypothesis))
    return ErrorCounts(kinds["replace"], kinds["delete"], kinds["insert"], len(reference))
