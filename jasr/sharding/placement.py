"""Where every array lies: a mesh, and the rules by which its axes split logical axes.

parameter  ──▶ logical axes ("layers", "embed", "mlp") ──▶ rules ──▶ PartitionSpec
activation ──▶ logical axes ("batch", None, "mlp")     ──▶ rules ──▶ PartitionSpec
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jasr.errors import UserError, nearest
from jasr.sharding.mesh import make_mesh
from jasr.sharding.presets import PRESETS, Rules
from jasr.types import Batch, path_of


@dataclasses.dataclass(frozen=True)
class Placement:
    """A mesh and a strategy on it."""

    mesh: Mesh
    rules: Rules

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], devices: Sequence[Any] | None = None
    ) -> "Placement":
        """From config.mesh: a preset's name, and sizes for `make_mesh`; raises UserError.

        devices: those to lie on, if not all there are.
        """
        sizes = dict(config)
        preset = sizes.pop("preset")
        if preset not in PRESETS:
            raise UserError(f"config.mesh.preset {preset!r} is unknown: {nearest(preset, PRESETS)}")
        mesh, rules = make_mesh(devices, **sizes), PRESETS[preset]
        idle = [
            axis for axis in mesh.axis_names if mesh.shape[axis] > 1 and axis not in _used(rules)
        ]
        if idle:
            raise UserError(
                f"config.mesh.{idle[0]} is {mesh.shape[idle[0]]}, but the preset {preset!r} splits "
                f"nothing over it: set it to 1, or choose another preset"
            )
        return cls(mesh, rules)

    @property
    def replicated(self) -> NamedSharding:
        """The whole array on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def rows(self) -> NamedSharding:
        """The first axis split like the batch."""
        return NamedSharding(self.mesh, PartitionSpec(self.rules["batch"]))

    @property
    def row_shards(self) -> int:
        """Over how many groups of devices the rows of a batch are split."""
        return self._shards(self.rules["batch"])

    @property
    def splits_parameters(self) -> bool:
        """Whether any axis of a parameter is split over devices."""
        return any(self._shards(axes) > 1 for name, axes in self.rules.items() if name != "batch")

    def _shards(self, axes: str | tuple[str, ...] | None) -> int:
        names = (axes,) if isinstance(axes, str) else axes or ()
        return math.prod(self.mesh.shape[name] for name in names)

    @property
    def row_share(self) -> tuple[int, int]:
        """(n, of): this process's devices hold the n-th of so many shares of a batch's rows.

        Processes that hold the same rows have the same n.
        Raises UserError where processes share some of their rows and not all.
        """
        rows_of: dict[int, set[int]] = {}
        lain: Mapping[Any, Any] = self.rows.devices_indices_map((self.row_shards,))
        for device, (rows,) in lain.items():
            rows_of.setdefault(device.process_index, set()).add(rows.start or 0)
        shares = sorted({tuple(sorted(rows)) for rows in rows_of.values()})
        if sum(map(len, shares)) != self.row_shards or len({*map(len, shares)}) > 1:
            raise UserError(
                f"config.mesh lays rows of a batch over {len(rows_of)} processes unevenly: let "
                f"data x fsdp be a multiple or a divisor of the number of processes"
            )
        own = tuple(sorted(rows_of[jax.process_index()]))
        return shares.index(own), len(shares)

    def shard_batch(self, batch: Batch) -> Batch:
        """This process's rows of a batch, as global arrays."""
        return jax.tree.map(self.shard_rows, batch)

    def shard_rows(self, leaf: Any) -> jax.Array:
        """The same of one array."""
        return jax.make_array_from_process_local_data(self.rows, leaf)

    def parameters(self, boxed_params: Any) -> Any:
        """The sharding of each parameter, from the logical axes in its Linen metadata box.

        Raises UserError for a parameter without logical axes, with one that no rule covers, or
        with one that cannot be split evenly.
        """
        return jax.tree_util.tree_map_with_path(
            lambda path, box: self._parameter(path_of(path), box),
            boxed_params,
            is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned),
        )

    def _parameter(self, name: str, box: Any) -> NamedSharding:
        if not isinstance(box, nn.LogicallyPartitioned):
            raise UserError(f"parameter {name} has no logical axes: add with_logical_partitioning")
        unknown = [axis for axis in box.names if axis is not None and axis not in self.rules]
        if unknown:
            raise UserError(
                f"parameter {name} has the logical axis {unknown[0]!r}, which no sharding rule "
                f"covers; the rules cover {', '.join(self.rules)}"
            )
        spec = [None if axis is None else self.rules[axis] for axis in box.names]
        for axis, size, split in zip(box.names, box.value.shape, spec, strict=True):
            if size % self._shards(split):
                raise UserError(
                    f"parameter {name}: its axis {axis!r} of {size} cannot be split evenly over "
                    f"{self._shards(split)} devices (config.mesh.{split}): choose a divisor"
                )
        return NamedSharding(self.mesh, PartitionSpec(*spec))

    def like_parameters(self, tree: Any, params: Any, shardings: Any) -> Any:
        """Shardings for a tree that holds copies of the parameters, such as an optimizer's state.

        A leaf whose path ends in a parameter's path and has its shape is placed like it; any
        other leaf is replicated.
        """
        by_path = {
            path: (leaf.shape, sharding)
            for (path, leaf), sharding in zip(
                jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(shardings), strict=True
            )
        }

        def sharding(path, leaf) -> NamedSharding:
            for start in range(len(path)):
                shape, found = by_path.get(path[start:], (None, self.replicated))
                if shape == leaf.shape:
                    return found
            return self.replicated

        return jax.tree_util.tree_map_with_path(sharding, tree)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """While it lasts, what is traced places its activations by these rules."""
        with jax.set_mesh(self.mesh), nn.logical_axis_rules(tuple(self.rules.items())):
            yield


def _used(rules: Rules) -> set[str]:
    axes = [(axis,) if isinstance(axis, str) else axis or () for axis in rules.values()]
    return {name for names in axes for name in names}
