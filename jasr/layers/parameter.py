"""Parameters with named axes."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


def parameter(
    module: nn.Module,
    name: str,
    initializer: Any,
    shape: tuple[int, ...],
    axes: tuple[str, ...],
) -> Float[Array, "..."]:
    """A float32 parameter of the module; `axes` are the logical names of its axes.

    The names are "layers", "embed", "heads", "head_dim", "mlp", "vocab", "kernel", "features"
    and "positions"; a sharding strategy maps them to the axes of a mesh.
    """
    named = nn.with_logical_partitioning(initializer, axes)
    value: Any = module.param(name, named, shape, jnp.float32)
    return value
