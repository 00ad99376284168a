"""config.init: parameters from another training.

there  ──▶ renamed ──▶ the parameter of that name here      loaded
       └─▶ none of that name                                left, if config.init.left allows it
here   ──▶ none of that name or shape there                 new, if config.init.new allows it
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from jasr.errors import UserError
from jasr.sharding import hosts
from jasr.training.checkpoint import Checkpoints
from jasr.types import path_of

SHOWN = 12


@dataclass(frozen=True)
class WarmStart:
    """What config.init says.

    workdir:    of the other training; checkpoint: "best", "last" or a step of it.
    rename:     regular expression over a parameter's path there -> what to put in its place.
    new:        regular expressions of parameters here that need not be there.
    left:       regular expressions of parameters there that need not be here.
    """

    workdir: str
    checkpoint: str = "last"
    rename: Mapping[str, str] | None = None
    new: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def parameters(self, checkpoints: Checkpoints, drawn: Any) -> Any:
        """`drawn`, with every parameter replaced that the other training has; as `load`."""
        loaded = self.load(checkpoints, drawn)
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: loaded.get(path_of(path), leaf), drawn
        )

    def load(self, checkpoints: Checkpoints, wanted: Any) -> dict[str, jax.Array]:
        """The parameters that the other training has, by their path here.

        wanted: arrays, or shapes with shardings, of all parameters here.
        Says what was loaded, left and new. Raises UserError, listing both sides, for a parameter
        that is on one side only, or of another shape, and is not allowed to be.
        """
        step = checkpoints.find(self.checkpoint)
        there = checkpoints.params_shapes(step)
        source_of = {self._renamed(path): path for path in there}
        here = {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(wanted)}
        shared = {
            path: source_of[path]
            for path, leaf in here.items()
            if path in source_of and there[source_of[path]] == leaf.shape
        }
        new = [path for path in here if path not in shared]
        left = [path for path in there if path not in shared.values()]
        self._must_be_allowed(new, left, here, there)
        placed = {shared[path]: leaf.sharding for path, leaf in here.items() if path in shared}
        saved = checkpoints.restore_some_params(step, placed)
        hosts.say(
            f"parameters of step {step} of {self.workdir}: {len(shared)} loaded; "
            f"new: {_listed(new)}; left: {_listed(left)}"
        )
        return {path: saved[source] for path, source in shared.items()}

    def _renamed(self, path: str) -> str:
        for pattern, replacement in (self.rename or {}).items():
            path = re.sub(pattern, replacement, path)
        return path

    def _must_be_allowed(
        self, new: list[str], left: list[str], here: Mapping[str, Any], there: Mapping[str, Any]
    ) -> None:
        wrong_new = [path for path in new if not _any_match(self.new, path, "new")]
        wrong_left = [path for path in left if not _any_match(self.left, path, "left")]
        if not wrong_new and not wrong_left:
            return
        described_here = [f"{path} {tuple(here[path].shape)}" for path in wrong_new]
        described_there = [f"{path} {there[path]}" for path in wrong_left]
        raise UserError(
            f"config.init.workdir {self.workdir} holds another model; here and not there: "
            f"{_listed(described_here)}; there and not here: {_listed(described_there)}: let "
            f"config.model be as it was, or name them in config.init.rename, .new or .left"
        )


def _any_match(patterns: tuple[str, ...], path: str, key: str) -> bool:
    try:
        return any(re.search(pattern, path) for pattern in patterns)
    except re.error as error:
        raise UserError(
            f"config.init.{key}: {error.pattern!r} is not a regular expression: {error}"
        ) from error


def _listed(paths: list[str]) -> str:
    if not paths:
        return "none"
    shown = ", ".join(paths[:SHOWN])
    return f"{len(paths)} ({shown}{' ...' if len(paths) > SHOWN else ''})"
