"""Scores of a model's answers to one task.

(label, answer), one per utterance ──▶ counts ──▶ figures of the whole set, with an interval
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from jasr.corpora.corpus import Corpus
from jasr.errors import UserError
from jasr.evaluation.recognition import UNREAD
from jasr.tasks.task import Task
from jasr.text.bootstrap import bootstrap_interval

# (id, label, answer) of utterances that could be read.
Labelled: TypeAlias = Sequence[tuple[str, Any, Any]]


def label_answers(task: Task, corpus: Corpus, answers: Sequence[Any]) -> Labelled:
    """Each answer beside its label; corpus: of utterances that have one for the task."""
    return [
        (utterance.id, task.label(utterance), answer)
        for utterance, answer in zip(corpus.utterances, answers, strict=True)
        if answer is not UNREAD
    ]


def count_answers(task: Task, labelled: Labelled) -> list[Counter[str]]:
    """The counts of each utterance."""
    return [task.count(label, answer) for _, label, answer in labelled]


def total(counts: Iterable[Counter[str]]) -> Counter[str]:
    """The counts of a whole set."""
    summed: Counter[str] = Counter()
    for count in counts:
        summed.update(count)
    return summed


def summarize_answers(
    task: Task, counts: Sequence[Counter[str]], *, decoding: str
) -> dict[str, Any]:
    """The figures of a set of utterances, and the sums of their counts.

    NAME_low, NAME_high: of the first figure, the middle 95 % under resampling of the utterances.

    Raises UserError if there is no utterance.
    """
    if not counts:
        raise UserError("no utterance of the split has a label for the task and readable audio")
    first = task.columns[0]
    sums = total(counts)
    table = np.array([[count[name] for name in sums] for count in counts])
    low, high = bootstrap_interval(
        table,
        lambda drawn: task.figures(Counter(dict(zip(sums, drawn.tolist(), strict=True))))[first],
    )
    return {
        **task.figures(sums),
        f"{first}_low": low,
        f"{first}_high": high,
        "utterances": len(counts),
        "counts": dict(sums),
        "decoding": decoding,
    }
