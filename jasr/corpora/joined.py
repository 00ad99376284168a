"""Several corpora, or splits of one, as one: "train-clean-100+train-clean-360"."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
from jaxtyping import Float

from jasr.corpora.corpus import Corpus, Problem, Utterance


class JoinedCorpus(Corpus):
    """The utterances of its parts, one part after the other; all at one sample rate.

    passes: how often an epoch goes over each part, as often as the part itself says where it is
            not said.
    """

    def __init__(self, parts: Sequence[Corpus], passes: Sequence[float] | None = None):
        self.parts = tuple(parts)
        self._passes = None if passes is None else tuple(passes)
        self.name = "+".join(dict.fromkeys(part.name for part in self.parts))
        self.split = "+".join(part.split for part in self.parts)
        self.sample_rate = self.parts[0].sample_rate

    def __reduce__(self):
        return JoinedCorpus, (self.parts, self._passes)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return [utterance for part in self.parts for utterance in part.utterances]

    @property
    def passes(self) -> Float[np.ndarray, " utterances"] | None:
        if self._passes is None and all(part.passes is None for part in self.parts):
            return None
        own = [np.ones(len(part)) if part.passes is None else part.passes for part in self.parts]
        times = self._passes or (1.0,) * len(own)
        return np.concatenate([time * passes for time, passes in zip(times, own, strict=True)])

    @cached_property
    def problems(self) -> Sequence[Problem]:
        return [problem for part in self.parts for problem in part.problems]

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        part, place = self._part_of(index)
        return part.read(place)

    def read_piece(self, index: int, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        part, place = self._part_of(index)
        return part.read_piece(place, start, stop)

    def _part_of(self, index: int) -> tuple[Corpus, int]:
        number = bisect_right(self._starts, index) - 1
        return self.parts[number], index - self._starts[number]

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(len(part) for part in self.parts)][:-1]
