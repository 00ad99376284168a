"""Places in a tree of updates that another optimizer fills, or none."""

from typing import Any

import optax


def is_masked(node: Any) -> bool:
    """Whether it stands for a parameter that this optimizer does not move."""
    return isinstance(node, optax.MaskedNode)
