"""Recognise every utterance of a corpus split, once, whatever the number of hosts.

batches ─▶ compiled decoding ─▶ every batch's tokens, on every host ─▶ text
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jasr.corpora.corpus import Utterance
from jasr.decoding.hypotheses import Hypotheses, Hypothesis
from jasr.evaluation.scoring import UtteranceScore, score_utterance
from jasr.pipeline.loader import LoadedBatch
from jasr.sharding.hosts import whole
from jasr.types import Batch

# In place of what a model says of a recording that could not be read: nothing can be equal to it.
UNREAD = object()


def recognize(
    params: Any,
    batches: Iterable[LoadedBatch],
    *,
    decode: Callable[[Any, Batch], Hypotheses],
    place: Callable[[Batch], Batch],
    read: Callable[[Sequence[Hypothesis]], Any],
    num_utterances: int,
    report: Callable[[LoadedBatch], None],
) -> tuple[list[Any], float]:
    """What is read of each utterance's hypotheses, and the seconds decoding took.

    decode: (params, batch) -> Hypotheses, compiled.
    read:   hypotheses, best first -> an answer.
    UNREAD stands for an utterance that no batch held, because it could not be read.
    """
    answers: list[Any] = [UNREAD] * num_utterances
    seconds = 0.0
    for loaded in batches:
        report(loaded)
        start = time.perf_counter()
        batch = place(loaded.batch)
        hypotheses = decode(params, batch)
        tokens, mask = whole(hypotheses.tokens), whole(hypotheses.mask)
        scores = whole(hypotheses.scores)
        seconds += time.perf_counter() - start
        ids, is_real = whole(batch.example_ids), whole(batch.example_mask)
        for row in np.flatnonzero(is_real):
            found = [
                Hypothesis(t[m].tolist(), float(score))
                for t, m, score in zip(tokens[row], mask[row], scores[row], strict=True)
            ]
            answers[ids[row]] = read(found)
    return answers, seconds


def score(
    utterances: Iterable[Utterance],
    hypotheses: Iterable[Any],
    normalize: Callable[[str], str],
) -> list[UtteranceScore]:
    """Error counts of each utterance that has a reference and was recognised."""
    return [
        score_utterance(
            utterance.id,
            utterance.text,
            hypothesis,
            normalize=normalize,
            duration=utterance.duration,
        )
        for utterance, hypothesis in zip(utterances, hypotheses, strict=True)
        if utterance.text is not None and hypothesis is not UNREAD
    ]
