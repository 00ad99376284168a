"""Rehearse a pod on this machine: several processes of one run, on its CPU.

    python -m launch.pods.local --processes=2 --devices=2 -- \\
        launch.train --config=configs/quickstart.py:smoke --config.mesh.data=0 --workdir=runs/pod

What stands after -- is the module and the flags that every host is given. When processes were
preempted or lost one another, all are started again.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from absl import flags

from jasr.errors import UserError
from launch.cpu_devices import cpu_devices
from launch.main import RESTART, run

_PROCESSES = flags.DEFINE_integer("processes", 2, "Processes, one for each host.", lower_bound=1)
_DEVICES = flags.DEFINE_integer("devices", 1, "CPU devices of each process.", lower_bound=1)
_RESTARTS = flags.DEFINE_integer("restarts", 10, "How often to start again.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    if not argv[1:]:
        raise UserError("no command: give -- MODULE FLAGS, such as -- launch.train --config=...")
    for restarts_left in reversed(range(_RESTARTS.value + 1)):
        codes, told_to_stop = _run_all(argv[1:])
        if told_to_stop:
            sys.exit(RESTART)
        if not any(codes):
            return
        # Any code but 0 and 1 is that of a process that a signal, or the loss of another, ended.
        if 1 in codes or not restarts_left:
            break
        print(f"processes ended with {codes}: starting all again", file=sys.stderr, flush=True)
    raise UserError(f"the processes ended with {codes}; what they said stands above")


def _run_all(command: Sequence[str]) -> tuple[list[int], bool]:
    """Every process's exit code, and whether SIGTERM came, which is handed on to them."""
    port = free_port()
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", *command),
                f"--coordinator=localhost:{port}",
                f"--num_processes={_PROCESSES.value}",
                f"--process_id={number}",
            ],
            env=os.environ | cpu_devices(_DEVICES.value),
        )
        for number in range(_PROCESSES.value)
    ]
    told_to_stop = False

    def hand_on(*_) -> None:
        nonlocal told_to_stop
        told_to_stop = True
        for process in processes:
            process.terminate()

    before = signal.signal(signal.SIGTERM, hand_on)
    codes = [process.wait() for process in processes]
    signal.signal(signal.SIGTERM, before)
    return codes, told_to_stop


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    run(main)
