"""A corpus seen differently: what a view does not change is the whole's."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from jasr.corpora.corpus import Corpus, Problem, Utterance


class CorpusView(Corpus):
    """Another corpus, until a subclass says otherwise."""

    def __init__(self, whole: Corpus):
        self.whole = whole
        self.name, self.split, self.sample_rate = whole.name, whole.split, whole.sample_rate

    @property
    def utterances(self) -> Sequence[Utterance]:
        return self.whole.utterances

    @property
    def problems(self) -> Sequence[Problem]:
        return self.whole.problems

    def passes_of(self, indices: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"] | None:
        places = [self.index_in_whole(int(index)) for index in indices]
        return self.whole.passes_of(np.asarray(places, np.int64))

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return self.whole.read(self.index_in_whole(index))

    def read_piece(self, index: int, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        return self.whole.read_piece(self.index_in_whole(index), start, stop)

    def index_in_whole(self, index: int) -> int:
        """Where the whole has the recording of utterance `index`."""
        return index
