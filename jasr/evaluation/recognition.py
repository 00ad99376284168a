"""Recognise every utterance of a corpus split, once, whatever the number of hosts.

batches ─▶ compiled decoding ─▶ every batch's tokens, on every host ─▶ text
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from jasr.corpora.corpus import Utterance
from jasr.decoding.hypotheses import Hypotheses
from jasr.evaluation.scoring import UtteranceScore, score_utterance
from jasr.pipeline.loader import LoadedBatch
from jasr.sharding.hosts import whole
from jasr.text.tokenizer import Tokenizer
from jasr.types import Batch


def recognize(
    params: Any,
    batches: Iterable[LoadedBatch],
    *,
    decode: Callable[[Any, Batch], Hypotheses],
    place: Callable[[Batch], Batch],
    tokenizer: Tokenizer,
    num_utterances: int,
    report: Callable[[LoadedBatch], None],
) -> tuple[list[str | None], float]:
    """The best hypothesis of each utterance, and the seconds decoding took.

    decode: (params, batch) -> Hypotheses, compiled.
    None stands for an utterance that no batch held, because it could not be read.
    """
    texts: list[str | None] = [None] * num_utterances
    seconds = 0.0
    for loaded in batches:
        report(loaded)
        start = time.perf_counter()
        batch = place(loaded.batch)
        hypotheses = decode(params, batch)
        tokens, mask = whole(hypotheses.tokens[:, 0]), whole(hypotheses.mask[:, 0])
        seconds += time.perf_counter() - start
        ids, is_real = whole(batch.example_ids), whole(batch.example_mask)
        for row in np.flatnonzero(is_real):
            texts[ids[row]] = tokenizer.decode(tokens[row][mask[row]].tolist())
    return texts, seconds


def score(
    utterances: Iterable[Utterance],
    hypotheses: Iterable[str | None],
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
        if utterance.text is not None and hypothesis is not None
    ]
