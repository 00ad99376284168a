"""config.init: parameters from another training.

there  ──▶ renamed ──▶ the parameter of that name here      loaded
       └─▶ none of that name                                left, if config.init.left allows it
       └─▶ of that name, with a row a token: the rows of tokens that both have
here   ──▶ none of that name or shape there                 new, if config.init.new allows it
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jasr.errors import UserError
from jasr.models.distillation.taught import MATCHING
from jasr.sharding import hosts
from jasr.text.tokenizer import Tokenizer, tokenizer_from_dict
from jasr.training.checkpoint import Checkpoints
from jasr.types import path_of

SHOWN = 12
# What a student has of learning from a teacher; it may be on one side only.
OF_LEARNING = (f"^{MATCHING}/", "^codebook/")
# Of an encoder, what parameters mean nothing without, and none of their shapes tells.
UNSEEN = ("position", "activation", "norm")


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

    def copied(self, path: str, old: jax.Array, drawn: jax.Array) -> jax.Array:
        """`drawn`, the parameter of a path, with the rows of shared tokens from `old`."""
        axis = self.axes[path]
        rows = jnp.take(old, jnp.asarray(self.there), axis=axis)
        place = (slice(None),) * axis + (jnp.asarray(self.here),)
        return drawn.at[place].set(rows.astype(drawn.dtype))

    def __str__(self) -> str:
        return f"{len(self.here)} of {self.size} tokens' rows"


def logical_axes(boxed: Any) -> dict[str, tuple[str, ...]]:
    """The logical axes of each parameter, by its path.

    boxed: parameters with their metadata, as `abstract_params` gives them.
    """
    boxes = jax.tree_util.tree_leaves_with_path(
        boxed, is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)
    )
    return {path_of(path): box.names for path, box in boxes}


def token_axes(boxed: Any) -> dict[str, int]:
    """Of each parameter with a row a token, by its path, the axis."""
    named = logical_axes(boxed)
    return {path: axes.index("vocab") for path, axes in named.items() if "vocab" in axes}


@dataclass(frozen=True)
class Listing:
    """What became of each parameter.

    loaded, by_token: path here -> path there, of what was loaded whole, and by rows of tokens.
    new, left:        what only is here, and only there.
    """

    workdir: str
    step: int
    loaded: dict[str, str]
    by_token: dict[str, str]
    new: Sequence[str]
    left: Sequence[str]


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

    def parameters(self, checkpoints: Checkpoints, drawn: Any) -> tuple[Any, "Listing"]:
        """`drawn`, with every parameter replaced that the other training has, as by `load`; and
        what became of each.

        Of parameters with a row a token, the rows of tokens that both have are replaced.
        """
        here = _by_path(drawn)
        found = self._compare(checkpoints, here)
        loaded = self._restore(checkpoints, here, found.loaded | found.by_token)
        for path in found.by_token:
            assert self.vocabulary is not None, "it has said which"
            loaded[path] = self.vocabulary.copied(path, loaded[path], here[path])
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
        axes = self.vocabulary.axes if self.vocabulary else {}
        by_token = {
            path: source_of[path]
            for path, axis in axes.items()
            if path in source_of
            and path in here
            and _without(there[source_of[path]], axis) == _without(here[path].shape, axis)
        }
        whole = {
            path: source_of[path]
            for path, leaf in here.items()
            if path in source_of and path not in by_token and there[source_of[path]] == leaf.shape
        }
        found = whole | by_token
        new = [path for path in here if path not in found]
        left = [path for path in there if path not in found.values()]
        self._must_be_allowed(new, left, here, there)
        rows = f"; {self.vocabulary} of: {_listed(list(by_token))}" if by_token else ""
        hosts.say(
            f"parameters of step {step} of {self.workdir}: {len(whole)} loaded{rows}; "
            f"new: {_listed(new)}; left: {_listed(left)}"
        )
        return Listing(self.workdir, step, whole, by_token, new, left)

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


def must_hear_alike(workdir: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises UserError where both configs hear speech, and not alike.

    workdir: where parameters come from.
    """
    if not all({"log_mel", "encoder"} <= config["model"].keys() for config in (there, here)):
        return
    old, new = (
        {"corpus.sample_rate": config["corpus"]["sample_rate"]}
        | {f"model.log_mel.{key}": value for key, value in config["model"]["log_mel"].items()}
        | {f"model.encoder.{key}": config["model"]["encoder"].get(key) for key in UNSEEN}
        for config in (there, here)
    )
    differing = [
        f"config.{key} is {old.get(key)!r} there and {new.get(key)!r} here"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if differing:
        raise UserError(
            f"config.init.workdir {workdir} hears otherwise: {'; '.join(differing)}: let them be "
            f"as they were"
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
