"""The device mesh: a named grid of devices.

data:   each device has its own rows of the batch and the whole of every parameter.
fsdp:   each device has its own rows of the batch and a slice of every parameter, which the others
        gather when they need it (Rajbhandari et al., 2020, "ZeRO", stage 3).
tensor: the devices share rows and split each matrix product (Shoeybi et al., 2019, "Megatron-LM").
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh

from jasr.errors import UserError

AXES = ("data", "fsdp", "tensor")


class TooFewDevices(UserError):
    """The mesh that was asked for needs other devices than are at hand."""


def make_mesh(
    devices: Sequence[Any] | None = None, *, data: int = 1, fsdp: int = 1, tensor: int = 1
) -> Mesh:
    """A mesh of data x fsdp x tensor devices; an axis of 0 takes all that the others leave.

    devices: those to choose from, if not all there are.

    Raises UserError for sizes that are none, TooFewDevices for those the devices do not allow.
    """
    devices = jax.devices() if devices is None else devices
    sizes = _fill({"data": data, "fsdp": fsdp, "tensor": tensor}, len(devices))
    used = devices[: math.prod(sizes)]
    if jax.process_count() > 1 and len(used) < len(devices):
        raise UserError(
            f"config.mesh asks for {len(used)} of {len(devices)} devices, but a run of "
            f"{jax.process_count()} processes must use all: set an axis to 0, which takes the rest"
        )
    # Explicit axes, JAX's default, are not understood by Linen.
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=used)


def _fill(wanted: dict[str, int], num_devices: int) -> tuple[int, ...]:
    text = ", ".join(f"{axis} {size}" for axis, size in wanted.items())
    there = f"{jax.default_backend()} has {num_devices} devices"
    if min(wanted.values()) < 0 or list(wanted.values()).count(0) > 1:
        raise UserError(
            f"config.mesh asks for {text}: expected sizes from 1, and 0 for one axis at most, "
            f"which takes the devices that the others leave"
        )
    given = math.prod(size for size in wanted.values() if size)
    if given > num_devices:
        raise TooFewDevices(
            f"config.mesh asks for {given} devices ({text}), but {there}: lower an axis, or set "
            f"one to 0 to take all"
        )
    if 0 in wanted.values() and num_devices % given:
        raise TooFewDevices(
            f"config.mesh asks for {text}, but {there}, which {given} does not divide: choose "
            f"sizes whose product does"
        )
    return tuple(size or num_devices // given for size in wanted.values())
