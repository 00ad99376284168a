"""What a search finds, and the step function it searches over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from flax import struct
from jaxtyping import Array, Int


@struct.dataclass
class Hypotheses:
    """The transcripts found for each utterance, best first.

    tokens: int32 [batch, hypotheses, tokens], with no start or end; 0 where the mask is False.
    mask:   bool [batch, hypotheses, tokens], True = a token of the hypothesis.
    scores: float32 [batch, hypotheses], log-probability, normalised for length where the search
            says so; -inf where the utterance has fewer hypotheses than there are places.
    """

    tokens: Any
    mask: Any
    scores: Any


@dataclass(frozen=True)
class Hypothesis:
    """One of an utterance's: its tokens, with no start or end, and its score."""

    tokens: Sequence[int]
    score: float


@runtime_checkable
class Cache(Protocol):
    """A decoder's memory of the tokens that it has read: a pytree, with a row per beam."""

    def take(self, beams_BK: Int[Array, "batch beams"], /) -> Any:
        """The cache whose beam k of utterance b is this one's beam `beams_BK[b, k]`."""


# Reads one token per beam and predicts the next:
# (tokens int32 [B, K], cache) -> (logits [B, K, V], cache).
Step: TypeAlias = Callable[[Array, Any], tuple[Array, Any]]
