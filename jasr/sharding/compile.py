"""Ahead-of-time compilation: one program for each shape of batch, and a count of them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
from absl import logging

from jasr.types import Batch


class Compiled:
    """A jitted function, compiled once for each shape of its last argument, a batch.

    The shapes that training meets are those of the bucket table, so `count` is the number of
    buckets used so far.

    jitted:  from jax.jit, or anything with its `lower`.
    frozen:  arguments before the last that are the same in every call.
    place:   puts this process's rows of a batch on the devices as `jitted` takes them.
    tracing: what to be in while it is traced, `Placement.active` say.
    """

    def __init__(
        self,
        jitted: Any,
        name: str,
        *frozen: Any,
        place: Callable[[Batch], Batch],
        tracing: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ):
        self._jitted = jitted
        self._name = name
        self._frozen = frozen
        self._tracing = tracing
        self.place = place
        self._programs: dict[tuple, jax.stages.Compiled] = {}
        self.seconds = 0.0

    @property
    def count(self) -> int:
        """Number of compilations so far."""
        return len(self._programs)

    def program(self, *args: Any) -> jax.stages.Compiled:
        """The compiled program for arguments (arrays or shapes) such as these.

        Those that are frozen are not among `args`.
        """
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(args[-1]))
        if shapes not in self._programs:
            start = time.perf_counter()
            with self._tracing():
                self._programs[shapes] = self._jitted.lower(*self._all(args)).compile()
            seconds = time.perf_counter() - start
            self.seconds += seconds
            logging.info("compiled %s for batch shapes %s in %.1f s", self._name, shapes, seconds)
        return self._programs[shapes]

    def __call__(self, *args: Any) -> Any:
        return self.program(*args)(*self._all(args))

    def _all(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*args[:-1], *self._frozen, args[-1])
