"""Balancers on problems whose right answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jasr.training.balancing.balancer import Balancer, Terms, products_of, weighted_sum
from jasr.training.balancing.grad_norm import GradNorm
from jasr.training.balancing.pcgrad import PCGrad
from jasr.training.balancing.uncertainty import Uncertainty
from jasr.training.gradients import balance_gradients

BALANCERS = (Uncertainty(), GradNorm(), PCGrad())
KEY = jax.random.key(0)


def seen(losses, gradients, present=None, configured=1.0):
    stacked = {"a": jnp.array(gradients)[:, :1], "b": jnp.array(gradients)[:, 1:]}
    present = jnp.ones(len(losses), bool) if present is None else jnp.array(present)
    configured = jnp.broadcast_to(jnp.array(configured), (len(losses),))
    return Terms(jnp.array(losses), configured, present, products_of(stacked)), stacked


def settle(balancer, terms, steps):
    def step(state, key):
        weights, state = balancer.weigh(terms, state, key)
        return state, weights

    keys = jax.random.split(KEY, steps)
    return jax.lax.scan(step, balancer.init(len(terms.losses)), keys)[1][-1]


@pytest.mark.parametrize("balancer", BALANCERS)
def test_they_keep_the_contract(balancer):
    assert isinstance(balancer, Balancer)
    terms, _ = seen([2.0, 1.0, 1.0], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    state = balancer.init(3)
    weights, after = balancer.weigh(terms, state, KEY)
    assert weights.shape == balancer.weights(state, 3).shape == (3,)
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_uncertainty_weighs_a_term_by_one_over_its_loss():
    terms, _ = seen([4.0, 0.5], [[1.0, 0.0], [0.0, 1.0]])
    weights = settle(Uncertainty(learning_rate=0.1), terms, 500)
    np.testing.assert_allclose(weights, [0.25, 2.0], rtol=1e-3)


def test_a_term_that_is_not_in_the_batch_keeps_its_weight():
    terms, _ = seen(
        [0.0, 3.0, 1.0], [[0.0, 0.0], [0.0, 1.0], [4.0, 0.0]], present=[False, True, True]
    )
    np.testing.assert_array_equal(settle(Uncertainty(), terms, 50)[0], 1.0)
    balancer = GradNorm(alpha=0.0)
    state = balancer.init(3)
    for _ in range(50):
        weights, state = balancer.weigh(terms, state, KEY)
    # The other two have moved apart; it stands where they began.
    assert weights[2] < 0.7 < weights[0] < 1.3 < weights[1]
    assert state.first_losses[0] == 0


@pytest.mark.parametrize("balancer", [Uncertainty(), GradNorm()])
@pytest.mark.parametrize(("configured", "count"), [(0.0, 5.0), (1.0, 0.0)])
def test_a_term_of_no_weight_or_with_nothing_in_the_batch_is_absent(balancer, configured, count):
    of_each, of_total = {"a": jnp.array([[0.0], [1.0]])}, {"a": jnp.ones(1)}
    _, _, after = balance_gradients(
        balancer,
        balancer.init(2),
        of_each if balancer.uses_gradients else of_total,
        losses=jnp.array([0.0, 2.0]),
        configured=jnp.array([configured, 1.0]),
        counts=jnp.array([count, 5.0]),
        key=KEY,
    )
    first = after.first_losses if balancer.uses_gradients else after
    assert first[0] == 0
    assert first[1] != 0


def test_gradnorm_does_not_take_a_rising_weight_for_a_rising_loss():
    balancer = GradNorm(alpha=1.5, learning_rate=0.025)
    state = balancer.init(2)
    for step in range(1, 400):
        ramp = min(step / 200, 1.0)
        terms, _ = seen([1.0, ramp], [[1.0, 0.0], [0.0, ramp]], configured=[1.0, ramp])
        weights, state = balancer.weigh(terms, state, KEY)
    np.testing.assert_allclose(weights, [1.0, 1.0], atol=0.1)


def test_gradnorm_evens_out_norms():
    terms, gradients = seen([1.0, 1.0], [[10.0, 0.0], [0.0, 1.0]])
    weights = settle(GradNorm(alpha=0.0, learning_rate=0.01), terms, 2000)
    np.testing.assert_allclose(weights.sum(), 2.0, rtol=1e-5)
    np.testing.assert_allclose(weights[0] * 10, weights[1] * 1, rtol=0.1)
    one = weighted_sum(weights, gradients)
    np.testing.assert_allclose(jnp.concatenate([one["a"], one["b"]]), [20 / 11, 20 / 11], rtol=0.1)


def test_gradnorm_helps_the_term_that_lags():
    balancer = GradNorm(alpha=1.0, learning_rate=0.01)
    start, _ = seen([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]])
    _, state = balancer.weigh(start, balancer.init(2), KEY)
    later, _ = seen([1.0, 0.25], [[1.0, 0.0], [0.0, 1.0]])
    for _ in range(400):
        weights, state = balancer.weigh(later, state, KEY)
    # Relative rates 1.6 and 0.4: the norms are to stand as those.
    np.testing.assert_allclose(weights[0] / weights[1], 4.0, rtol=0.15)


def test_pcgrad_takes_conflict_out_of_both():
    terms, gradients = seen([1.0, 1.0], [[1.0, 0.0], [-1.0, 1.0]])
    weights, _ = PCGrad().weigh(terms, (), KEY)
    one = weighted_sum(weights, gradients)
    # (1, 0) less its part against (-1, 1) is (0.5, 0.5); (-1, 1) less its part is (0, 1).
    np.testing.assert_allclose(jnp.concatenate([one["a"], one["b"]]), [0.5, 1.5], atol=1e-6)


def test_pcgrad_leaves_what_agrees():
    terms, _ = seen([1.0, 1.0, 1.0], [[1.0, 0.0], [0.5, 1.0], [0.0, 2.0]])
    weights, _ = PCGrad().weigh(terms, (), KEY)
    np.testing.assert_allclose(weights, [1.0, 1.0, 1.0])


def test_pcgrad_is_the_paper_s_algorithm():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(4, 6))
    terms, stacked = seen([1.0] * 4, gradients)
    weights, _ = PCGrad().weigh(terms, (), KEY)
    expected = np.zeros(6)
    for number, key in enumerate(jax.random.split(KEY, 4)):
        projected = gradients[number].copy()
        for other in np.asarray(jax.random.permutation(key, 4)):
            product = projected @ gradients[other]
            if other != number and product < 0:
                projected -= product / (gradients[other] @ gradients[other]) * gradients[other]
        expected += projected
    one = weighted_sum(weights, stacked)
    np.testing.assert_allclose(
        jnp.concatenate([one["a"], one["b"]]), expected, rtol=1e-4, atol=1e-5
    )
