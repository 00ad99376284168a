"""A stack of equal layers as one scanned layer: every parameter has a leading "layers" axis."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
from flax import linen as nn

from jasr.layers.choices import choose

_policies = jax.checkpoint_policies

# What each layer keeps of its forward pass for its backward pass, from most to least; what it
# does not keep is computed again.
SAVED: Mapping[str, Callable[..., Any] | None] = MappingProxyType(
    {
        "none": None,  # no rematerialisation: all that the gradient needs is kept
        "dots": _policies.dots_with_no_batch_dims_saveable,
        "projections": _policies.save_only_these_names(
            "query", "key", "value", "attended", "mlp_up"
        ),
        "attended": _policies.save_only_these_names("attended"),
        "full": _policies.nothing_saveable,
    }
)


def stack(
    layer: type[nn.Module],
    num_layers: int,
    *,
    remat: str,
    unroll: int,
    steps: Mapping[str, tuple[Any, ...]] = MappingProxyType({}),
) -> Callable[..., nn.Module]:
    """A module class that runs `num_layers` of `layer`, each with parameters of its own.

    layer:  `__call__(x, shared, train) -> (x, None)`, with `shared` a pytree that all layers see.
    remat:  a key of `SAVED`.
    unroll: how many layers' code stands in one iteration of the compiled loop.
    steps:  other methods `(x, *arguments) -> (x, result)`, each with its arguments' axes: 0 for a
            pytree with a leading "layers" axis, `nn.broadcast` for one that all layers see.
            Results come back with a leading "layers" axis.
    """
    saved = choose(SAVED, remat, key="remat")
    if saved is not None:
        # A loop's body is not merged with its gradient's, so nothing needs to prevent it.
        layer = nn.remat(layer, policy=saved, prevent_cse=False, static_argnums=(3,))
    loop = {
        "variable_axes": {"params": 0, "intermediates": 0, "attention": 0},
        "split_rngs": {"params": True, "dropout": True},
        "length": num_layers,
        "unroll": unroll,
        "metadata_params": {nn.PARTITION_NAME: "layers"},
    }
    in_axes = {"__call__": (nn.broadcast, nn.broadcast), **steps}
    return nn.scan(
        layer, methods={name: dict(in_axes=axes, **loop) for name, axes in in_axes.items()}
    )
