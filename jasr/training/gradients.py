"""From the losses of an objective's terms to one gradient, with a balancer or without."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jasr.training.balancing.balancer import Balancer, Terms, products_of, weighted_sum

# params -> (losses [terms], what else was measured)
Losses: TypeAlias = Callable[[Any], tuple[Array, Any]]
# (losses, params) -> (losses, what else was measured, gradients)
Differentiation: TypeAlias = Callable[[Losses, Any], tuple[Array, Any, Any]]


def differentiation(balancer: Balancer | None, balance: Any, num_terms: int) -> Differentiation:
    """What takes gradients: of each term, leaves [terms, ...], for a balancer that uses them;
    else of their sum, by the weights that the balancer's state says.
    """
    if balancer is not None and balancer.uses_gradients:
        return of_each_term
    weights = jnp.ones(num_terms) if balancer is None else balancer.weights(balance, num_terms)

    def of_total(losses_of: Losses, params: Any) -> tuple[Array, Any, Any]:
        def total(params: Any) -> tuple[Array, Any]:
            losses, measured = losses_of(params)
            return weights @ losses, (losses, measured)

        gradients, (losses, measured) = jax.grad(total, has_aux=True)(params)
        return losses, measured, gradients

    return of_total


def of_each_term(losses_of: Losses, params: Any) -> tuple[Array, Any, Any]:
    """Losses, what else was measured, and each loss's gradient, leaves [terms, ...]."""
    losses, pull, measured = jax.vjp(losses_of, params, has_aux=True)
    # One at a time: in memory there is one backward pass, and not every operation can be batched.
    (gradients,) = jax.lax.map(pull, jnp.eye(len(losses), dtype=losses.dtype))
    return losses, measured, gradients


def balance_gradients(
    balancer: Balancer | None,
    balance: Any,
    gradients: Any,
    *,
    losses: Float[Array, " terms"],
    configured: Float[Array, " terms"],
    counts: Float[Array, " terms"],
    key: Key[Array, ""],
) -> tuple[Float[Array, " terms"], Any, Any]:
    """The terms' weights, one gradient, and the balancer's next state.

    gradients:  as `differentiation` took them, of the whole batch.
    losses:     each times its configured weight.
    configured: those weights.
    counts:     what each loss was divided by.
    """
    if balancer is None:
        return jnp.ones_like(losses), gradients, balance
    present = (counts > 0) & (configured > 0)
    if not balancer.uses_gradients:
        weights, balance = balancer.weigh(Terms(losses, configured, present, None), balance, key)
        return weights, gradients, balance
    terms = Terms(losses, configured, present, products_of(gradients))
    weights, balance = balancer.weigh(terms, balance, key)
    return weights, weighted_sum(weights, gradients), balance
