"""Text to token ids and back.

id      0        1      2     3 ...
token   blank    start  end   units: characters, bytes or pieces, by the tokenizer's kind
        padding
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jasr.errors import UserError, nearest
from jasr.text.byte import ByteUnits
from jasr.text.character import CharacterUnits, train_characters
from jasr.text.sentence_piece import SentencePieceUnits, train_sentence_piece
from jasr.text.units import Units, UnknownCharacters

__all__ = ["Tokenizer", "UnknownCharacters", "tokenizer_from_dict", "train_tokenizer"]

NUM_SPECIALS = 3


@dataclass(frozen=True)
class Tokenizer:
    """Units of one kind behind the special tokens."""

    blank_id: ClassVar[int] = 0
    start_id: ClassVar[int] = 1
    end_id: ClassVar[int] = 2

    units: Units

    @property
    def vocab_size(self) -> int:
        """How many token ids there are, special ones included."""
        return NUM_SPECIALS + self.units.size

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, no special ones among them.

        Raises UnknownCharacters, a UserError, if the vocabulary lacks a character.
        """
        return [NUM_SPECIALS + unit for unit in self.units.encode(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; special ones are passed over."""
        return self.units.decode([int(id) - NUM_SPECIALS for id in ids if id >= NUM_SPECIALS])

    def word_starts(self, ids: Sequence[int]) -> list[int]:
        """Of each word of the decoded text, the place of the token that it begins with."""
        starts: list[int] = []
        for place in range(len(ids)):
            count = len(self.decode(ids[: place + 1]).split())
            # Half a character may look like a word until its other half makes it white space.
            starts = starts[:count] + [place] * (count - len(starts))
        return starts

    def names(self) -> list[str]:
        """What each token id stands for."""
        return ["<blank>", "<start>", "<end>", *self.units.names()]

    def to_dict(self) -> dict[str, Any]:
        """All of the tokenizer, as JSON can hold it."""
        return self.units.to_dict()


def train_tokenizer(
    kind: str, texts: Iterable[str], *, vocab_size: int, marks: Sequence[str] = ()
) -> Tokenizer:
    """A tokenizer of a kind ("character", "byte", "bpe", "unigram") for the texts.

    vocab_size: token ids of a "bpe" or "unigram" tokenizer, special ones included; the other
                kinds have the size they have.
    marks:      words of which each is to be one token; with "bpe" or "unigram" alone.

    Deterministic in the texts and their order. Raises UserError for an unknown kind, for no
    text, and for a vocab_size that the texts cannot give.
    """
    if kind not in TRAINERS:
        raise UserError(f"tokenizer kind {kind!r} is unknown: {nearest(kind, TRAINERS)}")
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise UserError(f"a {kind} tokenizer has nothing to train on: every text is empty")
    if marks and kind in ("character", "byte"):
        raise UserError(
            f"config.text.tokenizer {kind!r} has no token for a whole word such as {marks[0]!r}: "
            f"use bpe or unigram"
        )
    return Tokenizer(TRAINERS[kind](texts, vocab_size - NUM_SPECIALS, marks))


def tokenizer_from_dict(state: dict[str, Any]) -> Tokenizer:
    """The tokenizer whose `to_dict` gave the state; raises UserError if none did."""
    kind = state.get("kind")
    if kind not in RESTORERS:
        raise UserError(f"tokenizer kind {kind!r} is unknown: {nearest(str(kind), RESTORERS)}")
    try:
        tokenizer = Tokenizer(RESTORERS[kind](state))
        tokenizer.encode("")  # a SentencePiece model is parsed at its first use
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"the saved {kind} tokenizer is damaged: {reason}") from error
    return tokenizer


TRAINERS: dict[str, Callable[[list[str], int, Sequence[str]], Units]] = {
    "character": lambda texts, *_: train_characters(texts),
    "byte": lambda *_: ByteUnits(),
    "bpe": lambda texts, size, marks: train_sentence_piece("bpe", texts, size=size, marks=marks),
    "unigram": lambda texts, size, marks: train_sentence_piece(
        "unigram", texts, size=size, marks=marks
    ),
}

RESTORERS: dict[str, Callable[[dict[str, Any]], Units]] = {
    "character": CharacterUnits.from_dict,
    "byte": ByteUnits.from_dict,
    "bpe": SentencePieceUnits.from_dict,
    "unigram": SentencePieceUnits.from_dict,
}
