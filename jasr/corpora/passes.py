"""How often an epoch goes over a recording."""

from typing import Any

import numpy as np
from jaxtyping import Float

from jasr.errors import UserError


def check_passes(passes: Any, key: str) -> float:
    """The passes that a config's key gives; raises UserError for what is none."""
    if not isinstance(passes, int | float) or not 0 < passes <= 1000 or passes * 8 % 1:
        raise UserError(
            f"{key} is {passes!r}: expected a number above 0, in eighths, such as 0.125 or 2.5"
        )
    return float(passes)


def in_eighths(passes: Float[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
    """The nearest that an epoch can do: whole eighths, and at least one."""
    return np.maximum(np.round(8 * passes), 1) / 8
