"""One unit for each character of the training texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jasr.text.units import Units, UnknownCharacters

KIND = "character"


@dataclass(frozen=True)
class CharacterUnits(Units):
    """A unit for each of `characters`, in their order."""

    characters: str

    @property
    def size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        unknown = set(text) - self._numbers.keys()
        if unknown:
            raise UnknownCharacters(text, unknown)
        return [self._numbers[character] for character in text]

    def decode(self, units: Sequence[int]) -> str:
        return "".join(self.characters[unit] for unit in units)

    def names(self) -> list[str]:
        return list(self.characters)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": KIND, "characters": self.characters}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "CharacterUnits":
        return cls(state["characters"])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.characters)}


def train_characters(texts: Iterable[str]) -> CharacterUnits:
    """The characters that the texts use, in code point order."""
    return CharacterUnits("".join(sorted(set().union(*texts))))
