"""Scores of a model's answers to one task.

(label, answer), one per utterance ──▶ counts ──▶ figures of the whole set, with an interval
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jasr.errors import UserError
from jasr.tasks.task import Task

RESAMPLES = 1000


def summarize_answers(
    task: Task, counts: Sequence[Counter[str]], *, decoding: str
) -> dict[str, Any]:
    """The figures of a set of utterances, and the sums of their counts.

    NAME_low, NAME_high: of the first figure, the middle 95 % under resampling of the utterances
    (Bisani and Ney 2004).

    Raises UserError if there is no utterance.
    """
    if not counts:
        raise UserError("no utterance of the split has a label for the task and readable audio")
    first = task.columns[0]
    low, high = _interval(task, counts)
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return {
        **task.figures(total),
        f"{first}_low": low,
        f"{first}_high": high,
        "utterances": len(counts),
        "counts": dict(total),
        "decoding": decoding,
    }


def _interval(task: Task, counts: Sequence[Counter[str]]) -> tuple[float, float]:
    names = sorted({name for count in counts for name in count})
    table = np.array([[count[name] for name in names] for count in counts])
    rng = np.random.default_rng(0)

    def figure() -> float:
        drawn = table[rng.integers(len(table), size=len(table))].sum(axis=0)
        sums: Mapping[str, int] = Counter(dict(zip(names, drawn.tolist(), strict=True)))
        return task.figures(sums)[task.columns[0]]

    low, high = np.quantile([figure() for _ in range(RESAMPLES)], [0.025, 0.975])
    return float(low), float(high)
