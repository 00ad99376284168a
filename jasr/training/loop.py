"""The one training loop.

batches ─▶ step ─▶ step ─▶ ...          every log_every:       metrics.jsonl, progress line
                                        every evaluate_every:  checkpoint, validation
                                        every checkpoint_every: checkpoint
                                        at a preemption notice: checkpoint, and an end

Validation comes last: a run that is cut off in it goes on with it.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from absl import logging
from tqdm import tqdm

from jasr.errors import Preempted, UserError
from jasr.pipeline.loader import LoadedBatch
from jasr.sharding.compile import Compiled
from jasr.sharding.hosts import is_first, sum_over_hosts
from jasr.training.metrics import MetricsWriter, NoMetrics
from jasr.training.state import TrainState
from jasr.training.step import Metrics
from jasr.types import Batch, Sum


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When the loop does what; all in steps.

    max_nonfinite: how many steps in a row may be skipped for a non-finite loss or gradient.
    """

    num_steps: int
    log_every: int
    evaluate_every: int
    checkpoint_every: int
    max_nonfinite: int = 20

    def is_evaluated(self, step: int) -> bool:
        """Whether validation is due after this step."""
        return step % self.evaluate_every == 0 or step == self.num_steps


@dataclasses.dataclass
class Interval:
    """What has been seen since the last log line."""

    metrics: list[Metrics] = dataclasses.field(default_factory=list)
    audio_seconds: float = 0.0
    padded_seconds: float = 0.0
    flops: float = 0.0
    start: float = dataclasses.field(default_factory=time.perf_counter)

    def add(self, metrics: Metrics, loaded: LoadedBatch, flops: float) -> None:
        self.metrics.append(metrics)
        self.audio_seconds += loaded.audio_seconds
        self.padded_seconds += loaded.padded_seconds
        self.flops += flops

    def leave_out(self, seconds: float) -> None:
        """Of the time that has passed, what was spent on something else than steps."""
        self.start += seconds

    def limit_run_ahead(self) -> None:
        """Waits for the step before last: batches queued on the device take its memory."""
        if len(self.metrics) > 2:
            jax.block_until_ready(self.metrics[-3]["loss"])

    def summary(self, processes_per_row: int) -> dict[str, float]:
        """Means over the interval; raw terms are divided by their counts, summed over steps."""
        fetched = jax.device_get(self.metrics)
        seconds = time.perf_counter() - self.start
        own = np.asarray([self.audio_seconds, self.padded_seconds, self.flops])
        audio_seconds, padded_seconds, flops = (sum_over_hosts(own) / processes_per_row).tolist()
        terms = fetched[0]["terms"]
        for metrics in fetched[1:]:
            terms = jax.tree.map(lambda a, b: a + b, terms, metrics["terms"])
        return {
            "loss": sum(float(m["loss"]) for m in fetched) / len(fetched),
            **{f"loss/{name}": float(_mean(term)) for name, term in terms.items()},
            **{f"weight/{name}": float(w) for name, w in fetched[-1]["weights"].items()},
            "gradient_norm": float(fetched[-1]["gradient_norm"]),
            "nonfinite_steps": int(fetched[-1]["nonfinite"]),
            "steps_per_second": len(fetched) / seconds,
            "audio_seconds_per_second": audio_seconds / seconds,
            "padding_fraction": 1 - audio_seconds / padded_seconds,
            "model_flops_per_second": flops / seconds,
        }


def _mean(term: Sum) -> float:
    return term.value / max(term.count, 1)


def train(
    state: TrainState,
    batches: Iterator[LoadedBatch],
    *,
    config: LoopConfig,
    step: Compiled,
    learning_rate: Callable[[int], Any],
    flops_of: Callable[[Batch], int],
    peak_flops: float | None,
    evaluate: Callable[[TrainState], dict[str, float]],
    save: Callable[[TrainState], None],
    note: Callable[[int, Mapping[str, float]], None],
    cut_off: bool,
    report: Callable[[LoadedBatch], None],
    preempted: Callable[[int], bool],
    processes_per_row: int,
    writer: MetricsWriter | NoMetrics,
) -> TrainState:
    """Takes the steps from state.step to config.num_steps; returns the last state.

    flops_of:  model FLOPs of one step on this process's rows of a batch.
    peak_flops: of all devices together, FLOP/s; None where it is not known.
    evaluate:  validation figures of a state, "wer" among them.
    save:      starts writing a checkpoint.
    note:      keeps the figures with the checkpoint of this step.
    cut_off:   whether the first state was saved and not evaluated.
    report:    takes note of utterances that could not be loaded.
    preempted: whether to save after a step and stop.
    processes_per_row: how many processes load each row of a batch.
    Raises Preempted when it has done so, and UserError after config.max_nonfinite steps in a row
    without a finite gradient.
    """

    def validate(number: int) -> None:
        figures = evaluate(state)
        writer.write(number, {f"validation/{name}": value for name, value in figures.items()})
        note(number, figures)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if is_first():
            progress.write(f"step {number}: validation {shown}")

    start_step = int(state.step)
    flops: dict[tuple[int, ...], int] = {}
    with tqdm(
        total=config.num_steps,
        initial=start_step,
        desc="train",
        unit="step",
        mininterval=1.0,
        disable=not is_first(),
    ) as progress:
        if cut_off and config.is_evaluated(start_step):
            validate(start_step)
        interval = Interval()
        for number, loaded in enumerate(batches, start_step + 1):
            report(loaded)
            shape = loaded.batch.audio.values.shape
            if shape not in flops:
                flops[shape] = flops_of(loaded.batch)
                progress.set_description_str(f"compile {shape[0]} x {shape[1]}")
            state, metrics = step(state, step.place(loaded.batch))
            progress.set_description_str("train", refresh=False)
            interval.add(metrics, loaded, flops[shape])
            interval.limit_run_ahead()
            progress.update()
            last = number == config.num_steps

            if number % config.log_every == 0 or last:
                values = interval.summary(processes_per_row) | {
                    "learning_rate": float(learning_rate(number - 1)),
                    "compilations": step.count,
                }
                if peak_flops:
                    values["mfu"] = values["model_flops_per_second"] / peak_flops
                writer.write(number, values)
                progress.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
                _must_have_audio(values, interval, number)
                _must_be_finite(int(values["nonfinite_steps"]), number, config)
                interval = Interval()

            due = config.is_evaluated(number)
            if due:
                # Steps that still run would end in the evaluation's time.
                jax.block_until_ready(metrics["loss"])
            trained_until = time.perf_counter()
            stop = not last and preempted(number)
            if due or stop or number % config.checkpoint_every == 0:
                save(state)
            if stop:
                raise Preempted(
                    f"preempted: saved at step {number}; the same command goes on from it"
                )
            if due:
                validate(number)
                interval.leave_out(time.perf_counter() - trained_until)
    return state


def _must_have_audio(values: Mapping[str, float], interval: Interval, step: int) -> None:
    if not values["audio_seconds_per_second"]:
        raise UserError(
            f"no recording of the last {len(interval.metrics)} batches, up to step {step}, "
            f"could be read: skipped.jsonl in the workdir says why for each"
        )


def _must_be_finite(nonfinite: int, step: int, config: LoopConfig) -> None:
    if nonfinite:
        logging.warning("the last %d steps had no finite gradient and changed nothing", nonfinite)
    if nonfinite >= config.max_nonfinite:
        raise UserError(
            f"the loss or its gradient was not finite for {nonfinite} steps in a row, up to step "
            f"{step}: lower config.optimizer.learning_rate.peak, raise warmup_steps, or look at "
            f"the data; the last checkpoint is from before"
        )
