"""Joining the processes of one run, which run the same command on every host.

Found in this order:
flags                        --coordinator=HOST:PORT --num_processes=N --process_id=I
JAX_COORDINATOR_ADDRESS      with JAX_NUM_PROCESSES, and JAX_PROCESS_ID or, of a Kubernetes job,
                             JOB_COMPLETION_INDEX
SLURM                        a step of several tasks
Cloud TPU                    a machine with TPU chips; JAX asks the slice who else is there
"""

import contextlib
import faulthandler
import os
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from absl import flags

from jasr.errors import HostLost, UserError

# How the transports between hosts, and JAX's service, say that a peer does not answer.
CUT_OFF = re.compile(r"gloo|nccl|connection|socket|heartbeat|peer|UNAVAILABLE|DEADLINE", re.I)

_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of the first process, where a run has several."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Processes of this run.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")
_HOST_TIMEOUT = flags.DEFINE_integer(
    "host_timeout", 60, "Seconds of silence after which a host counts as dead.", lower_bound=1
)
_JOIN_TIMEOUT = flags.DEFINE_integer(
    "join_timeout", 600, "Seconds to wait for all hosts to start.", lower_bound=1
)


@contextlib.contextmanager
def joined_hosts() -> Iterator[None]:
    """Together with the other processes of this run, if there are any; before JAX's first use.

    Raises UserError for flags or an environment that say but half of it, and where the others do
    not come; HostLost where one of them stops.
    """
    found = _from_flags() or _from_environment() or _from_cluster()
    if found is None:
        yield
        return
    # JAX reads its settings when it is imported: at first use, so that they are made by then.
    import jax

    _join(found)
    try:
        yield
    except Exception as error:
        if jax.process_count() == 1 or not _is_cut_off(error):
            raise
        raise HostLost(
            f"another process of this run has stopped, and so does this one, "
            f"{jax.process_index()} of {jax.process_count()}: the same command on all goes on "
            f"from the last checkpoint ({' '.join(str(error).split())[:200]})"
        ) from error


def _is_cut_off(error: BaseException | None) -> bool:
    """Whether a peer that does not answer is behind an error."""
    import jax

    if error is None:
        return False
    if isinstance(error, TimeoutError):
        return True
    if isinstance(error, jax.errors.JaxRuntimeError) and CUT_OFF.search(str(error)):
        return True
    return _is_cut_off(error.__cause__)


def _join(found: Mapping[str, Any]) -> None:
    import jax

    try:
        jax.distributed.initialize(
            **found,
            initialization_timeout=_JOIN_TIMEOUT.value,
            heartbeat_timeout_seconds=_HOST_TIMEOUT.value,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the hosts of this run did not find each other within {_JOIN_TIMEOUT.value} s "
            f"(--join_timeout): {reason}"
        ) from error
    # Where JAX's own service ends a process whose peer is gone, its one line says so; what Python
    # adds would bury it.
    faulthandler.disable()


def _from_flags() -> dict[str, Any] | None:
    given = {
        "coordinator_address": _COORDINATOR.value,
        "num_processes": _NUM_PROCESSES.value,
        "process_id": _PROCESS_ID.value,
    }
    if all(value is None for value in given.values()):
        return None
    if None in given.values():
        raise UserError(
            "--coordinator, --num_processes and --process_id belong together: give all three"
        )
    return given


def _from_environment() -> dict[str, Any] | None:
    if "JAX_COORDINATOR_ADDRESS" not in os.environ:
        return None
    number = os.environ.get("JAX_PROCESS_ID", os.environ.get("JOB_COMPLETION_INDEX", ""))
    count = os.environ.get("JAX_NUM_PROCESSES", "")
    if not (number.isdigit() and count.isdigit()):
        raise UserError(
            "JAX_COORDINATOR_ADDRESS is set: expected JAX_NUM_PROCESSES beside it, and "
            "JAX_PROCESS_ID or JOB_COMPLETION_INDEX, all whole numbers"
        )
    return {
        "coordinator_address": os.environ["JAX_COORDINATOR_ADDRESS"],
        "num_processes": int(count),
        "process_id": int(number),
    }


def _from_cluster() -> dict[str, Any] | None:
    """What JAX can find by itself, where there is a reason to ask."""
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return {"cluster_detection_method": "slurm"}
    chips = [*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*")]
    return {} if chips and find_spec("libtpu") else None
