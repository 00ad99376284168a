"""How much a set of texts is unlike another, by which two units stand side by side."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

EDGE = ""


def bigram_divergence(texts: Iterable[str], others: Iterable[str]) -> float:
    """Kullback-Leibler divergence in nats of the texts' pairs of words from the others'.

    Words are what white space separates; the edges of a text are one too. Every pair of words of
    either counts once more in the others, so that none is impossible.
    """
    found, known = _pairs(texts), _pairs(others)
    words = {word for pair in (*found, *known) for word in pair}
    share = np.array([count / found.total() for count in found.values()])
    expected = np.array([known[pair] + 1 for pair in found]) / (known.total() + len(words) ** 2)
    return float(np.sum(share * np.log(share / expected)))


def _pairs(texts: Iterable[str]) -> Counter[tuple[str, str]]:
    return Counter(pair for text in texts for pair in pairwise((EDGE, *text.split(), EDGE)))
