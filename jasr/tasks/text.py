"""What is said, or another text of it: a transcript, a translation, one with its casing."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.tasks.columns import read_text
from jasr.tasks.task import Written
from jasr.text.error_counts import count_character_errors, count_word_errors
from jasr.text.normalizer import normalizer


@dataclasses.dataclass(frozen=True)
class Text(Written):
    """A text in a column of the corpus.

    column:     "text", the transcript, or one of the corpus's labels, such as "translation".
    normalizer: of what is learned and scored; "verbatim-v1" keeps punctuation and casing.
    """

    columns = ("wer", "cer")

    column: str = "text"
    normalizer: str = "basic-v1"
    names: tuple[str, ...] = ()

    def label(self, utterance: Utterance) -> Any:
        text = read_text(utterance, self.column)
        return None if text is None else self.read(text)

    def write(self, label: Any) -> str:
        return label

    def read(self, text: str) -> Any:
        return normalizer(self.normalizer)(text)

    def count(self, label: Any, predicted: Any) -> Counter[str]:
        words = count_word_errors(label, predicted)
        characters = count_character_errors(label, predicted)
        return Counter(
            words=words.length,
            word_errors=words.errors,
            characters=characters.length,
            character_errors=characters.errors,
        )

    def figures(self, counts: Mapping[str, int]) -> dict[str, float]:
        return {
            "wer": counts["word_errors"] / max(counts["words"], 1),
            "cer": counts["character_errors"] / max(counts["characters"], 1),
        }
