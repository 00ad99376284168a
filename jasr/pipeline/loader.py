"""From a plan to batches: read, perturb, encode and pad this share's rows, ahead of time.

    step ──▶ plan[step] ──▶ rows of this share ──▶ read · speed · gain · noise ──▶ LoadedBatch

The work runs in threads, or in worker processes where num_workers says so; either way batch n
depends on n alone, so where to go on is the only state there is.
"""

import gc
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np
from absl import flags
from jaxtyping import Bool, Float, Int

from jasr.audio.waveform import change_speed
from jasr.corpora.corpus import LENGTH_TOLERANCE_SECONDS, Corpus, Problem
from jasr.errors import UserError, first_line
from jasr.pipeline.augment import WaveformAugment
from jasr.pipeline.epoch import FILLER
from jasr.pipeline.lesson_rows import LessonRows
from jasr.pipeline.plan import EvalPlan, PlannedBatch, TrainPlan
from jasr.pipeline.usable import indexed_samples
from jasr.tasks.targets import Targets
from jasr.text.tokenizer import UnknownCharacters
from jasr.types import Batch, Padded

# example_ids of a row that only fills the batch: no corpus is that long.
FILLER_ID = int(np.iinfo(np.uint32).max)
# Odd, and nothing that samples or utterances are counted by.
PIECES_APART = 2654435761
# Keeps augmentation's draws apart from the plan's under one seed.
AUGMENT_STREAM = 2
# Smaller arrays come from workers through a pipe, larger ones in shared memory.
MIN_SHARED_BYTES = 1 << 16


@dataclass(frozen=True, eq=False)
class LoadedBatch:
    """This process's rows of the batch of a step.

    batch:          numpy arrays.
    speeds:         at which each row's recording is heard.
    problems:       utterances that could not be loaded, whose rows only fill; noise recordings too.
    audio_seconds:  real audio in the rows, after speed perturbation.
    padded_seconds: the rows' whole extent, padding and filler rows counted.
    """

    batch: Batch
    step: int
    epoch: int
    speeds: Float[np.ndarray, " batch"]
    problems: tuple[Problem, ...]
    audio_seconds: float
    padded_seconds: float

    @property
    def padding_fraction(self) -> float:
        """Part of the rows' samples that is padding; 1 where every row only fills."""
        return 1 - self.audio_seconds / self.padded_seconds


def load_batches(
    corpus: Corpus,
    plan: TrainPlan | EvalPlan,
    targets: Targets,
    *,
    start_step: int,
    stop_step: int,
    num_workers: int = 0,
    share: tuple[int, int] = (0, 1),
    augment: WaveformAugment | None = None,
    lessons: LessonRows | None = None,
) -> Iterator[LoadedBatch]:
    """Batches of steps start_step ... stop_step - 1, the same whatever the number of workers.

    An utterance that cannot be read, or whose length is not what the index says, leaves a filler
    row and a problem; so does one without a lesson, where lessons are given.
    share: (n, of): the rows of every batch are cut into so many slices, and this is the n-th.
    num_workers: processes that load ahead; 0 loads in threads of this one.
    Raises UserError where the rows of a batch do not divide among the processes, and where the
    noise corpus has another sample rate.
    """
    for bucket in plan.buckets:
        if bucket.batch_size % share[1]:
            raise UserError(
                f"a batch of {bucket.batch_size} rows does not divide into {share[1]} shares: plan "
                f"with multiple_of a multiple of {share[1]}"
            )
    noise = augment.noise_corpus if augment else None
    if noise is not None and noise.sample_rate != corpus.sample_rate:
        raise UserError(
            f"noise corpus {noise.name!r} is at {noise.sample_rate} Hz, but corpus "
            f"{corpus.name!r} at {corpus.sample_rate} Hz: open both at one rate"
        )
    load = _LoadRows(corpus, plan, targets, augment, share, lessons)
    steps = grain.MapDataset.range(start_step, stop_step).map(load)
    ahead = _in_workers(steps, num_workers) if num_workers else _in_threads(steps)
    return _assembled(ahead, corpus.sample_rate)


def load_all(
    corpus: Corpus,
    plan: EvalPlan,
    targets: Targets,
    *,
    num_workers: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[LoadedBatch]:
    """Every batch of an evaluation; as `load_batches`."""
    return load_batches(
        corpus,
        plan,
        targets,
        start_step=0,
        stop_step=len(plan),
        num_workers=num_workers,
        share=share,
    )


def _in_threads(steps: grain.MapDataset) -> grain.IterDataset:
    return steps.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4))


def _in_workers(steps: grain.MapDataset, num_workers: int) -> grain.IterDataset:
    # Grain reads flags of its own, which nobody has parsed where absl's app does not run.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    rows = steps.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    rows = grain.experimental.WithOptionsIterDataset(
        rows, grain.experimental.DatasetOptions(min_shm_size=MIN_SHARED_BYTES)
    )
    return rows.mp_prefetch(
        grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=2),
        worker_init_fn=_leave_signals_to_the_parent,
    )


def _leave_signals_to_the_parent(*_: int) -> None:
    """A scheduler may signal all processes at once; the training saves, and ends its workers."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _assembled(ahead: grain.IterDataset, sample_rate: int) -> Iterator[LoadedBatch]:
    rows_of_steps = iter(ahead)
    try:
        for rows in rows_of_steps:
            yield _assemble(rows, sample_rate)
    except RuntimeError as error:
        if "Worker process was terminated" not in str(error):
            raise
        raise UserError(
            f"a loader process was ended by the system ({first_line(error)}): give the machine "
            f"more memory, or a larger /dev/shm, through which batches travel, or lower "
            f"config.data.num_workers"
        ) from error
    finally:
        rows_of_steps.close()
        # Grain's ended threads keep their last rows, and so shared memory, in reference cycles.
        rows = None
        gc.collect()


def _assemble(rows: dict[str, Any], sample_rate: int) -> LoadedBatch:
    audio = np.asarray(rows["audio"])
    targets = {name: np.asarray(values) for name, values in rows["targets"].items()}
    samples = int(rows["num_samples"].sum())
    example_mask = rows["num_samples"] > 0
    return LoadedBatch(
        batch=Batch(
            audio=Padded(audio, _length_mask(rows["num_samples"], audio.shape[1])),
            targets={
                name: Padded(values, _length_mask(rows["target_lengths"][name], values.shape[1]))
                for name, values in targets.items()
            },
            example_mask=example_mask,
            example_ids=np.where(example_mask, rows["ids"], FILLER_ID).astype(np.uint32),
            lessons={name: np.asarray(values) for name, values in rows["lessons"].items()},
        ),
        step=rows["step"],
        epoch=rows["epoch"],
        speeds=np.asarray(rows["speeds"]),
        problems=tuple(Problem(*problem) for problem in rows["problems"]),
        audio_seconds=samples / sample_rate,
        padded_seconds=audio.size / sample_rate,
    )


def _length_mask(lengths: Int[np.ndarray, " batch"], size: int) -> Bool[np.ndarray, "batch size"]:
    return np.arange(size) < lengths[:, None]


@dataclass(frozen=True, eq=False)
class _LoadRows:
    """step -> this process's rows as plain arrays, which travel cheaply between processes."""

    corpus: Corpus
    plan: TrainPlan | EvalPlan
    targets: Targets
    augment: WaveformAugment | None
    share: tuple[int, int]
    lessons: LessonRows | None

    def __call__(self, step: int) -> dict[str, Any]:
        planned = self.plan[step]
        bucket = planned.bucket
        number, count = self.share
        num_rows = bucket.batch_size // count
        ids = np.zeros(num_rows, np.uint32)
        audio = np.zeros((num_rows, bucket.num_samples), np.float32)
        num_samples = np.zeros(num_rows, np.int32)
        sizes = {
            **dict.fromkeys(self.targets.sequences, bucket.num_tokens),
            **dict.fromkeys(self.targets.singles, 1),
        }
        targets = {name: np.zeros((num_rows, size), np.int32) for name, size in sizes.items()}
        lengths = {name: np.zeros(num_rows, np.int32) for name in sizes}
        lessons = self.lessons.empty(bucket, num_rows) if self.lessons else {}
        problems: list[tuple[str, str]] = []
        for row in range(num_rows):
            planned_row = number * num_rows + row
            index = int(planned.indices[planned_row])
            if index == FILLER:
                continue
            try:
                wave = self._wave(planned, planned_row, problems)
                if self.lessons:
                    speed = float(planned.speeds[planned_row])
                    self.lessons.fill(lessons, row, index, speed)
            except (UserError, OSError) as error:
                problems.append((self.corpus.utterances[index].id, str(error)))
                continue
            ids[row] = _example_id(index, int(planned.starts[planned_row]))
            num_samples[row] = len(wave)
            audio[row, : len(wave)] = wave
            for name, numbers in self._targets(index).items():
                targets[name][row, : len(numbers)] = numbers
                lengths[name][row] = len(numbers)
        return {
            "step": step,
            "epoch": planned.epoch,
            "speeds": np.asarray(planned.speeds[number * num_rows :][:num_rows], np.float32),
            "ids": ids,
            "audio": audio,
            "num_samples": num_samples,
            "targets": targets,
            "target_lengths": lengths,
            "lessons": lessons,
            "problems": problems,
        }

    def _wave(
        self, planned: PlannedBatch, row: int, problems: list[tuple[str, str]]
    ) -> Float[np.ndarray, " samples"]:
        """Audio of a row, no longer than planned; it depends on seed, epoch and piece alone."""
        index, start = int(planned.indices[row]), int(planned.starts[row])
        wave = self._planned_wave(index, start, start + int(planned.lengths[row]))
        wave = change_speed(wave, float(planned.speeds[row]))[: planned.num_samples[row]]
        if self.augment is None:
            return wave
        example = _example_id(index, start)
        random = np.random.default_rng([self.plan.seed, AUGMENT_STREAM, planned.epoch, example])
        return self.augment(wave, random, problems)

    def _planned_wave(self, index: int, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        """Of a recording that is cut its piece alone is read."""
        rate = self.corpus.sample_rate
        expected = indexed_samples(self.corpus.utterances[index], rate)
        if stop - start < expected:
            wave, expected = self.corpus.read_piece(index, start, stop), stop
        else:
            wave = self.corpus.read(index)
        ends = start + len(wave)
        if abs(ends - expected) > LENGTH_TOLERANCE_SECONDS * rate:
            raise UserError(
                f"its audio lasts {ends / rate:.2f} s, but the corpus's index says "
                f"{expected / rate:.2f} s: mend its duration, or prepare the corpus again"
            )
        return wave[: stop - start]

    def _targets(self, index: int) -> Mapping[str, list[int]]:
        """Without a text where an evaluation's transcript cannot be encoded."""
        utterance = self.corpus.utterances[index]
        try:
            return self.targets.of(utterance)
        except UnknownCharacters:
            return self.targets.without_text(utterance)


def _example_id(index: int, start: int) -> int:
    """The utterance's place in its corpus; of a piece of it that begins further on, another."""
    return (index + start * PIECES_APART) % FILLER_ID
