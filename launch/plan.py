"""Before any accelerator is rented: does a config fit, and how fast can it be?

    python -m launch.plan --config=configs/librispeech.py:whisper_large --target=v5e:4x4

Compiles the true training step for the target, which need not be here: a TPU slice by libtpu
(requirements-tpu.txt), or cpu:N. --config.mesh and the rest may be set as for training.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from absl import flags
from ml_collections import config_flags

from launch.cpu_devices import cpu_devices
from launch.main import run

if TYPE_CHECKING:
    from jasr.experiment.plan import PlannedBucket, TrainingPlan

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_TARGET = flags.DEFINE_string("target", None, "cpu:N, v5e:4x4, v5p:4x4x4 ...", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared corpora lie; TFDS's default.")
_HOURS = flags.DEFINE_float("hours", 1000.0, "Hours of speech, once over, to price.")
flags.mark_flag_as_required("config")

ROW = "{:>14} {:>10} {:>10} {:>10} {:>6} {:>9} {:>9} {:>9} {:>8} {:>9} {:>9} {:>12} {:>5} {:>9}"
HEADINGS = (
    *("batch", "arguments", "temporary", "peak GB", "of it", "model TF", "done TF", "XLA's TF"),
    *("GB moved", "GB sent", "step ms", "bound by", "MFU", "h / chip h"),
)


def main(_) -> None:
    _prepare_backend(_TARGET.value)
    from jasr.experiment.plan import plan_training
    from jasr.sharding.targets import target_devices

    plan = plan_training(
        _CONFIG.value.to_dict(), target_devices(_TARGET.value), data_dir=_DATA_DIR.value
    )
    _print(plan)
    _must_fit(plan)


def _prepare_backend(target: str) -> None:
    """What JAX and libtpu read when they are loaded: nothing here runs on an accelerator."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    kind, _, count = target.partition(":")
    if kind == "cpu":
        os.environ.update(cpu_devices(count))
    for name, value in {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }.items():
        os.environ.setdefault(name, value)


def _print(plan: "TrainingPlan") -> None:
    chip = plan.chip
    print(
        f"{plan.parameters / 1e6:.4g} M parameters on {plan.devices} x {plan.device_kind}; "
        f"lengths of utterances: {plan.durations}"
    )
    if chip:
        print(
            f"a chip: {chip.memory / 1e9:g} GB at {chip.bandwidth / 1e9:,.0f} GB/s, "
            f"{chip.flops / 1e12:g} TFLOP/s in bfloat16, {chip.interconnect / 1e9:g} GB/s to others"
        )
    print("Each figure is of one device and one step.\n")
    print(ROW.format(*HEADINGS))
    for planned in plan.buckets:
        print(ROW.format(*_cells(planned, plan)))
    for planned in plan.buckets:
        sent = planned.cost.collectives
        if sent:
            kinds = ", ".join(f"{kind} {size / 1e6:,.3f} MB" for kind, size in sent.items())
            print(f"sent in a step of {planned.title}: {kinds}")
    if chip:
        rates = [_audio_rate(planned, plan) for planned in plan.buckets]
        audio = sum(planned.audio_seconds for planned in plan.buckets)
        mean = audio / sum(b.audio_seconds / r for b, r in zip(plan.buckets, rates, strict=True))
        print(
            f"\n{_HOURS.value:g} hours of speech once over: {_HOURS.value / mean:,.2f} chip hours "
            f"at least, {_HOURS.value / mean / plan.devices:,.3f} h on all {plan.devices} "
            f"(bounds: nothing runs faster, and little as fast)"
        )


def _cells(planned: "PlannedBucket", plan: "TrainingPlan") -> list[str]:
    memory, chip = planned.memory, plan.chip
    cells = [
        planned.title,
        *(f"{size / 1e9:.3f}" for size in (memory.arguments, memory.temporaries, memory.peak)),
        f"{memory.peak / chip.memory:.0%}" if chip else "-",
        f"{planned.model_flops / plan.devices / 1e12:.3f}",
        f"{planned.cost.flops / 1e12:.3f}",
        f"{planned.counted_flops / 1e12:.3f}",
        f"{planned.cost.memory / 1e9:.2f}",
        f"{sum(planned.cost.collectives.values()) / 1e9:.3f}",
    ]
    if chip is None:
        return [*cells, "-", "-", "-", "-"]
    seconds = planned.cost.seconds(chip)
    bound = max(seconds.values())
    mfu = planned.model_flops / plan.devices / chip.flops / bound
    return [
        *cells,
        f"{1e3 * bound:.2f}",
        _largest(seconds),
        f"{mfu:.0%}",
        f"{_audio_rate(planned, plan):,.0f}",
    ]


def _audio_rate(planned: "PlannedBucket", plan: "TrainingPlan") -> float:
    """Hours of audio in an hour of one chip, at most."""
    assert plan.chip is not None
    bound = max(planned.cost.seconds(plan.chip).values())
    return planned.audio_seconds / bound / plan.devices


def _largest(values: Mapping[str, float]) -> str:
    return max(values, key=lambda name: values[name])


def _must_fit(plan: "TrainingPlan") -> None:
    worst = max(plan.buckets, key=lambda planned: planned.memory.peak)
    if plan.chip and worst.memory.peak > plan.chip.memory:
        from jasr.experiment.plan import DoesNotFit

        raise DoesNotFit(
            _CONFIG.value, worst.title, needed=worst.memory.peak, there=plan.chip.memory
        )


if __name__ == "__main__":
    run(main)
