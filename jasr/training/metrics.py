"""The one metrics writer: JSON lines always, TensorBoard beside them."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

# Its SummaryWriter writes in a thread, and waits for it for ever once the disk is full.
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from jasr.errors import UserError
from jasr.files import write_whole


class MetricsWriter:
    """Appends to WORKDIR/metrics.jsonl and WORKDIR/tensorboard.

    start_step: where a resumed run goes on; lines of later steps, written by the run that was
    killed, are dropped because those steps are taken again.
    """

    def __init__(self, workdir: Path, *, start_step: int):
        self._path = workdir / "metrics.jsonl"
        _drop_after(self._path, start_step)
        folder = workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        with self._named_failures():
            self._file = self._path.open("a")
            self._events = EventsWriter(str(folder / "events"), f".{start_step}")
            # What a killed run has said of later steps is not shown.
            start = SessionLog(status=SessionLog.START)
            self._events.write_event(
                Event(step=start_step + 1, wall_time=time.time(), session_log=start)
            )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one line, {"step": step, NAME: value, ...}; UserError where the disk refuses."""
        with self._named_failures():
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
            shown = [
                Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()
            ]
            summary = Summary(value=shown)
            self._events.write_event(Event(step=step, wall_time=time.time(), summary=summary))
            self._events.flush()

    def close(self) -> None:
        # What could not be written once cannot be at the end either.
        with contextlib.suppress(OSError):
            self._file.close()
            self._events.close()

    @contextlib.contextmanager
    def _named_failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write {self._path} and what TensorBoard shows: {error.strerror}; make "
                f"room and run the same command again, which goes on from the last checkpoint"
            ) from error


class NoMetrics:
    """In a process that writes none, as another one does."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break  # the line that a kill cut short
        if record["step"] <= step:
            kept.append(line)
    write_whole(path, "".join(kept))
