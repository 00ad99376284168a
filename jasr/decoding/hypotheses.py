"""What a search finds, and the step function it searches over."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from flax import struct
from jaxtyping import Array, Bool, Float, Int


@struct.dataclass
class Hypotheses:
    """The transcripts found for each utterance, best first.

    tokens: int32, with no start or end token; 0 where the mask is False.
    mask:   True = a token of the hypothesis.
    scores: log-probability, normalised for length where the search says so;
            -inf where the utterance has fewer hypotheses than there are places.
    """

    tokens: Int[Array, "batch hypotheses tokens"]
    mask: Bool[Array, "batch hypotheses tokens"]
    scores: Float[Array, "batch hypotheses"]


@runtime_checkable
class Cache(Protocol):
    """A decoder's memory of the tokens that it has read: a pytree, with a row per beam."""

    def take(self, beams_BK: Int[Array, "batch beams"], /) -> Any:
        """The cache whose beam k of utterance b is this one's beam `beams_BK[b, k]`."""


# Reads one token per beam and predicts the next:
# (tokens int32 [B, K], cache) -> (logits [B, K, V], cache).
Step: TypeAlias = Callable[[Array, Any], tuple[Array, Any]]
