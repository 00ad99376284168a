"""Intervals of a figure, by resampling what it was counted on."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int


def bootstrap_interval(
    counts: Int[np.ndarray, "utterances kinds"],
    figure: Callable[[Int[np.ndarray, " kinds"]], float],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of a figure of the counts' sums.

    Utterances are what is resampled, since errors within one are not independent (Bisani and Ney
    2004).
    """
    rng = np.random.default_rng(seed)
    drawn = (counts[rng.integers(len(counts), size=len(counts))] for _ in range(resamples))
    figures = [figure(sample.sum(axis=0)) for sample in drawn]
    low, high = np.quantile(figures, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
