"""Speech of one corpus with text of another."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView
from jasr.errors import UserError


class UnpairedCorpus(CorpusView):
    """The recordings of `speech`, each with a text drawn from `text`; their own is never seen."""

    def __init__(self, speech: Corpus, text: Corpus, seed: int):
        super().__init__(speech)
        self.text, self.seed = text, seed
        self.name = f"{speech.name} with text of {text.name}"

    def __reduce__(self):
        return UnpairedCorpus, (self.whole, self.text, self.seed)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        texts = [u.text for u in self.text.utterances if u.text]
        if not texts:
            raise UserError(
                f"corpus {self.text.name!r} has no text (config.unpaired_text): give one that has"
            )
        rng = np.random.default_rng(self.seed)
        count = len(self.whole)
        rounds = [rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))]
        drawn = np.concatenate(rounds)[:count]
        return [
            dataclasses.replace(utterance, text=texts[place])
            for utterance, place in zip(self.whole.utterances, drawn, strict=True)
        ]
