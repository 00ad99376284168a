"""Devices to compile for, whether they are here or not.

cpu:8       eight devices of this machine's processor
v5e:4x4     a TPU slice of that shape, by the compiler in the libtpu wheel; no TPU is needed
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import jax
from jax.experimental import topologies

from jasr.errors import UserError

FORM = re.compile(r"cpu:(?P<count>[1-9]\d*)|(?P<kind>v\d+[a-z]*):(?P<shape>\d+(x\d+)+)")


def target_devices(target: str) -> Sequence[Any]:
    """The devices of a target; raises UserError for one that cannot be compiled for."""
    form = FORM.fullmatch(target)
    if form is None:
        raise UserError(
            f"--target={target} is no target: expected cpu:N, or a TPU slice such as v5e:4x4, "
            f"v5p:4x4x4 or v6e:8x8"
        )
    if form["count"]:
        found = jax.devices("cpu")
        if len(found) < int(form["count"]):
            raise UserError(
                f"--target={target}: this process has {len(found)} CPU devices; start it with "
                f"XLA_FLAGS=--xla_force_host_platform_device_count={form['count']}"
            )
        return found[: int(form["count"])]
    if find_spec("libtpu") is None:
        raise UserError(
            f"--target={target} needs the TPU compiler: pip install -r requirements-tpu.txt"
        )
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=target).devices
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--target={target} is no slice that libtpu knows: {reason}") from error
