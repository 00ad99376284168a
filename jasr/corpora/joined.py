"""Several corpora, or splits of one, as one: "train-clean-100+train-clean-360"."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
from jaxtyping import Float, Int

from jasr.corpora.corpus import Corpus, Problem, Utterance
from jasr.errors import UserError


class JoinedCorpus(Corpus):
    """The utterances of its parts, one part after the other; all at one sample rate.

    passes: how often an epoch goes over each part, once if it is not said; a part may itself go
            over some of its own more often.
    """

    def __init__(self, parts: Sequence[Corpus], passes: Sequence[float] | None = None):
        self.parts = tuple(parts)
        self._passes = None if passes is None else tuple(passes)
        self.name = "+".join(dict.fromkeys(part.name for part in self.parts))
        self.split = "+".join(part.split for part in self.parts)
        rates = sorted({part.sample_rate for part in self.parts})
        if len(rates) > 1:
            raise UserError(
                f"{self.name} are at {' and '.join(map(str, rates))} Hz: give all of them one "
                f"sample_rate"
            )
        self.sample_rate = rates[0]

    def __reduce__(self):
        return JoinedCorpus, (self.parts, self._passes)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return [utterance for part in self.parts for utterance in part.utterances]

    def passes_of(self, indices: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"] | None:
        numbers = np.searchsorted(self._starts, indices, side="right") - 1
        own, are_said = np.ones(len(indices)), False
        for number, part in enumerate(self.parts):
            rows = numbers == number
            passes = part.passes_of(indices[rows] - self._starts[number])
            if passes is not None:
                own[rows], are_said = passes, True
        return self.mixed(own if are_said else None, numbers)

    def mixed(
        self, own: Float[np.ndarray, " some"] | None, numbers: Int[np.ndarray, " some"]
    ) -> Float[np.ndarray, " some"] | None:
        """How often an epoch goes over each of some rows; None: once.

        own:     how often its part does by itself, None where all do once; numbers: of the parts.
        """
        if self._passes is None:
            return own
        times = np.asarray(self._passes)[numbers]
        return times if own is None else own * times

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
