"""The contract of a balancer, in the manner of an optax transformation.

losses, their gradients' products ──▶ weigh ──▶ a weight for each term ──▶ one gradient
                          state ──────┘    └──▶ state

Whatever a balancer does to gradients, it does by weights on them: a sum of projections of the
terms' gradients is a weighted sum of the gradients.
"""

from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Key


@struct.dataclass
class Terms:
    """What a balancer sees of a step, for each term in the objective's order.

    losses:     Float[Array, "terms"], each times its configured weight.
    configured: Float[Array, "terms"], those weights.
    present:    Bool[Array, "terms"], whether it weighs anything, and the batch has some of it.
    products:   Float[Array, "terms terms"], of the gradients of `losses`, each with each; None for
                a balancer that does not use them.
    """

    losses: Any
    configured: Any
    present: Any
    products: Any


@runtime_checkable
class Balancer(Protocol):
    """A frozen dataclass.

    uses_gradients: it needs `products`, which cost a backward pass for each term.
    """

    uses_gradients: ClassVar[bool]

    def init(self, num_terms: int) -> Any:
        """The state before the first step."""
        ...

    def weights(self, state: Any, num_terms: int) -> Float[Array, " terms"]:
        """What the terms weigh as far as the state alone says."""
        ...

    def weigh(
        self, terms: Terms, state: Any, key: Key[Array, ""]
    ) -> tuple[Float[Array, " terms"], Any]:
        """What the terms weigh in this step, and the state after it."""
        ...


def products_of(gradients: Any) -> Float[Array, "terms terms"]:
    """Inner products of gradients, trees whose leaves have a leading axis of terms."""
    flat = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(gradients)]
    return sum(
        (jnp.einsum("kp,lp->kl", leaf, leaf, precision="highest") for leaf in flat),
        jnp.zeros((), jnp.float32),
    )


def weighted_sum(weights: Float[Array, " terms"], gradients: Any) -> Any:
    """One gradient of several, leaves [terms, ...] -> [...]."""
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, axes=1), gradients)
