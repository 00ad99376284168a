"""Subword units by SentencePiece: byte-pair encoding, or a unigram language model.

Sennrich, Haddow and Birch 2016 (BPE), Kudo 2018 (unigram), Kudo and Richardson 2018.
"""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sentencepiece

from jasr.errors import UserError
from jasr.text.units import Units, UnknownCharacters

KINDS = ("bpe", "unigram")

# SentencePiece needs a piece for what it does not know; its other special pieces are off.
UNKNOWN_PIECE = 0
# How a piece writes the space before a word.
SPACE = "\u2581"


@dataclass(frozen=True)
class SentencePieceUnits(Units):
    """The pieces of a serialised SentencePiece model, less its piece for the unknown."""

    kind: str
    model: bytes

    @property
    def size(self) -> int:
        return self._processor.get_piece_size() - 1

    def encode(self, text: str) -> list[int]:
        pieces = self._processor.encode(text)
        if UNKNOWN_PIECE in pieces:
            raise UnknownCharacters(text, {c for c in set(text) if self._is_unknown(c)})
        return [piece - 1 for piece in pieces]

    def decode(self, units: Sequence[int]) -> str:
        return self._processor.decode([unit + 1 for unit in units])

    def names(self) -> list[str]:
        return [self._processor.id_to_piece(unit + 1) for unit in range(self.size)]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": base64.b64encode(self.model).decode("ascii")}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "SentencePieceUnits":
        return cls(state["kind"], base64.b64decode(state["model"]))

    @cached_property
    def _processor(self) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    def _is_unknown(self, character: str) -> bool:
        return UNKNOWN_PIECE in self._processor.encode(character)


def train_sentence_piece(
    kind: str, texts: Iterable[str], *, size: int, marks: Sequence[str] = ()
) -> SentencePieceUnits:
    """Exactly `size` units, every character of the texts among them, and every mark whole.

    kind: "bpe" or "unigram". One thread, and no sampling of sentences: the same texts in the
    same order give the same units. Raises UserError if the texts have too many or too few
    distinct pieces for the size.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type=kind,
            vocab_size=size + 1,
            character_coverage=1.0,
            normalization_rule_name="identity",
            unk_id=UNKNOWN_PIECE,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            # With the space before it, a mark is one piece wherever it stands.
            user_defined_symbols=[f"{SPACE}{mark}" for mark in marks],
            max_sentence_length=1 << 20,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _cannot_train(kind, size, error) from error
    return SentencePieceUnits(kind, model.getvalue())


def _cannot_train(kind: str, size: int, error: RuntimeError) -> UserError:
    """SentencePiece's messages, as bounds on a tokenizer's vocab_size."""
    message = str(error).replace("\n", " ")
    # The tokenizer has three special tokens, where SentencePiece counts its unknown piece.
    if match := re.search(r"too high.*value <= (\d+)", message):
        most = int(match[1]) + 2
        return UserError(
            f"config.text.vocab_size {size + 3} is too high: these texts have fewer {kind} pieces; "
            f"set it to at most {most}"
        )
    if match := re.search(r"smaller than required_chars. \d+ vs (\d+)", message):
        least = int(match[1]) + 2
        return UserError(
            f"config.text.vocab_size {size + 3} is too low for these texts' characters alone; "
            f"set it to at least {least}"
        )
    return UserError(f"no {kind} tokenizer can be trained on these texts: {message}")
