"""The finite table of batch shapes: one compilation each, and little padding between them.

seconds  0 ──── 4 ──── 8 ──── 12 ──── 16 ──── 20
rows        32     16     10       8      6           rows × length ≤ batch_seconds
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

# Beyond this many distinct lengths, boundaries are looked for among evenly spaced ones.
MAX_BOUNDARIES = 400
# 0.08 s is a whole number of frames after subsampling by 8 at a hop of 10 ms.
ALIGN_SECONDS = 0.08
ALIGN_TOKENS = 8


@dataclass(frozen=True)
class Bucket:
    """A batch shape: audio [batch_size, num_samples], text [batch_size, num_tokens]."""

    num_samples: int
    num_tokens: int
    batch_size: int

    def title(self, sample_rate: int) -> str:
        """The shape in people's units: "32 x 3.7 s"."""
        return f"{self.batch_size} x {self.num_samples / sample_rate:.1f} s"


def choose_buckets(
    num_samples: Int[np.ndarray, " utterances"],
    num_tokens: Int[np.ndarray, " utterances"],
    *,
    count: int,
    batch_seconds: float,
    sample_rate: int,
    multiple_of: int = 1,
    epochs: int = 1,
) -> tuple[Bucket, ...]:
    """At most `count` buckets, shortest first, that pad these utterances least.

    Boundaries come from dynamic programming over the distinct lengths, for every number of
    buckets up to `count`; the table kept is the one whose epoch has the fewest samples, padding,
    batches' leftovers and filler rows counted, so a small corpus gets few buckets.

    num_tokens of a bucket is the room for the largest count among utterances that fit it.
    batch_size is batch_seconds of audio, padding included, rounded down to `multiple_of` rows,
    and at least that many; never more rows than the corpus has utterances.
    epochs: how many times the arrays list each utterance, once per way it may be perturbed.
    """
    budget = batch_seconds * sample_rate
    lengths, cumulative = _distinct_lengths(num_samples, round(ALIGN_SECONDS * sample_rate))
    most_rows = _round_up(math.ceil(len(num_samples) / epochs), multiple_of)
    best_cost: float = math.inf
    best_table: tuple[Bucket, ...] = ()
    for boundaries in _best_boundaries(lengths, cumulative, min(count, len(lengths))):
        table = tuple(
            Bucket(
                num_samples=length,
                num_tokens=token_room(int(num_tokens[num_samples <= length].max(initial=1))),
                batch_size=_batch_size(budget / length, multiple_of, most_rows),
            )
            for length in lengths[boundaries].tolist()
        )
        held = np.diff(cumulative[boundaries], prepend=0) // epochs
        cost = _epoch_samples(table, held)
        if cost < best_cost:
            best_cost, best_table = cost, table
    return best_table


def token_room(count: int) -> int:
    """How many tokens a batch has room for that is to hold so many."""
    # A decoder reads one more, the start.
    return _round_up(count + 1, ALIGN_TOKENS) - 1


def _round_up(value: int, multiple_of: int) -> int:
    return math.ceil(value / multiple_of) * multiple_of


def _batch_size(rows: float, multiple_of: int, most_rows: int) -> int:
    return min(max(int(rows / multiple_of), 1) * multiple_of, most_rows)


def _distinct_lengths(
    num_samples: Int[np.ndarray, " utterances"], align: int
) -> tuple[Int[np.ndarray, " lengths"], Int[np.ndarray, " lengths"]]:
    """Aligned lengths in ascending order, and how many utterances are no longer than each."""
    aligned = np.maximum(1, -(-num_samples // align)) * align
    lengths, counts = np.unique(aligned, return_counts=True)
    cumulative = np.cumsum(counts)
    stride = math.ceil(len(lengths) / MAX_BOUNDARIES)
    kept = slice((len(lengths) - 1) % stride, None, stride)
    return lengths[kept], cumulative[kept]


def _best_boundaries(
    lengths: Int[np.ndarray, " lengths"], cumulative: Int[np.ndarray, " lengths"], count: int
) -> list[list[int]]:
    """For 1, 2, ... count buckets, the places in `lengths` of the boundaries that pad least.

    Recurrence: cost_k(j) = min over i < j of cost_{k-1}(i) + held(i, j) length_j, where held(i, j)
    utterances are longer than length_i and no longer than length_j.
    """
    held_IJ = (cumulative[None, :] - cumulative[:, None]).astype(np.float64)
    step_IJ: Float[np.ndarray, "lengths lengths"] = np.where(
        held_IJ > 0, held_IJ * lengths[None, :], np.inf
    )
    cost_J = cumulative.astype(np.float64) * lengths
    previous: list[np.ndarray] = []
    solutions = [[len(lengths) - 1]]
    for _ in range(1, count):
        total_IJ = cost_J[:, None] + step_IJ
        previous.append(np.argmin(total_IJ, axis=0))
        cost_J = np.min(total_IJ, axis=0)
        solution = [len(lengths) - 1]
        for came_from in reversed(previous):
            solution.append(int(came_from[solution[-1]]))
        solutions.append(solution[::-1])
    return solutions


def _epoch_samples(table: Sequence[Bucket], held: Int[np.ndarray, " buckets"]) -> int:
    """Samples of an epoch's batches when `held` utterances fall into each bucket."""
    samples = leftover = 0
    for bucket, num in zip(table, held, strict=True):
        batches, leftover = divmod(int(num) + leftover, bucket.batch_size)
        samples += batches * bucket.batch_size * bucket.num_samples
    return samples + (leftover > 0) * table[-1].batch_size * table[-1].num_samples
