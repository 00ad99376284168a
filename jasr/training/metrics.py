"""The one metrics writer: JSON lines always, TensorBoard beside them."""

import json
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

from jasr.errors import UserError
from jasr.files import write_whole


class MetricsWriter:
    """Appends to WORKDIR/metrics.jsonl and WORKDIR/tensorboard.

    start_step: where a resumed run goes on; lines of later steps, written by the run that was
    killed, are dropped because those steps are taken again.
    """

    def __init__(self, workdir: Path, *, start_step: int):
        path = workdir / "metrics.jsonl"
        _drop_after(path, start_step)
        self._file = path.open("a")
        self._tensorboard = SummaryWriter(str(workdir / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one line, {"step": step, NAME: value, ...}."""
        try:
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"cannot write {self._file.name}: {error.strerror}; make room and run the same "
                f"command again, which goes on from the last checkpoint"
            ) from error
        for name, value in values.items():
            self._tensorboard.add_scalar(name, value, step)

    def close(self) -> None:
        self._file.close()
        self._tensorboard.close()


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
