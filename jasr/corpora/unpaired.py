"""Speech of one corpus with text of another."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float

from jasr.corpora.corpus import Corpus, Problem, Utterance


class UnpairedCorpus(Corpus):
    """The recordings of `speech`, each with a text drawn from `text`; their own is never seen."""

    def __init__(self, speech: Corpus, text: Corpus, seed: int):
        self.speech, self.text, self.seed = speech, text, seed
        self.name = f"{speech.name} with text of {text.name}"
        self.split = speech.split
        self.sample_rate = speech.sample_rate

    def __reduce__(self):
        return UnpairedCorpus, (self.speech, self.text, self.seed)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        texts = [u.text for u in self.text.utterances if u.text]
        rng = np.random.default_rng(self.seed)
        count = len(self.speech)
        rounds = [rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))]
        drawn = np.concatenate(rounds)[:count]
        return [
            dataclasses.replace(utterance, text=texts[place])
            for utterance, place in zip(self.speech.utterances, drawn, strict=True)
        ]

    @property
    def problems(self) -> Sequence[Problem]:
        return self.speech.problems

    @property
    def passes(self) -> Float[np.ndarray, " utterances"] | None:
        return self.speech.passes

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return self.speech.read(index)
