"""Which mesh axis splits which logical axis.

parameter ──▶ logical axes ("layers", "embed", "mlp") ──▶ rules ──▶ PartitionSpec
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jasr.errors import UserError
from jasr.types import Batch

Rules = Mapping[str, str | None]

# The batch is split over "data"; every parameter is whole on every device.
DATA_PARALLEL: Rules = {
    "layers": None,
    "embed": None,
    "heads": None,
    "head_dim": None,
    "mlp": None,
    "vocab": None,
    "kernel": None,
    "features": None,
    "positions": None,
}


def parameter_shardings(boxed_params: Any, mesh: Mesh, rules: Rules) -> Any:
    """The sharding of each parameter, from the logical axes in its Linen metadata box.

    Raises UserError for a parameter without logical axes or with one that no rule covers.
    """

    def sharding(path, box) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if not isinstance(box, nn.LogicallyPartitioned):
            raise UserError(f"parameter {name} has no logical axes: add with_logical_partitioning")
        unknown = [axis for axis in box.names if axis is not None and axis not in rules]
        if unknown:
            raise UserError(
                f"parameter {name} has the logical axis {unknown[0]!r}, which no sharding rule "
                f"covers; the rules cover {', '.join(rules)}"
            )
        return NamedSharding(mesh, PartitionSpec(*(axis and rules[axis] for axis in box.names)))

    return jax.tree_util.tree_map_with_path(
        sharding, boxed_params, is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)
    )


def like_parameters(tree: Any, params: Any, shardings: Any, mesh: Mesh) -> Any:
    """Shardings for a tree that holds copies of the parameters, such as an optimizer's state.

    A leaf whose path ends in a parameter's path and has its shape is placed like it; any other
    leaf is replicated.
    """
    by_path = {
        path: (leaf.shape, sharding)
        for (path, leaf), sharding in zip(
            jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(shardings), strict=True
        )
    }
    replicated = NamedSharding(mesh, PartitionSpec())

    def sharding(path, leaf) -> NamedSharding:
        for start in range(len(path)):
            shape, found = by_path.get(path[start:], (None, replicated))
            if shape == leaf.shape:
                return found
        return replicated

    return jax.tree_util.tree_map_with_path(sharding, tree)


def shard_batch(batch: Batch, mesh: Mesh) -> Batch:
    """This process's rows of a batch, as global arrays split over the mesh's "data" axis."""
    rows = NamedSharding(mesh, PartitionSpec("data"))
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(rows, leaf), batch)
