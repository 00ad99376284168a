"""What utterances become, as numbers that a batch holds."""

import abc
import dataclasses
from collections.abc import Callable, Mapping

from jasr.corpora.corpus import Utterance
from jasr.text.tokenizer import Tokenizer

Normalize = Callable[[str], str]


class Targets(abc.ABC):
    """Numbers of each utterance under the names of `Batch.targets`. Pickles small.

    sequences: names of those that are as long as a text.
    singles:   names of those that are one number.
    """

    sequences: tuple[str, ...] = ("text",)
    singles: tuple[str, ...] = ()

    @abc.abstractmethod
    def of(self, utterance: Utterance) -> Mapping[str, list[int]]:
        """The utterance's numbers; a name that it has nothing for may be left out.

        Raises UnknownCharacters where the vocabulary lacks a character of its text.
        """

    def without_text(self, utterance: Utterance) -> Mapping[str, list[int]]:
        """Those of its numbers that need no text of it."""
        del utterance
        return {}


@dataclasses.dataclass(frozen=True)
class Transcripts(Targets):
    """The tokens of the normalised transcript, "text"; none where nobody transcribed it."""

    tokenizer: Tokenizer
    normalize: Normalize

    def of(self, utterance: Utterance) -> Mapping[str, list[int]]:
        if utterance.text is None:
            return {}
        return {"text": self.tokenizer.encode(self.normalize(utterance.text))}


@dataclasses.dataclass(frozen=True)
class NoTargets(Targets):
    """Nothing: the audio is all."""

    def of(self, utterance: Utterance) -> Mapping[str, list[int]]:
        del utterance
        return {}
