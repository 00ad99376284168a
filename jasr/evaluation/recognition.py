"""Recognise every utterance of a corpus split, once, whatever the number of hosts.

batches ─▶ compiled decoding ─▶ token table [utterances, tokens] ─▶ summed over hosts ─▶ text
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jasr.corpora.corpus import Utterance
from jasr.decoding.hypotheses import Hypotheses
from jasr.evaluation.scoring import UtteranceScore, score_utterance
from jasr.pipeline.loader import LoadedBatch
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
    rows: dict[int, np.ndarray] = {}
    seconds = 0.0
    for loaded in batches:
        report(loaded)
        start = time.perf_counter()
        hypotheses = decode(params, place(loaded.batch))
        tokens = _local_rows(hypotheses.tokens)[:, 0]
        mask = _local_rows(hypotheses.mask)[:, 0]
        seconds += time.perf_counter() - start
        ids = loaded.batch.example_ids
        for row in np.flatnonzero(loaded.batch.example_mask):
            rows[int(ids[row])] = tokens[row][mask[row]]
    return _merge_hosts(rows, num_utterances, tokenizer), seconds


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


def _local_rows(array: jax.Array) -> np.ndarray:
    """This process's rows of a global array, in order."""
    shards = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    return np.concatenate([np.asarray(shards[start]) for start in sorted(shards)])


def _merge_hosts(
    rows: dict[int, np.ndarray], num_utterances: int, tokenizer: Tokenizer
) -> list[str | None]:
    """Every host's hypotheses on every host: each utterance was decoded by exactly one."""
    width = max((len(row) for row in rows.values()), default=0)
    if jax.process_count() > 1:
        width = int(np.max(multihost_utils.process_allgather(np.asarray(width))))
    # The first column says whether this host has the utterance; tokens are stored plus one.
    table = np.zeros((num_utterances, width + 1), np.int32)
    for index, tokens in rows.items():
        table[index, 0] = 1
        table[index, 1 : 1 + len(tokens)] = tokens + 1
    if jax.process_count() > 1:
        table = np.sum(multihost_utils.process_allgather(table), axis=0)
    return [
        tokenizer.decode([int(token) - 1 for token in row[1:] if token]) if row[0] else None
        for row in table
    ]
