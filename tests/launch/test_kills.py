"""A run killed at any moment, a save among them, ends where it would have ended."""

import os
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from launching import ROOT

from jasr.training.checkpoint import Checkpoints

KILLS = 20
STEPS = 120
# Trains in a process of its own for each line it reads, and prints its number and how it ended.
# Such a process is forked before JAX has any devices: it need not import anything again.
_TRAINER = """
import os
import sys

from configs.quickstart import get_config
from jasr.experiment.train import train_in

workdir, data_dir, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = get_config("ctc,smoke")
config.data.update({"batch_seconds": 8.0, "num_buckets": 1})
config.evaluation.batch_seconds = 8.0
config.train.update(
    {"num_steps": steps, "log_every": 1, "evaluate_every": steps, "checkpoint_every": 2}
)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        train_in(workdir, config, data_dir=data_dir)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Trainer:
    """Starts a training, again and again."""

    def __init__(self, workdir, data_dir):
        self.workdir = workdir
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TRAINER, str(workdir), str(data_dir), str(STEPS)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def code(self):
        return int(self._line())

    def _line(self):
        while True:
            line = self._process.stdout.readline()
            assert line, "the trainer has ended"
            if line.strip().lstrip("-").isdigit():
                return line

    def finished(self):
        """The steps of all finished checkpoints."""
        folder = self.workdir / "checkpoints"
        return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())

    def logged(self):
        """Size of the metrics so far."""
        path = self.workdir / "metrics.jsonl"
        return path.stat().st_size if path.exists() else 0

    def close(self):
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture
def trainer_in(spoken):
    made = []

    def make(workdir):
        made.append(Trainer(workdir, spoken))
        return made[-1]

    yield make
    for trainer in made:
        trainer.close()


def last_params(workdir):
    checkpoints = Checkpoints(workdir)
    assert checkpoints.latest_step() == STEPS
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    params = checkpoints.restore_params(STEPS, here)
    checkpoints.close()
    return params


def test_twenty_kills_change_no_bit(trainer_in, tmp_path):
    whole = trainer_in(tmp_path / "whole")
    whole.start()
    assert whole.code() == 0

    killed = trainer_in(tmp_path / "killed")
    random = np.random.default_rng(0)
    while_saving = 0
    for _ in range(KILLS):
        before, logged = killed.finished(), killed.logged()
        child = killed.start()
        while killed.logged() <= logged:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.5))
        os.kill(child, 9)
        assert killed.code() == -9
        after = killed.finished()
        assert max(after, default=0) >= max(before, default=0)
        while_saving += any((tmp_path / "killed" / "checkpoints").glob("*tmp*"))
    assert while_saving > 0
    killed.start()
    assert killed.code() == 0
    same = jax.tree.map(
        np.array_equal, last_params(tmp_path / "whole"), last_params(tmp_path / "killed")
    )
    assert jax.tree.all(same)
