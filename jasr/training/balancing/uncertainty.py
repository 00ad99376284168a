"""Weights by how uncertain each term is."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jasr.training.balancing.balancer import Terms


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """exp(-s) for each term, where s, its log-variance, descends sum of exp(-s) loss + s.

    At rest a term weighs one over its loss. The state is s, [terms], 0 at first.

    Kendall, Gal and Cipolla 2018, "Multi-task learning using uncertainty to weigh losses for scene
    geometry and semantics", equation 7, with the factor of the regression taken for all.
    """

    uses_gradients: ClassVar[bool] = False

    learning_rate: float = 0.01

    def init(self, num_terms: int) -> Any:
        return jnp.zeros(num_terms)

    def weights(self, state: Any, num_terms: int) -> Float[Array, " terms"]:
        del num_terms
        return jnp.exp(-state)

    def weigh(
        self, terms: Terms, state: Any, key: Key[Array, ""]
    ) -> tuple[Float[Array, " terms"], Any]:
        del key
        weights = jnp.exp(-state)
        # The slope is bounded, so that one large loss does not throw s far.
        slope = jnp.clip(1 - weights * terms.losses, -10, 1)
        return weights, state - self.learning_rate * jnp.where(terms.present, slope, 0)
