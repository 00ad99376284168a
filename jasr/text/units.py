"""What a kind of tokenizer is made of: text to unit numbers and back, with no special tokens."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from jasr.errors import UserError


class Units(ABC):
    """The units of one kind, numbered from 0. Hashable, and equal where they encode alike."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many units there are."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Unit numbers of a text; raises UnknownCharacters."""

    @abstractmethod
    def decode(self, units: Sequence[int]) -> str:
        """The text of unit numbers."""

    @abstractmethod
    def names(self) -> list[str]:
        """What each unit stands for; the same in other units of the kind."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold, and the units can be made from again; "kind" says by whom."""


class UnknownCharacters(UserError):
    """A text holds characters that no unit stands for; `characters` is the set of them."""

    def __init__(self, text: str, characters: Iterable[str]):
        self.characters = frozenset(characters)
        named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in sorted(self.characters))
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(
            f"the vocabulary has no {named}, found in {shown!r}: correct the text, choose a "
            "normaliser that removes them, or train a tokenizer on texts that have them"
        )
