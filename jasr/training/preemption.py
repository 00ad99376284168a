"""Notice that the machine is about to be taken away: SIGTERM."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils


class Preemption:
    """Whether a notice has come, at the same step on every host."""

    def __init__(self) -> None:
        self._noticed = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While it lasts, SIGTERM is taken as a notice and does not end the process."""
        if jax.process_count() > 1:
            yield  # JAX's own service takes the signal, and agrees on a step
            return
        before = signal.signal(signal.SIGTERM, self._notice)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _notice(self, *_: Any) -> None:
        self._noticed = True

    def reached(self, step: int) -> bool:
        """Whether to save after this step and stop."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._noticed
