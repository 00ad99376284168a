"""Validation figures of saved steps: known later than the parameters are saved."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from jasr.errors import UserError
from jasr.files import write_whole
from jasr.sharding.hosts import is_first


class Evaluations:
    """Figures by step, in a JSON file beside the checkpoints; the first process writes it.

    Raises UserError where the file is there and is no such thing.
    """

    def __init__(self, path: Path):
        self._path, self._figures = path, _read(path)

    def __contains__(self, step: int) -> bool:
        return str(step) in self._figures

    def figure(self, step: int, name: str) -> float:
        """One that an evaluation found; NaN where it was not evaluated, or found no number."""
        found = self._figures.get(str(step), {}).get(name)
        return math.nan if found is None else found

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """Keeps what an evaluation of this step found; UserError where the disk refuses."""
        finite = {name: x if math.isfinite(x) else None for name, x in figures.items()}
        self._figures[str(step)] = finite
        self._write()

    def forget(self, step: int) -> None:
        """Drops what is known of a step, which is made anew."""
        if self._figures.pop(str(step), None) is not None:
            self._write()

    def _write(self) -> None:
        if is_first():
            write_whole(self._path, json.dumps(self._figures, indent=1) + "\n")


def _read(path: Path) -> dict[str, dict[str, float | None]]:
    if not path.exists():
        return {}
    try:
        return {step: dict(figures) for step, figures in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): expected the validation figures of each step; "
            f"delete it, and no checkpoint counts as the best until the next evaluation"
        ) from error
