"""Order, coverage and padding of training and evaluation plans."""

import itertools
import pickle

import numpy as np
import pytest

from jasr.pipeline.buckets import choose_buckets
from jasr.pipeline.epoch import FILLER
from jasr.pipeline.plan import EvalPlan, PlannedBatch, TrainPlan
from jasr.pipeline.usable import Selection

RATE = 16_000
SPEEDS = (0.9, 1.0, 1.1)


def selection_of(count: int, *, low: float = 1.0, high: float = 20.0, seed: int = 0) -> Selection:
    """`count` utterances of evenly spread durations, twelve tokens a second, every other place."""
    seconds = np.random.default_rng(seed).uniform(low, high, count)
    return Selection(
        indices=2 * np.arange(count),
        num_samples=(seconds * RATE).astype(np.int64),
        num_tokens=(seconds * 12).astype(np.int64),
        starts=np.zeros(count, np.int64),
        sample_rate=RATE,
    )


def train_plan(selection: Selection, **options) -> TrainPlan:
    return TrainPlan(selection, **{"seed": 3, "batch_seconds": 160.0, "speeds": SPEEDS} | options)


def epochs_of(plan: TrainPlan, count: int) -> list[list[PlannedBatch]]:
    epochs = [[] for _ in range(count)]
    step = 0
    while (planned := plan[step]).epoch < count:
        epochs[planned.epoch].append(planned)
        step += 1
    return epochs


def batches_of(plan: TrainPlan, epochs: int) -> list[PlannedBatch]:
    return list(itertools.chain.from_iterable(epochs_of(plan, epochs)))


def padding(batches: list[PlannedBatch]) -> float:
    real = sum(int(batch.num_samples.sum()) for batch in batches)
    return 1 - real / sum(batch.bucket.num_samples * batch.bucket.batch_size for batch in batches)


def same(one: PlannedBatch, other: PlannedBatch) -> bool:
    arrays = ("indices", "num_samples", "speeds")
    return (one.bucket, one.epoch) == (other.bucket, other.epoch) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )


@pytest.mark.parametrize("speeds", [(1.0,), SPEEDS])
@pytest.mark.parametrize("batch_seconds", [80.0, 160.0, 320.0])
def test_padding_of_evenly_spread_durations_stays_under_a_tenth(speeds, batch_seconds):
    plan = train_plan(selection_of(2000), speeds=speeds, batch_seconds=batch_seconds)
    for epoch in epochs_of(plan, 3):
        assert padding(epoch) < 0.10


def test_padding_of_an_evaluation_stays_under_a_tenth():
    plan = EvalPlan(selection_of(2000), batch_seconds=160.0)
    assert padding(list(plan)) < 0.10


def test_every_utterance_comes_exactly_once_an_epoch():
    selection = selection_of(333)
    for epoch in epochs_of(train_plan(selection), 4):
        indices = np.concatenate([batch.indices for batch in epoch])
        real = np.sort(indices[indices != FILLER])
        np.testing.assert_array_equal(real, selection.indices)


def test_only_one_batch_of_an_epoch_has_filler_rows():
    for epoch in epochs_of(train_plan(selection_of(333), multiple_of=8), 3):
        assert sum(bool(np.any(batch.indices == FILLER)) for batch in epoch) <= 1


def test_every_row_fits_its_bucket():
    selection = selection_of(500)
    tokens = dict(zip(selection.indices, selection.num_tokens, strict=True))
    for planned in batches_of(train_plan(selection), 3):
        assert planned.num_samples.max() <= planned.bucket.num_samples
        real = planned.indices[planned.indices != FILLER]
        assert max(tokens[index] for index in real) <= planned.bucket.num_tokens


def test_shapes_are_no_more_than_buckets():
    plan = train_plan(selection_of(500), num_buckets=5)
    shapes = {planned.bucket for planned in batches_of(plan, 3)}
    assert shapes <= set(plan.buckets)
    assert len(plan.buckets) <= 5


def test_a_step_is_the_same_in_any_order_of_asking_and_in_another_process():
    plan, copy = train_plan(selection_of(100)), train_plan(selection_of(100))
    far = int(20 * plan.batches_per_epoch)
    forwards = {step: plan[step] for step in range(far)}
    unpickled = pickle.loads(pickle.dumps(copy))
    assert all(same(unpickled[step], forwards[step]) for step in reversed(range(far)))
    assert plan.fingerprint == unpickled.fingerprint


def test_epochs_and_seeds_differ_in_order():
    plan = train_plan(selection_of(200), speeds=(1.0,))
    first, second = epochs_of(plan, 2)
    assert not any(same(one, other) for one, other in zip(first, second, strict=True))
    other = train_plan(selection_of(200), speeds=(1.0,), seed=4)
    assert not np.array_equal(other[0].indices, plan[0].indices)
    assert other.fingerprint != plan.fingerprint


def test_each_utterance_is_heard_at_every_speed_in_turn():
    plan = train_plan(selection_of(300))
    heard: dict[int, list[float]] = {}
    for epoch in epochs_of(plan, 3):
        speeds = []
        for planned in epoch:
            for index, speed in zip(planned.indices, planned.speeds, strict=True):
                if index != FILLER:
                    heard.setdefault(int(index), []).append(float(speed))
                    speeds.append(speed)
        assert np.mean(np.asarray(speeds) < 1) == pytest.approx(1 / 3, abs=0.1)
    full = [sorted(speeds) == list(SPEEDS) for speeds in heard.values()]
    assert np.mean(full) > 0.85


def test_slowing_down_never_outgrows_the_longest_utterance():
    selection = selection_of(300)
    for planned in batches_of(train_plan(selection), 3):
        assert planned.num_samples.max() <= selection.num_samples.max()


def test_speed_of_an_utterance_does_not_depend_on_the_others_selected():
    whole = selection_of(60)
    part = Selection(
        indices=whole.indices[10:50],
        num_samples=whole.num_samples[10:50],
        num_tokens=whole.num_tokens[10:50],
        starts=whole.starts[10:50],
        sample_rate=RATE,
    )

    def speeds(plan: TrainPlan) -> dict[int, int]:
        longest = int(part.num_samples.max())
        return {
            int(index): int(1000 * speed)
            for planned in epochs_of(plan, 1)[0]
            for index, speed, length in zip(
                planned.indices, planned.speeds, planned.num_samples, strict=True
            )
            if index != FILLER and length * speed / 0.9 < longest
        }

    in_whole, in_part = speeds(train_plan(whole)), speeds(train_plan(part))
    shared = in_whole.keys() & in_part.keys()
    assert len(shared) > 20
    assert all(in_whole[index] == in_part[index] for index in shared)


def test_evaluation_covers_each_utterance_once_longest_first():
    selection = selection_of(101)
    plan = EvalPlan(selection, batch_seconds=160.0, num_buckets=4, multiple_of=4)
    batches = list(plan)
    indices = np.concatenate([batch.indices for batch in batches])
    np.testing.assert_array_equal(np.sort(indices[indices != FILLER]), selection.indices)
    lengths = [batch.bucket.num_samples for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    assert all(batch.bucket.batch_size % 4 == 0 for batch in batches)


def test_evaluation_at_several_speeds_covers_each_utterance_at_each():
    selection = selection_of(101)
    batches = list(EvalPlan(selection, batch_seconds=160.0, speeds=(0.5, 1.0, 2.0)))
    found = [
        (index, speed, samples)
        for batch in batches
        for index, speed, samples in zip(
            batch.indices, batch.speeds, batch.num_samples, strict=True
        )
        if index != FILLER
    ]
    longest = selection.num_samples.max()
    wanted = [
        (index, speed, np.ceil(samples / speed))
        for index, samples in zip(selection.indices, selection.num_samples, strict=True)
        for speed in (0.5, 1.0, 2.0)
        if samples / speed <= longest
    ]
    assert 101 * 2 < len(wanted) < 101 * 3
    assert sorted(found) == sorted(wanted)


def test_batches_keep_the_budget_and_divide_among_devices():
    selection = selection_of(1000)
    for bucket in train_plan(selection, multiple_of=8, batch_seconds=320.0).buckets:
        assert bucket.batch_size % 8 == 0
        assert bucket.batch_size * bucket.num_samples <= 320 * RATE


def test_a_bucket_holds_at_least_multiple_of_rows():
    plan = train_plan(selection_of(100), multiple_of=8, batch_seconds=1.0)
    assert {bucket.batch_size for bucket in plan.buckets} == {8}


def test_boundaries_are_the_best_of_all():
    seconds = np.asarray([1, 1, 2, 2, 2, 5, 6, 9, 9, 10]) * 0.8
    lengths = (seconds * RATE).astype(np.int64)
    chosen = choose_buckets(
        lengths, np.ones(10, np.int64), count=3, batch_seconds=0.1, sample_rate=RATE
    )
    bounds = [bucket.num_samples / (0.8 * RATE) for bucket in chosen]
    assert bounds == [2, 6, 10]


def test_a_corpus_smaller_than_a_batch_makes_one_batch():
    plan = train_plan(selection_of(5), batch_seconds=1000.0, multiple_of=4, speeds=(1.0,))
    assert plan.batches_per_epoch == 1
    assert plan[0].bucket.batch_size == 8


def test_any_step_of_a_large_corpus_is_found_without_those_before_it():
    """Were each epoch before it planned, this would take minutes."""
    plan = train_plan(selection_of(300_000))
    assert plan[10**7].epoch > 100


@pytest.mark.parametrize("speeds", [(1.0,), SPEEDS])
def test_passes_say_how_often_an_utterance_comes(speeds):
    selection = selection_of(120)
    passes = np.repeat([1.0, 0.25, 2.5], 40)
    plan = train_plan(selection, passes=passes, speeds=speeds)
    counts = np.zeros((8, 120), int)
    for epoch, batches in enumerate(epochs_of(plan, 8)):
        for planned in batches:
            for index in planned.indices[planned.indices != FILLER]:
                counts[epoch, index // 2] += 1
    np.testing.assert_array_equal(counts.sum(axis=0), 8 * passes)
    assert np.all((counts == np.floor(passes)) | (counts == np.ceil(passes)))
    # Not all of a part comes in the same epochs.
    assert 0 < counts[0, 40:80].sum() < 40


def test_passes_are_in_the_fingerprint():
    selection = selection_of(40)
    plain, once = train_plan(selection), train_plan(selection, passes=np.ones(40))
    assert plain.fingerprint == once.fingerprint
    assert plain.fingerprint != train_plan(selection, passes=np.full(40, 1.5)).fingerprint
