"""Which utterances form the batch of a step: pure functions, with random access and no state.

    step ──▶ epoch, offset ──▶ shuffled, bucketed epoch ──▶ PlannedBatch

Every process computes the same plan and later loads its own rows of each batch.
"""

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jasr.corpora.passes import in_eighths
from jasr.pipeline.buckets import Bucket, choose_buckets
from jasr.pipeline.epoch import FILLER, Epoch, cut_epoch
from jasr.pipeline.usable import Selection

# Keeps the draws of the plan apart from one another under one seed.
SPEED_STREAM, ORDER_STREAM, PASSES_STREAM = 0, 1, 3


@dataclass(frozen=True, eq=False)
class PlannedBatch:
    """One batch, before anything is read.

    indices:     utterance of each row, its place in the corpus; FILLER where the row only fills.
    num_samples: length each row's audio has after speed perturbation; 0 for filler rows.
    speeds:      factor by which each row is to be sped up.
    starts, lengths: of the utterance's samples, those that the row holds before that.
    """

    bucket: Bucket
    epoch: int
    indices: Int[np.ndarray, " batch"]
    num_samples: Int[np.ndarray, " batch"]
    speeds: Float[np.ndarray, " batch"]
    starts: Int[np.ndarray, " batch"]
    lengths: Int[np.ndarray, " batch"]


class TrainPlan:
    """The endless order of training: `plan[step]`, a pure function of (seed, step).

    In an epoch every utterance comes exactly once, or as often as `passes` says, at one of
    `speeds`; it goes through all of them in turn from a place drawn for it. So the batches of an
    epoch number the same after a cycle of epochs, and the epoch of a step is found without planning
    those before it.

    passes: how often an epoch goes over each utterance, in eighths: one of 2.5 comes twice and
            three times in turn. None: once over all.
    batch_seconds, num_buckets, multiple_of: see `choose_buckets`.
    """

    def __init__(
        self,
        selection: Selection,
        *,
        seed: int,
        batch_seconds: float,
        num_buckets: int = 12,
        speeds: Sequence[float] = (1.0,),
        multiple_of: int = 1,
        passes: Float[np.ndarray, " utterances"] | None = None,
    ):
        self.selection = selection
        self.seed = seed
        self.speeds = np.asarray(speeds, np.float64)
        self._longest = selection.num_samples.max()
        draws = np.random.default_rng([seed, SPEED_STREAM]).random(selection.indices.max() + 1)
        self._first_speed = (draws[selection.indices] * len(speeds)).astype(np.int64)
        self._eighths = _eighths(passes, len(selection))
        phases = np.random.default_rng([seed, PASSES_STREAM]).integers(8, size=len(selection))
        self._phases = phases
        cycle = math.lcm(len(speeds), 8 // int(np.gcd.reduce(self._eighths, initial=8)))
        rows = [self._rows(epoch) for epoch in range(cycle)]
        lengths = [self._perturbed(epoch)[0] for epoch in range(cycle)]
        self.buckets = choose_buckets(
            np.concatenate([n[r] for n, r in zip(lengths, rows, strict=True)]),
            selection.num_tokens[np.concatenate(rows)],
            count=num_buckets,
            batch_seconds=batch_seconds,
            sample_rate=selection.sample_rate,
            multiple_of=multiple_of,
            epochs=cycle,
        )
        sizes = [len(cut_epoch(r, n, self.buckets)) for r, n in zip(rows, lengths, strict=True)]
        self._epoch_ends = np.cumsum(sizes)

    @property
    def batches_per_epoch(self) -> float:
        """Mean number of steps that one pass over the data takes."""
        return float(self._epoch_ends[-1] / len(self._epoch_ends))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of all that the order depends on: a training resumed under it goes on exactly."""
        chosen = self.selection
        digest = hashlib.sha256(repr((self.seed, self.buckets)).encode())
        for array in (
            *(chosen.indices, chosen.starts, chosen.num_samples),
            *(self._first_speed, self.speeds, self._eighths),
        ):
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]

    def __getitem__(self, step: int) -> PlannedBatch:
        """The batch of a step, counted from 0."""
        cycle, rest = divmod(step, int(self._epoch_ends[-1]))
        turn = int(np.searchsorted(self._epoch_ends, rest, side="right"))
        epoch = cycle * len(self._epoch_ends) + turn
        offset = rest - (int(self._epoch_ends[turn - 1]) if turn else 0)
        bucket, rows = _shuffled_epoch(self, epoch).batch(offset)
        num_samples, speeds = self._perturbed(epoch, rows)
        return _planned_batch(bucket, epoch, rows, self.selection, num_samples, speeds)

    def shuffled(self, epoch: int) -> Epoch:
        """An epoch's batches in the order they are trained on."""
        random = np.random.default_rng([self.seed, ORDER_STREAM, epoch])
        order = random.permutation(self._rows(epoch))
        batches = cut_epoch(order, self._perturbed(epoch)[0], self.buckets)
        return batches.reordered(random.permutation(len(batches)))

    def _rows(self, epoch: int) -> Int[np.ndarray, " rows"]:
        """The utterances of an epoch, in order, each as often as it comes."""
        before = (epoch * self._eighths + self._phases) // 8
        times = ((epoch + 1) * self._eighths + self._phases) // 8 - before
        return np.repeat(np.arange(len(self.selection)), times)

    def _perturbed(
        self, epoch: int, rows: slice | Int[np.ndarray, " rows"] = slice(None)
    ) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
        """Length in samples and speed of utterances in an epoch.

        One that would come out longer than the longest utterance keeps its own speed: slowing
        down never asks a model for more than the corpus does.
        """
        original = self.selection.num_samples[rows]
        speeds = self.speeds[(self._first_speed[rows] + epoch) % len(self.speeds)]
        num_samples = _sped_up(original, speeds)
        too_long = num_samples > self._longest
        return np.where(too_long, original, num_samples), np.where(too_long, 1.0, speeds)


@functools.lru_cache(maxsize=3)
def _shuffled_epoch(plan: TrainPlan, epoch: int) -> Epoch:
    """The last epochs, kept outside the plan so that it pickles small."""
    return plan.shuffled(epoch)


class EvalPlan:
    """Every utterance exactly once, longest batches first; a sequence of PlannedBatch.

    speeds: once at each of these, where that makes it no longer than the longest utterance.
    batch_seconds, num_buckets, multiple_of: see `choose_buckets`.
    seed: of the noise, where an evaluation adds some; the order is always the same.
    """

    def __init__(
        self,
        selection: Selection,
        *,
        batch_seconds: float,
        num_buckets: int = 12,
        multiple_of: int = 1,
        seed: int = 0,
        speeds: Sequence[float] = (1.0,),
    ):
        self.selection = selection
        self.seed = seed
        rows = np.repeat(np.arange(len(selection)), len(speeds))
        factors = np.tile(np.asarray(speeds, np.float64), len(selection))
        num_samples = _sped_up(selection.num_samples[rows], factors)
        kept = num_samples <= selection.num_samples.max()
        self._rows, self._speeds, self._num_samples = rows[kept], factors[kept], num_samples[kept]
        self.buckets = choose_buckets(
            self._num_samples,
            selection.num_tokens[self._rows],
            count=num_buckets,
            batch_seconds=batch_seconds,
            sample_rate=selection.sample_rate,
            multiple_of=multiple_of,
        )
        order = np.argsort(self._num_samples, kind="stable")
        self._epoch = cut_epoch(order, self._num_samples, self.buckets)

    def __len__(self) -> int:
        return len(self._epoch)

    def __getitem__(self, step: int) -> PlannedBatch:
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of a plan of {len(self)} batches")
        bucket, places = self._epoch.batch(len(self) - 1 - step)
        rows = np.where(places == FILLER, FILLER, self._rows[places])
        num_samples, speeds = self._num_samples[places], self._speeds[places]
        return _planned_batch(bucket, 0, rows, self.selection, num_samples, speeds)


def _sped_up(
    num_samples: Int[np.ndarray, " rows"], speeds: Float[np.ndarray, " rows"]
) -> Int[np.ndarray, " rows"]:
    return np.ceil(num_samples / speeds).astype(np.int64)


def _eighths(
    passes: Float[np.ndarray, " utterances"] | None, count: int
) -> Int[np.ndarray, " utterances"]:
    if passes is None:
        return np.full(count, 8)
    return (8 * in_eighths(passes)).astype(np.int64)


def _planned_batch(
    bucket: Bucket,
    epoch: int,
    rows: Int[np.ndarray, " batch"],
    selection: Selection,
    num_samples: Int[np.ndarray, " batch"],
    speeds: Float[np.ndarray, " batch"],
) -> PlannedBatch:
    filler = rows == FILLER
    return PlannedBatch(
        bucket=bucket,
        epoch=epoch,
        indices=np.where(filler, FILLER, selection.indices[rows]),
        num_samples=np.where(filler, 0, num_samples),
        speeds=np.where(filler, 1.0, speeds),
        starts=np.where(filler, 0, selection.starts[rows]),
        lengths=np.where(filler, 0, selection.num_samples[rows]),
    )
