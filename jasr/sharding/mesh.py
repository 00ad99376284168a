"""The device mesh: a named grid of devices."""

import jax
from jax.sharding import AxisType, Mesh

from jasr.errors import UserError


def make_mesh(*, data: int) -> Mesh:
    """A mesh of `data` devices, over which the batch is split; 0 takes every device there is.

    Raises UserError if there are fewer devices than asked for.
    """
    devices = jax.devices()
    size = data or len(devices)
    if size > len(devices):
        raise UserError(
            f"config.mesh.data asks for {size} devices, but {jax.default_backend()} has "
            f"{len(devices)}: lower it, or set it to 0 to take all"
        )
    # Explicit axes, JAX's default, are not understood by Linen.
    return jax.make_mesh((size,), ("data",), axis_types=(AxisType.Auto,), devices=devices[:size])
