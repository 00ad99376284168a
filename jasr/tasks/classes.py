"""A class of the whole recording: an intent, a speaker, a language, a keyword."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.errors import UserError
from jasr.tasks.columns import read_name, unexpected
from jasr.tasks.task import Classified


@dataclasses.dataclass(frozen=True)
class Classes(Classified):
    """The class in a column of the corpus.

    column: "speaker", or one of the corpus's labels, such as "intent", "gender" or "language".
    among:  how many things a number in the column is taken of, where it is one: 2 is for parity.
            0: the column's value is the class.
    names:  of the classes; found in the training data unless given.
    """

    columns = ("error", "accuracy")

    column: str = "intent"
    among: int = 0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.among < 0:
            raise UserError(f"task 'classes': among is {self.among}: expected 0 or more")

    def label(self, utterance: Utterance) -> Any:
        value = read_name(utterance, self.column)
        if value is None or not self.among:
            return value
        if not re.fullmatch(r"-?\d+", value):
            raise unexpected(utterance, self.column, value, "a whole number, of which among is")
        return str(int(value) % self.among)

    def count(self, label: Any, predicted: Any) -> Counter[str]:
        return Counter(right=int(label == predicted), utterances=1)

    def figures(self, counts: Mapping[str, int]) -> dict[str, float]:
        accuracy = counts["right"] / max(counts["utterances"], 1)
        return {"error": 1 - accuracy, "accuracy": accuracy}
