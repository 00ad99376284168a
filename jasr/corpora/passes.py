"""How often an epoch goes over a recording."""

import numpy as np
from jaxtyping import Float


def in_eighths(passes: Float[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
    """The nearest that an epoch can do: whole eighths, and at least one."""
    return np.maximum(np.round(8 * passes), 1) / 8
