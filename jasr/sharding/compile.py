"""Ahead-of-time compilation: one program for each shape of batch, and a count of them."""

import time
from collections.abc import Callable
from typing import Any

import jax
from absl import logging

from jasr.sharding.placement import Placement


class Compiled:
    """A function compiled once for each shape of its last argument.

    The shapes that training meets are those of the bucket table, so `count` is the number of
    buckets used so far.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, placement: Placement, **jit_options: Any
    ):
        self._jitted = jax.jit(function, **jit_options)
        self._name = name
        self._placement = placement
        self._programs: dict[tuple, Any] = {}
        self.seconds = 0.0

    @property
    def count(self) -> int:
        """Number of compilations so far."""
        return len(self._programs)

    def __call__(self, *args: Any) -> Any:
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(args[-1]))
        if shapes not in self._programs:
            start = time.perf_counter()
            with self._placement.active():
                self._programs[shapes] = self._jitted.lower(*args).compile()
            seconds = time.perf_counter() - start
            self.seconds += seconds
            logging.info("compiled %s for batch shapes %s in %.1f s", self._name, shapes, seconds)
        return self._programs[shapes](*args)
