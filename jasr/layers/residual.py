"""Where the norm stands: before each block of a layer, or after its sum with what entered.

y = leave(x, block(enter(x, norm)), norm)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jaxtyping import Array

Norm = Callable[[Array], Array]


@dataclass(frozen=True)
class Residual:
    """enter: what the block sees of x.  leave: what x becomes, given the block's result."""

    enter: Callable[[Array, Norm], Array]
    leave: Callable[[Array, Array, Norm], Array]


RESIDUALS: Mapping[str, Residual] = MappingProxyType(
    {
        # Xiong et al. 2020, "On layer normalization in the transformer architecture".
        "pre": Residual(enter=lambda x, norm: norm(x), leave=lambda x, y, norm: x + y),  # noqa: ARG005
        # Vaswani et al. 2017, "Attention is all you need", section 3.1.
        "post": Residual(enter=lambda x, norm: x, leave=lambda x, y, norm: norm(x + y)),  # noqa: ARG005
    }
)
