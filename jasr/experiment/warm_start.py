"""config.init: parameters from another training.

there  ──▶ renamed ──▶ the parameter of that name here      loaded
       └─▶ none of that name                                left, if config.init.left allows it
       └─▶ of that name, with a row a token, task or class: the rows that both have
here   ──▶ none of that name or shape there                 new, if config.init.new allows it
"""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jasr.errors import UserError
from jasr.experiment.shared_rows import SharedRows
from jasr.models.distillation.taught import MATCHING
from jasr.sharding import hosts
from jasr.training.checkpoint import Checkpoints
from jasr.types import path_of

SHOWN = 12
# What a student has of learning from a teacher; it may be on one side only.
OF_LEARNING = (f"^{MATCHING}/", "^codebook/")
# What the parameters of an encoder or decoder mean nothing without, and none of their shapes tells.
UNSEEN = ("position", "activation", "norm", "stem")


@dataclass(frozen=True)
class Listing:
    """What became of each parameter.

    loaded, by_row: path here -> path there, of what was loaded whole, and row by row.
    new, left:      what only is here, and only there.
    """

    workdir: str
    step: int
    loaded: dict[str, str]
    by_row: dict[str, str]
    new: Sequence[str]
    left: Sequence[str]


@dataclass(frozen=True)
class WarmStart:
    """What config.init says.

    workdir:    of the other training; checkpoint: "best", "last" or a step of it.
    rename:     regular expression over a parameter's path there -> what to put in its place.
    new:        regular expressions of parameters here that need not be there.
    left:       regular expressions of parameters there that need not be here.
    rows:       of what both have names for, where the two do not have the same.
    """

    workdir: str
    checkpoint: str = "last"
    rename: Mapping[str, str] | None = None
    new: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    rows: tuple[SharedRows, ...] = ()

    def parameters(self, checkpoints: Checkpoints, drawn: Any) -> tuple[Any, "Listing"]:
        """`drawn`, with every parameter replaced that the other training has, as by `load`; and
        what became of each.

        Of parameters with a row for each of several names, the rows of names that both have are
        replaced.
        """
        here = _by_path(drawn)
        found = self._compare(checkpoints, here)
        loaded = self._restore(checkpoints, here, found.loaded | found.by_row)
        for rows in self.rows:
            for path in rows.axes.keys() & found.by_row.keys():
                loaded[path] = rows.copied(path, loaded[path], here[path])
        started = jax.tree_util.tree_map_with_path(
            lambda path, leaf: loaded.get(path_of(path), leaf), drawn
        )
        return started, found

    def load(self, checkpoints: Checkpoints, wanted: Any) -> dict[str, jax.Array]:
        """The parameters that the other training has whole, by their path here.

        wanted: arrays, or shapes with shardings, of all parameters here.
        Says what was loaded, left and new. Raises UserError, listing both sides, for a parameter
        that is on one side only, or of another shape, and is not allowed to be.
        """
        here = _by_path(wanted)
        return self._restore(checkpoints, here, self._compare(checkpoints, here).loaded)

    def _compare(self, checkpoints: Checkpoints, here: Mapping[str, Any]) -> "Listing":
        step = checkpoints.find(self.checkpoint)
        there = checkpoints.params_shapes(step)
        source_of = {self._renamed(path): path for path in there}
        axes = {path: axis for rows in self.rows for path, axis in rows.axes.items()}
        by_row = {
            path: source_of[path]
            for path, axis in axes.items()
            if path in source_of
            and path in here
            and _without(there[source_of[path]], axis) == _without(here[path].shape, axis)
        }
        whole = {
            path: source_of[path]
            for path, leaf in here.items()
            if path in source_of and path not in by_row and there[source_of[path]] == leaf.shape
        }
        found = whole | by_row
        new = [path for path in here if path not in found]
        left = [path for path in there if path not in found.values()]
        self._must_be_allowed(new, left, here, there)
        shared = [(rows, [path for path in rows.axes if path in by_row]) for rows in self.rows]
        copied = "".join(f"; {rows} of: {_listed(paths)}" for rows, paths in shared if paths)
        hosts.say(
            f"parameters of step {step} of {self.workdir}: {len(whole)} loaded{copied}; "
            f"new: {_listed(new)}; left: {_listed(left)}"
        )
        return Listing(self.workdir, step, whole, by_row, new, left)

    def _restore(
        self, checkpoints: Checkpoints, here: Mapping[str, Any], found: Mapping[str, str]
    ) -> dict[str, jax.Array]:
        placed = {source: here[path].sharding for path, source in found.items()}
        saved = checkpoints.restore_some_params(checkpoints.find(self.checkpoint), placed)
        return {path: saved[source] for path, source in found.items()}

    def _renamed(self, path: str) -> str:
        with _named_pattern("config.init.rename"):
            for pattern, replacement in (self.rename or {}).items():
                path = re.sub(pattern, replacement, path)
        return path

    def _must_be_allowed(
        self, new: list[str], left: list[str], here: Mapping[str, Any], there: Mapping[str, Any]
    ) -> None:
        may_be_new, may_be_left = (*self.new, *OF_LEARNING), (*self.left, *OF_LEARNING)
        wrong_new = [path for path in new if not any_match(may_be_new, path, "config.init.new")]
        wrong_left = [path for path in left if not any_match(may_be_left, path, "config.init.left")]
        if not wrong_new and not wrong_left:
            return
        described_here = [f"{path} {tuple(here[path].shape)}" for path in wrong_new]
        described_there = [f"{path} {there[path]}" for path in wrong_left]
        raise UserError(
            f"config.init.workdir {self.workdir} holds another model; here and not there: "
            f"{_listed(described_here)}; there and not here: {_listed(described_there)}: let "
            f"config.model be as it was, or name them in config.init.rename, .new or .left"
        )


def must_mean_the_same(
    source: str, there: Mapping[str, Any], here: Mapping[str, Any], loaded: Collection[str]
) -> None:
    """Raises UserError for parameters that another config made something else of.

    source: where they come from; loaded: their paths here.
    """
    shared = there["model"].keys() & here["model"].keys()
    parts = [part for part in ("encoder", "decoder") if part in shared]
    parts = [part for part in parts if any(path.startswith(f"{part}/") for path in loaded)]
    hears = loaded and "log_mel" in shared

    def described(config: Mapping[str, Any]) -> dict[str, Any]:
        model = config["model"]
        found = {f"model.{part}.{key}": model[part].get(key) for part in parts for key in UNSEEN}
        if hears:
            found["corpus.sample_rate"] = config["corpus"]["sample_rate"]
            found |= {f"model.log_mel.{key}": value for key, value in model["log_mel"].items()}
        return found

    old, new = described(there), described(here)
    differing = [
        f"config.{key} is {old.get(key)!r} there and {new.get(key)!r} here"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if differing:
        raise UserError(
            f"{source} learned with another model: {'; '.join(differing)}: let them be as they were"
        )


def any_match(patterns: tuple[str, ...], path: str, key: str) -> bool:
    """Whether one is found in the path; raises UserError, naming the key, for what is none."""
    with _named_pattern(key):
        return any(re.search(pattern, path) for pattern in patterns)


@contextlib.contextmanager
def _named_pattern(key: str) -> Iterator[None]:
    try:
        yield
    except re.error as error:
        raise UserError(f"{key}: {error.pattern!r} is not a regular expression: {error}") from error


def _listed(paths: list[str]) -> str:
    if not paths:
        return "none"
    shown = ", ".join(paths[:SHOWN])
    return f"{len(paths)} ({shown}{' ...' if len(paths) > SHOWN else ''})"


def _by_path(tree: Any) -> dict[str, Any]:
    return {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
