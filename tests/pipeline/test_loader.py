"""Batches: the same whatever loads them, whole where a recording is bad, complete in evaluation."""

import multiprocessing
from collections.abc import Sequence

import numpy as np
import pytest
from jax._src import xla_bridge
from tone_corpus import SAMPLE_RATE, write_manifest

from jasr.corpora.corpus import Corpus, Problem, Utterance
from jasr.corpora.manifest_file import ManifestCorpus
from jasr.errors import UserError
from jasr.pipeline.augment import WaveformAugment
from jasr.pipeline.loader import FILLER_ID, LoadedBatch, load_batches
from jasr.pipeline.plan import EvalPlan, TrainPlan
from jasr.pipeline.usable import select_all, select_audio, select_usable
from jasr.tasks.targets import NoTargets, Transcripts
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer("character", ["one two three four five six seven"], vocab_size=0)
TRANSCRIPTS = Transcripts(TOKENIZER, normalizer("basic-v1"))
AUGMENT = WaveformAugment(
    speeds=(0.9, 1.0, 1.1), gain_db=6.0, noise_probability=0.5, noise_snr_db=(5.0, 20.0)
)


def train_plan(corpus: Corpus, **options) -> TrainPlan:
    selection = select_usable(corpus, TRANSCRIPTS, min_seconds=0.1, max_seconds=5.0, max_tokens=50)
    options = {
        "seed": 5,
        "batch_seconds": 4.0,
        "num_buckets": 3,
        "speeds": AUGMENT.speeds,
    } | options
    return TrainPlan(selection, **options)


def eval_plan(corpus: Corpus, **options) -> EvalPlan:
    options = {"batch_seconds": 4.0, "num_buckets": 3} | options
    return EvalPlan(select_all(corpus, TRANSCRIPTS), **options)


def load(corpus: Corpus, plan: TrainPlan | EvalPlan, start: int, stop: int, **options):
    steps = {"start_step": start, "stop_step": stop}
    return list(load_batches(corpus, plan, TRANSCRIPTS, **steps, **options))


def arrays_of(loaded: LoadedBatch) -> dict[str, np.ndarray]:
    batch = loaded.batch
    return {
        "audio": batch.audio.values,
        "audio_mask": batch.audio.mask,
        "text": batch.targets["text"].values,
        "text_mask": batch.targets["text"].mask,
        "example_mask": batch.example_mask,
        "example_ids": batch.example_ids,
    }


def assert_same(one: Sequence[LoadedBatch], other: Sequence[LoadedBatch]) -> None:
    assert [loaded.step for loaded in one] == [loaded.step for loaded in other]
    for left, right in zip(one, other, strict=True):
        right_arrays = arrays_of(right)
        for name, array in arrays_of(left).items():
            np.testing.assert_array_equal(array, right_arrays[name], err_msg=name)
        assert left.problems == right.problems


def test_a_batch_holds_what_its_row_says(corpus):
    plan = train_plan(corpus, speeds=(1.0,))
    for loaded in load(corpus, plan, 0, 8):
        batch = loaded.batch
        assert batch.audio.values.dtype == np.float32
        assert batch.targets["text"].values.dtype == np.int32
        assert batch.example_ids.dtype == np.uint32
        text = batch.targets["text"]
        for row in np.flatnonzero(batch.example_mask):
            index = int(batch.example_ids[row])
            wave = batch.audio.values[row][batch.audio.mask[row]]
            np.testing.assert_array_equal(wave, corpus.read(index))
            tokens = text.values[row][text.mask[row]]
            assert TOKENIZER.decode(tokens.tolist()) == corpus.utterances[index].text
        assert not np.any(batch.audio.values[~batch.audio.mask])
        assert not np.any(text.values[~text.mask])
        samples = batch.audio.mask.sum()
        assert loaded.audio_seconds == pytest.approx(samples / SAMPLE_RATE)
        assert loaded.padding_fraction == pytest.approx(1 - samples / batch.audio.mask.size)


def test_going_on_at_a_step_gives_the_batches_of_one_run(corpus):
    plan = train_plan(corpus)
    whole = load(corpus, plan, 0, 12, augment=AUGMENT)
    assert whole[-1].epoch > 0
    assert_same(whole[5:], load(corpus, train_plan(corpus), 5, 12, augment=AUGMENT))


def test_workers_give_the_batches_that_threads_give(corpus):
    plan = train_plan(corpus)
    here = load(corpus, plan, 3, 10, augment=AUGMENT)
    assert_same(here, load(corpus, plan, 3, 10, augment=AUGMENT, num_workers=2))


def test_pieces_of_long_recordings_are_all_of_their_audio(corpus):
    selection = select_audio(corpus, min_seconds=0.1, max_seconds=0.6)
    assert len(selection) > len(corpus)
    plan = TrainPlan(selection, seed=5, batch_seconds=4.0, speeds=(1.0,))
    steps = round(plan.batches_per_epoch)
    batches = load_batches(corpus, plan, NoTargets(), start_step=0, stop_step=steps)
    heard = dict.fromkeys(range(len(corpus)), 0)
    ids: list[int] = []
    for loaded in batches:
        planned = plan[loaded.step]
        ids += loaded.batch.example_ids[loaded.batch.example_mask].tolist()
        assert not loaded.batch.targets["text"].mask.any()
        for row in np.flatnonzero(loaded.batch.example_mask):
            wave = loaded.batch.audio.values[row][loaded.batch.audio.mask[row]]
            index, start = int(planned.indices[row]), int(planned.starts[row])
            np.testing.assert_array_equal(wave, corpus.read(index)[start : start + len(wave)])
            heard[index] += len(wave)
    assert all(samples == len(corpus.read(index)) for index, samples in heard.items())
    # What is drawn for a piece, masks say, is not what is drawn for another.
    assert len(set(ids)) == len(ids)


def test_no_steps_are_no_batches(corpus):
    assert load(corpus, train_plan(corpus), 7, 7) == []


def test_processes_hold_slices_of_the_same_batches(corpus):
    plan = train_plan(corpus, multiple_of=2)
    whole = load(corpus, plan, 0, 6, augment=AUGMENT)
    halves = [load(corpus, plan, 0, 6, augment=AUGMENT, share=(index, 2)) for index in range(2)]
    for together, first, second in zip(whole, *halves, strict=True):
        firsts, seconds = arrays_of(first), arrays_of(second)
        for name, array in arrays_of(together).items():
            np.testing.assert_array_equal(array, np.concatenate([firsts[name], seconds[name]]))


def test_rows_that_do_not_divide_into_shares_are_an_error(corpus):
    plan = train_plan(corpus, multiple_of=2)
    with pytest.raises(UserError, match="does not divide into 3 shares"):
        load(corpus, plan, 0, 1, share=(0, 3))


def test_augmentation_does_not_depend_on_batch_mates(corpus):
    def waves(batch_seconds: float) -> dict[int, np.ndarray]:
        plan = train_plan(corpus, batch_seconds=batch_seconds)
        found = {}
        for loaded in load(corpus, plan, 0, 40, augment=AUGMENT):
            audio = loaded.batch.audio
            for row in np.flatnonzero(loaded.batch.example_mask):
                if loaded.epoch == 1:
                    index = int(loaded.batch.example_ids[row])
                    found[index] = audio.values[row][audio.mask[row]]
        return found

    small, large = waves(2.0), waves(6.0)
    assert small.keys() == large.keys() == set(range(len(corpus)))
    for index, wave in small.items():
        np.testing.assert_array_equal(wave, large[index])


def test_shapes_are_as_many_as_buckets_used(corpus):
    plan = train_plan(corpus)
    loaded = load(corpus, plan, 0, 15)
    shapes = {
        (batch.batch.audio.values.shape, batch.batch.targets["text"].values.shape)
        for batch in loaded
    }
    assert len(shapes) == len({plan[batch.step].bucket for batch in loaded}) > 1


@pytest.fixture
def damaged(tmp_path):
    """u2 is not audio and u4 is missing, which only reading tells; u6 lasts longer than it says."""
    changes = {"u4": {"audio": "missing.flac"}, "u6": {"duration": 0.11}}
    path = write_manifest(tmp_path, 8, **changes)
    (tmp_path / "u2.flac").write_bytes(b"not audio")
    return ManifestCorpus(path, SAMPLE_RATE)


def test_unreadable_utterances_leave_filler_rows_and_are_named(damaged):
    plan = eval_plan(damaged)
    loaded = load(damaged, plan, 0, len(plan))
    problems = {problem.id: problem.reason for batch in loaded for problem in batch.problems}
    assert sorted(problems) == ["u2", "u4", "u6"]
    assert "u2.flac" in problems["u2"]
    assert "missing.flac" in problems["u4"]
    assert "the corpus's index says 0.11 s" in problems["u6"]
    seen = [id for batch in loaded for id in batch.batch.example_ids if id != FILLER_ID]
    assert sorted(seen) == [0, 1, 3, 5, 7]
    for batch in loaded:
        filler = ~batch.batch.example_mask
        assert np.all(batch.batch.example_ids[filler] == FILLER_ID)
        assert not np.any(batch.batch.audio.mask[filler])
        assert not np.any(batch.batch.audio.values[filler])
        assert not np.any(batch.batch.targets["text"].mask[filler])


def test_an_unreadable_utterance_changes_nothing_for_its_batch_mates(damaged, tmp_path):
    (tmp_path / "whole").mkdir()
    whole = ManifestCorpus(write_manifest(tmp_path / "whole", 8), SAMPLE_RATE)
    plan = train_plan(whole)
    good = load(whole, plan, 0, 6, augment=AUGMENT)
    for bad, fine in zip(load(damaged, plan, 0, 6, augment=AUGMENT), good, strict=True):
        rows = bad.batch.example_mask
        np.testing.assert_array_equal(bad.batch.audio.values[rows], fine.batch.audio.values[rows])
        assert fine.batch.example_mask.sum() - rows.sum() == len(bad.problems)


@pytest.mark.parametrize("shares", [1, 2])
def test_an_evaluation_holds_each_utterance_once_with_or_without_text(tmp_path, shares):
    changes = {"u1": {"text": None}, "u3": {"text": "zebra"}}
    path = write_manifest(tmp_path, 11, **changes)
    corpus = ManifestCorpus(path, SAMPLE_RATE)
    plan = eval_plan(corpus, multiple_of=2)
    tokens = {}
    for index in range(shares):
        for loaded in load(corpus, plan, 0, len(plan), share=(index, shares)):
            batch = loaded.batch
            lengths = batch.targets["text"].mask.sum(axis=1)
            for row in np.flatnonzero(batch.example_mask):
                assert int(batch.example_ids[row]) not in tokens
                tokens[int(batch.example_ids[row])] = lengths[row]
    assert sorted(tokens) == list(range(11))
    assert [index for index, length in sorted(tokens.items()) if length == 0] == [1, 3]


class BackendFreeCorpus(Corpus):
    """Silence that can be read only where JAX has not taken a device."""

    name, split, sample_rate = "silence", "train", SAMPLE_RATE
    utterances: Sequence[Utterance] = tuple(
        Utterance(f"s{number}", "one", None, 0.25) for number in range(4)
    )
    problems: Sequence[Problem] = ()

    def read(self, index: int) -> np.ndarray:  # noqa: ARG002
        if xla_bridge.backends_are_initialized():
            raise UserError("a JAX backend was initialised")
        return np.zeros(SAMPLE_RATE // 4, np.float32)


def test_workers_leave_the_devices_alone_and_end_with_the_iterator():
    corpus = BackendFreeCorpus()
    plan = train_plan(corpus, speeds=(1.0,))
    steps = {"start_step": 0, "stop_step": 1000}
    batches = load_batches(corpus, plan, TRANSCRIPTS, **steps, num_workers=1)
    loaded = next(batches)
    assert loaded.problems == ()
    assert sorted(loaded.batch.example_ids) == [0, 1, 2, 3]
    batches.close()
    assert multiprocessing.active_children() == []


def test_noise_of_another_sample_rate_is_an_error(corpus):
    noise = ManifestCorpus(corpus.path, 2 * SAMPLE_RATE)
    augment = WaveformAugment(noise_probability=0.5, noise_corpus=noise)
    with pytest.raises(UserError, match=r"16000 Hz, but corpus .* at 8000 Hz"):
        load(corpus, train_plan(corpus), 0, 1, augment=augment)
