"""Commands in processes that need not import anything again.

One process imports all that jasr uses, starts no backend, and forks for each command; what it forks
runs the command as `python -m` does, from its flags to its exit handlers.
"""

import importlib
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 600  # seconds


class Forker:
    """The process that imports, as the tests see it; it ends with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *flags: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """How `python -m MODULE FLAGS` ended, and what it printed to stdout and stderr."""
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder) / name for name in ("stdout", "stderr")]
            command = (module, flags, dict(environment), [str(stream) for stream in streams])
            print(json.dumps(command), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            return code, streams[0].read_text(), streams[1].read_text()


def serve() -> None:
    """Forks for each command on stdin, and prints how it ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(*json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(module: str, flags: list[str], environment: dict, streams: list[str]) -> None:
    """Runs the command in this process."""
    signal.alarm(TIMEOUT)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((os.devnull, *streams)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.argv[1:] = flags
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def import_all() -> None:
    sys.path[0] = str(ROOT)
    import jasr

    for module in pkgutil.walk_packages(jasr.__path__, "jasr."):
        importlib.import_module(module.name)
    # What is imported when features are first asked for.
    importlib.import_module("librosa.filters")


if __name__ == "__main__":
    import_all()
    serve()
