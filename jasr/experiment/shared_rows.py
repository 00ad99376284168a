"""Rows of parameters that stand for names, where another training counts them otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jasr.experiment.tasks import tasks_of
from jasr.experiment.workdir import Meta
from jasr.tasks.task import Written

# Where a recogniser keeps the vectors of its tasks, and the heads that choose names.
OF_TASKS = ("encoder_tasks/vectors", "decoder_tasks/vectors")
HEADS = ("class_heads_{}/classes/", "tag_heads_{}/")


@dataclass(frozen=True)
class SharedRows:
    """Those of names that both sides have.

    what:        the names are of.
    there, here: the rows on each side; size: how many there are here.
    axes:        of the parameters here that have such rows, by path, the axis.
    """

    what: str
    there: tuple[int, ...]
    here: tuple[int, ...]
    size: int
    axes: Mapping[str, int]

    @classmethod
    def of(
        cls, what: str, there: Sequence[str], here: Sequence[str], axes: Mapping[str, int]
    ) -> "SharedRows":
        """Of the names of all rows on each side."""
        row_there = {name: row for row, name in enumerate(there)}
        shared = [row for row, name in enumerate(here) if name in row_there]
        rows_there = tuple(row_there[here[row]] for row in shared)
        return cls(what, rows_there, tuple(shared), len(here), axes)

    @classmethod
    def between(
        cls, there: Meta, here: Meta, axes: Mapping[str, Sequence[str]]
    ) -> "tuple[SharedRows, ...]":
        """All that two trainings count otherwise: tokens, tasks, and what heads choose from.

        axes: the logical axes of each parameter here, by its path.
        """
        return tuple(
            cls.of(what, names_there, names_here, counted)
            for what, names_there, names_here, counted in _counted(there, here, axes)
            if names_there != names_here
        )

    def copied(self, path: str, old: jax.Array, drawn: jax.Array) -> jax.Array:
        """`drawn`, the parameter of a path, with the rows that both have from `old`."""
        axis = self.axes[path]
        rows = jnp.take(old, jnp.asarray(self.there, jnp.int32), axis=axis)
        place = (slice(None),) * axis + (jnp.asarray(self.here, jnp.int32),)
        return drawn.at[place].set(rows.astype(drawn.dtype))

    def __str__(self) -> str:
        return f"{len(self.here)} of {self.size} {self.what}' rows"


Counted = tuple[str, list[str], list[str], dict[str, int]]


def _counted(there: Meta, here: Meta, axes: Mapping[str, Sequence[str]]) -> Iterator[Counted]:
    """What is counted, its names on both sides, and along which axes of which parameters here."""
    if there.tokenizer is not None and here.tokenizer is not None:
        of_tokens = {path: list(own).index("vocab") for path, own in axes.items() if "vocab" in own}
        yield "tokens", there.tokenizer.names(), here.tokenizer.names(), of_tokens
    if not (there.config["tasks"] and here.config["tasks"]):
        return
    before, now = tasks_of(there), tasks_of(here)
    of_tasks = {path: 0 for path in OF_TASKS if path in axes}
    yield "tasks", list(before), list(now), of_tasks
    for name, task in now.items():
        if name in before and not isinstance(task, Written):
            heads = tuple(head.format(name) for head in HEADS)
            of_head = {path: len(own) - 1 for path, own in axes.items() if path.startswith(heads)}
            yield f"names of {name}", list(before[name].names), list(task.names), of_head
