"""The first part of a split: "train[:10%]"."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jasr.corpora.corpus import Corpus, Problem, Utterance


class FirstPart(Corpus):
    """So many per cent of a corpus's utterances, from the first on, and at least one.

    A prepared corpus lies in an order drawn once, by ids: its first part is a sample of it.
    """

    def __init__(self, whole: Corpus, percent: int):
        self.whole = whole
        self.percent = percent
        self.name = whole.name
        self.split = f"{whole.split}[:{percent}%]"
        self.sample_rate = whole.sample_rate

    def __reduce__(self):
        return FirstPart, (self.whole, self.percent)

    @property
    def utterances(self) -> Sequence[Utterance]:
        return self.whole.utterances[: max(1, round(len(self.whole) * self.percent / 100))]

    @property
    def problems(self) -> Sequence[Problem]:
        return self.whole.problems

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return self.whole.read(index)
