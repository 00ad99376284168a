"""Which axis of the mesh splits which logical axis; a new strategy is one more entry."""

from collections.abc import Mapping
from types import MappingProxyType

# Logical axis -> mesh axis, several, or None: not split.
Rules = Mapping[str, str | tuple[str, ...] | None]

DATA_PARALLEL: Rules = MappingProxyType(
    {
        "batch": ("data", "fsdp"),
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
)
FSDP: Rules = MappingProxyType({**DATA_PARALLEL, "embed": "fsdp"})
FSDP_TENSOR: Rules = MappingProxyType(
    {**FSDP, "heads": "tensor", "mlp": "tensor", "vocab": "tensor"}
)

PRESETS: Mapping[str, Rules] = MappingProxyType(
    {"data_parallel": DATA_PARALLEL, "fsdp": FSDP, "fsdp_tensor": FSDP_TENSOR}
)
