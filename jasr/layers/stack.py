"""A stack of equal layers as one scanned layer: every parameter has a leading "layers" axis."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
from flax import linen as nn

from jasr.layers.choices import choose

_policies = jax.checkpoint_policies

# What a layer keeps from its forward pass for its backward pass; the rest is computed again.
SAVED: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "everything": _policies.everything_saveable,
        "dots": _policies.dots_with_no_batch_dims_saveable,
        "projections": _policies.save_only_these_names(
            "query", "key", "value", "attended", "mlp_up"
        ),
        "attended": _policies.save_only_these_names("attended"),
        "nothing": _policies.nothing_saveable,
    }
)
