"""Who did what to whom, or what is ordered: named phrases, written as one line.

{"ARG0": "anna", "V": "gave", "ARG1": "the letter"}  ◀──▶  <ARG0> anna <V> gave <ARG1> the letter
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.tasks.columns import read_spans
from jasr.tasks.task import Written, mark
from jasr.text.normalizer import normalizer

ROLES = ("V", "ARG0", "ARG1", "ARG2", "ARGM-LOC", "ARGM-TMP")


def write_phrases(phrases: Iterable[tuple[str, str]]) -> str:
    """Names and phrases, in the order given, as one line."""
    return " ".join(f"{mark(name)} {phrase}" for name, phrase in phrases)


def read_line(text: str, names: Iterable[str]) -> dict[str, str] | None:
    """The phrase of each name of a line; None where it is malformed.

    Well-formed is a line that begins with a mark, has at least one word behind each, and no mark
    twice.
    """
    marks = {mark(name): name for name in names}
    phrases: dict[str, list[str]] = {}
    current: list[str] | None = None
    for word in text.split():
        if word in marks:
            if marks[word] in phrases:
                return None
            current = phrases[marks[word]] = []
        elif current is None:
            return None
        else:
            current.append(word)
    if not phrases or not all(phrases.values()):
        return None
    return {name: " ".join(words) for name, words in phrases.items()}


def normalized(phrases: Iterable[tuple[str, str]], normalizer_name: str) -> dict[str, str]:
    """Phrases as they are written and scored; those of which nothing is left are left out."""
    normalize = normalizer(normalizer_name)
    found = {name: normalize(phrase) for name, phrase in phrases}
    return {name: phrase for name, phrase in found.items() if phrase}


@dataclasses.dataclass(frozen=True)
class SemanticRoles(Written):
    """The predicate of a sentence and its arguments, in the order they are said.

    Scored by (predicate, role, words), each a match only as a whole, as in Carreras and Màrquez
    2005, "Introduction to the CoNLL-2005 shared task"; of the words recognised, so that errors of
    recognition count. A malformed line has no arguments.

    column:     of the corpus's labels:
                {role: {"phrase": ..., "span": [first word, behind the last]}}.
    names:      of the roles; others are left out.
    normalizer: of the phrases, as of the transcript.
    """

    columns = ("f1_error", "f1", "precision", "recall", "malformed")

    column: str = "roles"
    names: tuple[str, ...] = ROLES
    predicate: str = "V"
    normalizer: str = "basic-v1"

    def label(self, utterance: Utterance) -> Any:
        spans = read_spans(utterance, self.column) or {}
        known = [role for role in spans if role in self.names]
        in_order = sorted(known, key=lambda role: spans[role]["span"])
        phrases = ((role, spans[role]["phrase"]) for role in in_order)
        return normalized(phrases, self.normalizer) or None

    def write(self, label: Any) -> str:
        return write_phrases(label.items())

    def read(self, text: str) -> Any:
        return read_line(text, self.names)

    def count(self, label: Any, predicted: Any) -> Counter[str]:
        return count_matches(
            self.arguments(label),
            self.arguments(predicted or {}),
            malformed=predicted is None,
        )

    def figures(self, counts: Mapping[str, int]) -> dict[str, float]:
        return f1_figures(counts)

    def arguments(self, label: Mapping[str, str]) -> set[tuple[str, str, str]]:
        """(predicate, role, words) of every argument."""
        predicate = label.get(self.predicate, "")
        return {
            (predicate, role, phrase) for role, phrase in label.items() if role != self.predicate
        }


def count_matches(label: set[Any], predicted: set[Any], *, malformed: bool) -> Counter[str]:
    """How many things are right, and how many there are on either side."""
    return Counter(
        right=len(label & predicted),
        wanted=len(label),
        predicted=len(predicted),
        malformed=int(malformed),
        utterances=1,
    )


def f1_figures(counts: Mapping[str, int]) -> dict[str, float]:
    """Precision, recall and their harmonic mean, from counts of all."""
    right, wanted, predicted = (counts[name] for name in ("right", "wanted", "predicted"))
    f1 = 2 * right / max(wanted + predicted, 1)
    return {
        "f1_error": 1 - f1,
        "f1": f1,
        "precision": right / max(predicted, 1),
        "recall": right / max(wanted, 1),
        "malformed": counts["malformed"] / max(counts["utterances"], 1),
    }
