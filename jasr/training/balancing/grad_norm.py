"""Weights that make all terms learn at one pace."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jasr.training.balancing.balancer import Terms


class GradNormState(NamedTuple):
    """log_weights: [terms]; first_losses: [terms], of the first step that had any, without
    configured weights; 0 before."""

    log_weights: Any
    first_losses: Any


@dataclasses.dataclass(frozen=True)
class GradNorm:
    """Weights that sum to the number of terms, and move every weighted gradient's norm to the
    mean norm times (relative inverse training rate) ** alpha.

    Norms are of all parameters, where the paper has the last shared layer.

    Chen et al. 2018, "GradNorm: gradient normalization for adaptive loss balancing in deep
    multitask networks", equations 1 and 2.
    """

    uses_gradients: ClassVar[bool] = True

    alpha: float = 1.5
    learning_rate: float = 0.025

    def init(self, num_terms: int) -> Any:
        return GradNormState(jnp.zeros(num_terms), jnp.zeros(num_terms))

    def weights(self, state: Any, num_terms: int) -> Float[Array, " terms"]:
        raw = jnp.exp(state.log_weights)
        return num_terms * raw / jnp.sum(raw)

    def weigh(
        self, terms: Terms, state: Any, key: Key[Array, ""]
    ) -> tuple[Float[Array, " terms"], Any]:
        del key
        weights = self.weights(state, len(terms.losses))
        new = (state.first_losses == 0) & terms.present
        # What a schedule does to a term's weight is not what it has learned.
        losses = terms.losses / jnp.where(terms.present, terms.configured, 1)
        first = jnp.where(new, losses, state.first_losses)
        count = jnp.maximum(jnp.sum(terms.present), 1)

        def mean(values: Array) -> Array:
            return jnp.sum(jnp.where(terms.present, values, 0)) / count

        norms = weights * jnp.sqrt(jnp.maximum(jnp.diagonal(terms.products), 0))
        progress = losses / jnp.where(first > 0, first, 1)
        rate = progress / jnp.maximum(mean(progress), 1e-8)
        wanted = mean(norms) * rate**self.alpha
        # d |norm - wanted| / d log weight, relative to the mean norm so that its scale is none.
        slope = jnp.sign(norms - wanted) * norms / jnp.maximum(mean(norms), 1e-8)
        moved = state.log_weights - self.learning_rate * jnp.where(terms.present, slope, 0)
        return weights, GradNormState(moved - jnp.mean(moved), first)
