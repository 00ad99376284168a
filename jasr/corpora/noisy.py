"""A corpus with noise over it, the same at every reading."""

import hashlib

import numpy as np
from jaxtyping import Float

from jasr.audio.waveform import add_noise, generate_noise
from jasr.corpora.corpus import Corpus
from jasr.corpora.view import CorpusView
from jasr.errors import UserError


class NoisyCorpus(CorpusView):
    """The recordings of a corpus under pink noise, to compare recognisers where it is hard.

    snr_db: lowest and highest signal-to-noise ratio in dB; an utterance's is uniform between them,
            and depends, as its noise does, on its id alone.
    """

    def __init__(self, whole: Corpus, snr_db: tuple[float, float]):
        super().__init__(whole)
        self.snr_db = snr_db
        if snr_db[0] > snr_db[1]:
            raise UserError(f"noise of {snr_db} dB: expected the lowest ratio and the highest")

    def __reduce__(self):
        return NoisyCorpus, (self.whole, self.snr_db)

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        wave = self.whole.read(index)
        digest = hashlib.sha256(self.whole.utterances[index].id.encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        noise = generate_noise(len(wave), "pink", random)
        return add_noise(wave, noise, random.uniform(*self.snr_db))

    def read_piece(self, index: int, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        return self.read(index)[start:stop]
