"""One pass over the data, cut into batches: every utterance exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from jasr.pipeline.buckets import Bucket

FILLER = -1


@dataclass(frozen=True, eq=False)
class Epoch:
    """Batches, laid end to end.

    rows:    place in the selection of each batch row; FILLER where the row only fills.
    starts:  where each batch begins in `rows`.
    numbers: which of `buckets` each batch has the shape of.
    """

    buckets: Sequence[Bucket]
    rows: Int[np.ndarray, " rows"]
    starts: Int[np.ndarray, " batches"]
    numbers: Int[np.ndarray, " batches"]

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, place: int) -> tuple[Bucket, Int[np.ndarray, " batch"]]:
        """Shape and rows of one batch."""
        bucket = self.buckets[self.numbers[place]]
        start = self.starts[place]
        return bucket, self.rows[start : start + bucket.batch_size]

    def reordered(self, places: Int[np.ndarray, " batches"]) -> "Epoch":
        """The same batches in another order."""
        return replace(self, starts=self.starts[places], numbers=self.numbers[places])


def cut_epoch(
    order: Int[np.ndarray, " rows"],
    num_samples: Int[np.ndarray, " utterances"],
    buckets: Sequence[Bucket],
) -> Epoch:
    """Batches of each bucket in turn, shortest first; within a bucket utterances keep `order`.

    order:       utterances, each as often as it comes.
    num_samples: length of each utterance; it goes to the shortest bucket that holds it.
    What does not fill a batch moves up to the next longer bucket; the longest bucket's last
    batch is completed with filler rows.
    """
    bucket_of = np.searchsorted([bucket.num_samples for bucket in buckets], num_samples)
    by_bucket = order[np.argsort(bucket_of[order], kind="stable")]
    bounds = np.searchsorted(bucket_of[by_bucket], np.arange(len(buckets) + 1))
    leftover = by_bucket[:0]
    rows, batches_of = [], []
    for number, bucket in enumerate(buckets):
        pool = np.concatenate([leftover, by_bucket[bounds[number] : bounds[number + 1]]])
        if number == len(buckets) - 1:
            missing = -len(pool) % bucket.batch_size
            pool = np.concatenate([pool, np.full(missing, FILLER, pool.dtype)])
        num_batches = len(pool) // bucket.batch_size
        rows.append(pool[: num_batches * bucket.batch_size])
        leftover = pool[num_batches * bucket.batch_size :]
        batches_of.append(num_batches)
    numbers = np.repeat(np.arange(len(buckets)), batches_of)
    sizes = np.asarray([bucket.batch_size for bucket in buckets])[numbers]
    return Epoch(
        buckets=buckets,
        rows=np.concatenate(rows),
        starts=np.cumsum(sizes) - sizes,
        numbers=numbers,
    )
