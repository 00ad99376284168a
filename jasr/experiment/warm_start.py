"""config.init: parameters from another training.

there  ──▶ renamed ──▶ the parameter of that name here      loaded
       └─▶ none of that name                                left, if config.init.left allows it
       └─▶ of that name, with a row a token: the rows of tokens that both have
here   ──▶ none of that name or shape there                 new, if config.init.new allows it
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jasr.errors import UserError
from jasr.sharding import hosts
from jasr.text.tokenizer import Tokenizer, tokenizer_from_dict
from jasr.training.checkpoint import Checkpoints
from jasr.types import path_of

SHOWN = 12


@dataclass(frozen=True)
class SharedTokens:
    """Tokens of two vocabularies that have one name.

    there, here: their ids in each; axes: of the parameters here with a row a token, the axis.
    """

    there: tuple[int, ...]
    here: tuple[int, ...]
    size: int
    axes: Mapping[str, int]

    @classmethod
    def between(
        cls,
        there: Mapping[str, Any] | None,
        here: Tokenizer | None,
        axes: Mapping[str, int],
    ) -> "SharedTokens | None":
        """Of a saved tokenizer and this one; None where they are one, or either is missing."""
        if there is None or here is None or there == here.to_dict():
            return None
        return cls.of(tokenizer_from_dict(dict(there)), here, axes)

    @classmethod
    def of(cls, there: Tokenizer, here: Tokenizer, axes: Mapping[str, int]) -> "SharedTokens":
        """Of two tokenizers."""
        id_there = {name: id for id, name in enumerate(there.names())}
        names = here.names()
        shared = [id for id, name in enumerate(names) if name in id_there]
        ids_there = tuple(id_there[names[id]] for id in shared)
        return cls(ids_there, tuple(shared), len(names), axes)

    def copied(self, old: jax.Array, drawn: jax.Array, axis: int) -> jax.Array:
        """`drawn` with the rows of shared tokens from `old`."""
        rows = jnp.take(old, jnp.asarray(self.there), axis=axis)
        place = (slice(None),) * axis + (jnp.asarray(self.here),)
        return drawn.at[place].set(rows.astype(drawn.dtype))

    def __str__(self) -> str:
        return f"{len(self.here)} of {self.size} tokens' rows"


@dataclass(frozen=True)
class WarmStart:
    """What config.init says.

    workdir:    of the other training; checkpoint: "best", "last" or a step of it.
    rename:     regular expression over a parameter's path there -> what to put in its place.
    new:        regular expressions of parameters here that need not be there.
    left:       regular expressions of parameters there that need not be here.
    vocabulary: tokens that both have, where the two do not have the same.
    """

    workdir: str
    checkpoint: str = "last"
    rename: Mapping[str, str] | None = None
    new: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    vocabulary: SharedTokens | None = None

    def parameters(self, checkpoints: Checkpoints, drawn: Any) -> Any:
        """`drawn`, with every parameter replaced that the other training has; as `load`.

        Of parameters with a row a token, the rows of tokens that both have are replaced.
        """
        loaded = self.load(checkpoints, drawn)
        here = _by_path(drawn)
        by_token = self._by_token(checkpoints, here)
        placed = {source: here[path].sharding for path, (source, _) in by_token.items()}
        step = checkpoints.find(self.checkpoint)
        rows = checkpoints.restore_some_params(step, placed)
        for path, (source, axis) in by_token.items():
            assert self.vocabulary is not None, "it has said which"
            loaded[path] = self.vocabulary.copied(rows[source], here[path], axis)
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: loaded.get(path_of(path), leaf), drawn
        )

    def load(self, checkpoints: Checkpoints, wanted: Any) -> dict[str, jax.Array]:
        """The parameters that the other training has whole, by their path here.

        wanted: arrays, or shapes with shardings, of all parameters here.
        Says what was loaded, left and new. Raises UserError, listing both sides, for a parameter
        that is on one side only, or of another shape, and is not allowed to be.
        """
        step = checkpoints.find(self.checkpoint)
        there = checkpoints.params_shapes(step)
        source_of = self._sources(there)
        here = _by_path(wanted)
        by_token = self._by_token(checkpoints, here)
        shared = {
            path: source_of[path]
            for path, leaf in here.items()
            if path in source_of and path not in by_token and there[source_of[path]] == leaf.shape
        }
        found = {*shared.values(), *(source for source, _ in by_token.values())}
        new = [path for path in here if path not in shared and path not in by_token]
        left = [path for path in there if path not in found]
        self._must_be_allowed(new, left, here, there)
        placed = {shared[path]: leaf.sharding for path, leaf in here.items() if path in shared}
        saved = checkpoints.restore_some_params(step, placed)
        rows = f"; {self.vocabulary} of: {_listed(list(by_token))}" if by_token else ""
        hosts.say(
            f"parameters of step {step} of {self.workdir}: {len(shared)} loaded{rows}; "
            f"new: {_listed(new)}; left: {_listed(left)}"
        )
        return {path: saved[source] for path, source in shared.items()}

    def _sources(self, there: Iterable[str]) -> dict[str, str]:
        """The path there of each parameter, by its path here."""
        return {self._renamed(path): path for path in there}

    def _by_token(
        self, checkpoints: Checkpoints, here: Mapping[str, Any]
    ) -> dict[str, tuple[str, int]]:
        """Path there, and the axis of tokens, of each parameter with a row a token."""
        if self.vocabulary is None:
            return {}
        there = checkpoints.params_shapes(checkpoints.find(self.checkpoint))
        source_of = self._sources(there)
        return {
            path: (source_of[path], axis)
            for path, axis in self.vocabulary.axes.items()
            if path in source_of
            and path in here
            and _without(there[source_of[path]], axis) == _without(here[path].shape, axis)
        }

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


def _by_path(tree: Any) -> dict[str, Any]:
    return {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
