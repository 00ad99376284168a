"""What saving a checkpoint in the background costs the steps beside it.

    python -m benchmarks.save_cost --config=configs/librispeech.py --rounds=9

Takes some steps without a save and as many after one has begun, in turn. `blocked` is how long
the loop stood still while the state was copied, `steps` the time of the steps that went on while
it was written, over that of as many steps alone.
"""

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import jax
from absl import app, flags
from ml_collections import config_flags

from jasr.experiment.data import empty_batch
from jasr.experiment.model import build_model
from jasr.experiment.step import TrainingStep
from jasr.sharding.placement import Placement
from jasr.text.tokenizer import train_tokenizer
from jasr.training.checkpoint import Checkpoints

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds to take the median of.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 4, "Steps in a round.", lower_bound=1)
_ROWS = flags.DEFINE_integer("rows", 4, "Utterances in a batch, of 5 s and 25 tokens each.")
flags.mark_flag_as_required("config")


def main(_) -> None:
    config = _CONFIG.value.to_dict()
    rate = config["corpus"]["sample_rate"]
    batch = empty_batch(_ROWS.value, samples=5 * rate, tokens=25)
    placement = Placement.from_config(config["mesh"])
    model = build_model(config["model"], train_tokenizer("byte", ["a"], vocab_size=0))
    step = TrainingStep.build(config, model, batch, placement)
    placed = step.compiled.place(batch)
    state, _ = step.compiled(step.create(0), placed)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))

    def take(state):
        start = time.perf_counter()
        for _ in range(_STEPS.value):
            state, metrics = step.compiled(state, placed)
            jax.block_until_ready(metrics)
        return state, time.perf_counter() - start

    blocked, alone, beside, written = [], [], [], []
    folder = Path(tempfile.mkdtemp())
    checkpoints = Checkpoints(folder, keep=1)
    for _ in range(_ROUNDS.value):
        state, seconds = take(state)
        alone.append(seconds)
        start = time.perf_counter()
        checkpoints.save(state, {})
        blocked.append(time.perf_counter() - start)
        state, seconds = take(state)
        beside.append(seconds)
        checkpoints.wait()
        written.append(time.perf_counter() - start)
    checkpoints.close()
    shutil.rmtree(folder)
    print(f"state of {size / 1e6:,.0f} MB; a step of {1e3 * median(alone) / _STEPS.value:,.0f} ms")
    print(f"blocked  {1e3 * median(blocked):8,.0f} ms a save")
    ratios = [a / b for a, b in zip(beside, alone, strict=True)]
    print(f"steps    {median(ratios):8.2f} of the time of {_STEPS.value} steps alone")
    print(f"written  {median(written):8.2f} s after it began, those steps included")


if __name__ == "__main__":
    app.run(main)
