"""What a task is: a label of recordings, how a model says it, and how good that is.

Utterance ──▶ label ──▶ written, classified or tagged ──▶ targets
                                                            │  learned
   figures ◀── counts ◀── (label, predicted label) ◀────────┘
"""

import abc
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from jasr.corpora.corpus import Utterance
from jasr.errors import UserError


class Task(abc.ABC):
    """One thing to say of a recording. A subclass is data, and hashable.

    columns: of figures, first to last; the lower the first, the better a model.
    names:   of what there is to choose from, in the training data.
    """

    columns: ClassVar[tuple[str, ...]]
    names: tuple[str, ...] = ()

    @abc.abstractmethod
    def label(self, utterance: Utterance) -> Any:
        """What is known of an utterance, as JSON can hold it; None where nothing is.

        Raises UserError where its column holds something else.
        """

    def names_in(self, label: Any) -> Iterable[str]:
        """Those that a label is made of, where they are not known beforehand."""
        del label
        return ()

    @abc.abstractmethod
    def count(self, label: Any, predicted: Any) -> Counter[str]:
        """Integer counts of one utterance; those of several add up."""

    @abc.abstractmethod
    def figures(self, counts: Mapping[str, int]) -> dict[str, float]:
        """`columns` from the counts of a whole set."""


def mark(name: str) -> str:
    """What stands before the phrase of a name, in a text that has names.

    Raises UserError for a name that would be no word, or not be told from a mark.
    """
    if name.split() != [name] or set(name) & set("<>"):
        raise UserError(
            f"{name!r} cannot be the name of what a task writes: expected one word without < and "
            f">; rename it in the manifest"
        )
    return f"<{name}>"


class Written(Task):
    """What the decoder writes.

    Where there are names, a text is names and phrases in turn, each name written `mark(name)`.
    """

    @property
    def openers(self) -> Sequence[str]:
        """Of the names, those of which one opens a text and no other follows; () if any may."""
        return ()

    @abc.abstractmethod
    def write(self, label: Any) -> str:
        """The text of a label."""

    @abc.abstractmethod
    def read(self, text: str) -> Any:
        """The label of a text, whatever a model may have written."""


class Classified(Task):
    """A class of the whole recording, by a head of its own. A label is the class's name."""

    def names_in(self, label: Any) -> Iterable[str]:
        return (label,)


class Tagged(Task):
    """A tag of each word said, by a head over the decoder's tokens. The first name is of none."""

    @abc.abstractmethod
    def tags_of(self, utterance: Utterance, words: Sequence[str]) -> list[str]:
        """The tag of each word of the utterance's transcript, which has a label."""

    @abc.abstractmethod
    def read(self, words: Sequence[str], tags: Sequence[str]) -> Any:
        """The label of words and their tags."""
