"""What the processes of one run say to each other; a run of one talks to itself."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Num

from jasr.errors import UserError


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints it once, whatever the number of processes."""
    if is_first():
        print(text, flush=True)


def from_first(make: Callable[[], Any]) -> Any:
    """What `make` gives in the first process, in all of them; anything that JSON can hold."""
    if jax.process_count() == 1:
        return make()
    text = json.dumps(make()).encode() if is_first() else b""
    size = int(multihost_utils.broadcast_one_to_all(np.asarray(len(text))))
    buffer = np.frombuffer(text.ljust(size), np.uint8)
    return json.loads(multihost_utils.broadcast_one_to_all(buffer).tobytes())


def sum_over_hosts(values: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
    """The sum of every process's values."""
    if jax.process_count() == 1:
        return values
    return np.sum(multihost_utils.process_allgather(values), axis=0)


def whole(array: jax.Array) -> np.ndarray:
    """A global array on this host, wherever its parts lie."""
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def must_agree(value: str, what: str) -> None:
    """Raises UserError where the processes hold different values."""
    digest = np.frombuffer(hashlib.sha256(value.encode()).digest(), np.uint8).astype(np.int64)
    if np.any(sum_over_hosts(digest) != jax.process_count() * digest):
        raise UserError(f"{what} is not the same on all hosts: give all of them the same")


def wait_for_all(name: str) -> None:
    """Returns when every process has come here."""
    multihost_utils.sync_global_devices(name)
