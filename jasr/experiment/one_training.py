"""One training at a time in a workdir: two would write over each other's checkpoints."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from jasr.errors import UserError
from jasr.sharding import hosts

# A file server may take so many seconds to learn that another machine is lost, and to show one
# machine what another has written.
PATIENCE, DELAY = 120.0, 15.0
LOCK = "training.lock"


@contextlib.contextmanager
def one_training_in(workdir: Path) -> Iterator[None]:
    """Keeps the workdir to this run until it ends, in whatever way.

    Raises UserError where another run trains in it, where it cannot be written, or where it is not
    one folder for all processes.
    """
    with contextlib.ExitStack() as stack:
        other = hosts.from_first(lambda: _take(workdir, stack))
        if other is not None:
            raise UserError(
                f"--workdir={workdir}: {other} is training in it: wait until it ends, or give "
                f"another --workdir"
            )
        _must_be_one_folder(workdir)
        yield


def _must_be_one_folder(workdir: Path) -> None:
    path = workdir / LOCK
    holder, begun = hosts.from_first(_this_process), time.monotonic()
    # Who holds the lock would lose it by closing the file once more.
    while not (found := hosts.is_first() or (path.exists() and path.read_text() == holder)):
        if time.monotonic() - begun > DELAY:
            break
        time.sleep(0.5)
    missing = int(hosts.sum_over_hosts(np.asarray(not found, np.int32)))
    if missing:
        raise UserError(
            f"--workdir={workdir} is another folder on {missing} hosts than on the first: give one "
            f"that all of them share"
        )


def _take(workdir: Path, stack: contextlib.ExitStack) -> str | None:
    """None, and the workdir is this process's until the stack is closed; else whose it is."""
    path = workdir / LOCK
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context(path.open("a+"))
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; choose a --workdir that you may write to"
        ) from error
    begun = time.monotonic()
    while not _lock(file):
        other = path.read_text().strip()
        if other.endswith(_this_host()) or time.monotonic() - begun > PATIENCE:
            return other or "another process"
        time.sleep(1.0)
    file.truncate(0)
    file.write(_this_process())
    file.flush()
    return None


def _this_process() -> str:
    return f"process {os.getpid()}{_this_host()}"


def _this_host() -> str:
    return f" on {socket.gethostname()}"


def _lock(file: IO[str]) -> bool:
    """Whether this process has the file to itself; where no file can be locked, it has."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
