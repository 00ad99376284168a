"""Gradients that pull against one another, made to agree."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jasr.training.balancing.balancer import Terms


@dataclasses.dataclass(frozen=True)
class PCGrad:
    """Each term's gradient less its part against every other's, the others in an order drawn anew.

    Yu et al. 2020, "Gradient surgery for multi-task learning", algorithm 1. Projections are kept as
    coefficients of the terms' gradients: of them the products alone are needed.
    """

    uses_gradients: ClassVar[bool] = True

    def init(self, num_terms: int) -> Any:
        del num_terms
        return ()

    def weights(self, state: Any, num_terms: int) -> Float[Array, " terms"]:
        del state
        return jnp.ones(num_terms)

    def weigh(
        self, terms: Terms, state: Any, key: Key[Array, ""]
    ) -> tuple[Float[Array, " terms"], Any]:
        count = len(terms.losses)
        keys = jax.random.split(key, count)

        def project(number: Array, key: Array) -> Array:
            def against(coefficients: Array, other: Array) -> tuple[Array, None]:
                product = coefficients @ terms.products[:, other]
                share = product / jnp.maximum(terms.products[other, other], 1e-20)
                conflict = jnp.where(other == number, 0.0, jnp.minimum(share, 0.0))
                return coefficients.at[other].add(-conflict), None

            start = jnp.zeros(count).at[number].set(1.0)
            return jax.lax.scan(against, start, jax.random.permutation(key, count))[0]

        return jnp.sum(jax.vmap(project)(jnp.arange(count), keys), axis=0), state
