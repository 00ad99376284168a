"""Validation figures of saved steps: known later than the parameters are saved."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from jasr.errors import UserError
from jasr.files import write_whole
from jasr.sharding.hosts import is_first

Figures = Mapping[str, float | None]


class Evaluations:
    """Figures by step, each in a JSON file in the step's folder; the first process writes it."""

    def __init__(self, checkpoints: Path):
        self._checkpoints = checkpoints
        self._known: dict[int, Figures] = {}

    def of(self, step: int) -> Figures | None:
        """What an evaluation found, None for what is no number; None where there was none.

        Raises UserError where the file is there and cannot be read.
        """
        if step not in self._known and (path := self._path(step)).exists():
            self._known[step] = _read(path)
        return self._known.get(step)

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """Keeps what an evaluation of a saved step found; UserError where the disk refuses."""
        known = {name: x if math.isfinite(x) else None for name, x in figures.items()}
        if is_first():
            write_whole(self._path(step), json.dumps(known, indent=1) + "\n")
        self._known[step] = known

    def forget(self, step: int) -> None:
        """Drops what is known of a step that is saved anew."""
        self._known.pop(step, None)

    def _path(self, step: int) -> Path:
        return self._checkpoints / str(step) / "evaluation.json"


def _read(path: Path) -> Figures:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): expected the step's validation figures; delete it, "
            f"and the step counts as one that was not evaluated"
        ) from error
