"""pmap in jit's place: pure data parallelism over the devices of one process."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jasr.errors import UserError
from jasr.sharding.placement import Placement
from jasr.types import Batch

AXIS = "devices"


def pmap_step(step: Callable[..., Any], placement: Placement) -> Any:
    """step(state, frozen, batch, axis_name=...) over the placement's devices; it has jit's `lower`.

    State and what is frozen are whole on every device, the batch as `rows_of_devices` lays it.
    Raises UserError for a placement that is more than data parallelism in one process.
    """
    if jax.process_count() > 1:
        raise UserError(
            f"config.train.compiler 'pmap' runs in one process, and there are "
            f"{jax.process_count()}: use 'jit'"
        )
    if placement.splits_parameters:
        raise UserError(
            "config.train.compiler 'pmap' keeps all parameters on every device: use 'jit', or "
            "config.mesh.preset 'data_parallel'"
        )
    return jax.pmap(
        functools.partial(step, axis_name=AXIS),
        axis_name=AXIS,
        in_axes=(None, None, 0),
        out_axes=None,
        devices=list(placement.mesh.devices.flat),
        donate_argnums=0,
    )


def rows_of_devices(placement: Placement, batch: Batch) -> Batch:
    """[B, ...] -> [devices, B / devices, ...]"""
    count = placement.mesh.size
    return jax.tree.map(lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), batch)
