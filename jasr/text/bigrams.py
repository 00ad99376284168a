"""How much a set of texts is unlike another, by which two units stand side by side."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from scipy.stats import entropy

EDGE = ""


def bigram_divergence(texts: Iterable[str], others: Iterable[str]) -> float:
    """Kullback-Leibler divergence in nats of the texts' pairs of words from the others'.

    Words are what white space separates; the edges of a text are one too. Every pair of words of
    either counts once more in the others, so that none is impossible.
    """
    found, known = _pairs(texts), _pairs(others)
    words = {word for pair in (*found, *known) for word in pair}
    pairs = [(one, other) for one in sorted(words) for other in sorted(words)]
    return float(entropy([found[pair] for pair in pairs], [known[pair] + 1 for pair in pairs]))


def _pairs(texts: Iterable[str]) -> Counter[tuple[str, str]]:
    return Counter(pair for text in texts for pair in pairwise((EDGE, *text.split(), EDGE)))
