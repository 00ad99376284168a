"""A model of frozen parameters, with low-rank changes to some of them that are trained.

base, frozen ──▶ W + (alpha / rank) down · up ──▶ model
                          trained
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.layers.collections import read_collection
from jasr.layers.parameter import parameter
from jasr.types import Batch, Outputs

# The parameter that holds all that the base has not.
NEW = "new"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel that is changed: a stack of `layers` maps from `inner` to `outer` axes.

    layers: sizes of the leading "layers" axis, or none.
    """

    layers: tuple[int, ...]
    inner: tuple[int, ...]
    outer: tuple[int, ...]
    axes: tuple[str, ...]

    @classmethod
    def of(cls, path: str, shape: tuple[int, ...], axes: tuple[str, ...]) -> "Kernel":
        """Divided where its "embed" axis ends or begins; UserError for what is no matrix."""
        stacked = int(axes[:1] == ("layers",))
        names = axes[stacked:]
        if len(names) < 2 or "embed" not in (names[0], names[-1]):
            raise UserError(
                f"config.lora.parameters: {path} with axes {', '.join(axes) or 'none'} is no "
                f"kernel from or to the embedding: choose kernels of attention or mlp"
            )
        cut = stacked + (1 if names[0] == "embed" else len(names) - 1)
        return cls(shape[:stacked], shape[stacked:cut], shape[cut:], axes)


class Adapted(nn.Module):
    """Gives what the model gives; its parameters are those of the changes, and new ones.

    The frozen parameters are the collection "base", by path.

    kernels: by the path of each parameter that is changed.
    new:     paths of the parameters that the base does not have.
    rank, alpha: inner size of a change, and its scale alpha / rank.

    Hu et al. 2022, "LoRA: low-rank adaptation of large language models", equation 3.
    """

    model: nn.Module
    kernels: Mapping[str, Kernel]
    new: tuple[str, ...]
    rank: int
    alpha: float

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        changes = {path: self._declared(path, kernel) for path, kernel in self.kernels.items()}
        inner = self.model.clone(parent=None, name=None)
        if self.is_initializing():
            drawn = inner.init(self.make_rng("params"), batch, train=False)["params"]
            flat = flatten_dict(drawn, sep="/")
            if self.new:
                self.param(NEW, lambda _: unflatten_dict({p: flat[p] for p in self.new}, sep="/"))
            params = nn.unbox(drawn)
        else:
            base = read_collection(self, "base")
            new: Any = self.get_variable("params", NEW) if self.new else {}
            params = _with_changes(base, new, changes)
        rngs = {name: self.make_rng(name) for name in ("augment", "dropout") if self.has_rng(name)}
        outputs: Any = inner.apply({"params": params}, batch, train=train, rngs=rngs)
        return outputs

    def change(self, kernel: Kernel, down: Array, up: Array) -> Float[Array, "..."]:
        """(alpha / rank) down · up of each layer, in the kernel's shape."""
        flat_down = down.reshape(*kernel.layers, math.prod(kernel.inner), self.rank)
        flat_up = up.reshape(*kernel.layers, self.rank, math.prod(kernel.outer))
        changed = jnp.matmul(flat_down, flat_up)
        shape = (*kernel.layers, *kernel.inner, *kernel.outer)
        return self.alpha / self.rank * changed.reshape(shape)

    def _declared(self, path: str, kernel: Kernel) -> Float[Array, "..."]:
        stacked = len(kernel.layers)
        layers, inner_axes = kernel.axes[:stacked], kernel.axes[stacked:][: len(kernel.inner)]
        outer_axes = kernel.axes[stacked + len(kernel.inner) :]
        down_name, up_name = _names(path)
        scale = math.prod(kernel.inner) ** -0.5
        down = parameter(
            self,
            down_name,
            nn.initializers.normal(scale),
            (*kernel.layers, *kernel.inner, self.rank),
            (*layers, *inner_axes, "features"),
        )
        up = parameter(
            self,
            up_name,
            nn.initializers.zeros,
            (*kernel.layers, self.rank, *kernel.outer),
            (*layers, "features", *outer_axes),
        )
        return self.change(kernel, down, up)


def merged(model: Adapted, base: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """The parameters of the model that is adapted, the changes added to the base."""
    changes = {
        path: model.change(kernel, *(params[name] for name in _names(path)))
        for path, kernel in model.kernels.items()
    }
    return _with_changes(base, params.get(NEW, {}), changes)


def _names(path: str) -> tuple[str, str]:
    """What the two factors of a kernel's change are called."""
    name = path.replace("/", ".")
    return f"{name}.down", f"{name}.up"


def _with_changes(base: Mapping[str, Any], new: Any, changes: Mapping[str, Array]) -> Any:
    flat = {path: leaf + changes[path] if path in changes else leaf for path, leaf in base.items()}
    return unflatten_dict({**flat, **flatten_dict(new, sep="/")}, sep="/")
