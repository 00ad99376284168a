"""bfloat16 parameters with float32 masters train as float32 parameters do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_training import Training, noise_batch

from jasr.errors import UserError
from jasr.training.masters import with_masters
from jasr.training.state import start_from


def test_steps_too_small_for_the_parameters_add_up():
    """A hundred steps of a thousandth: bfloat16 alone stays at 1, whose next below is 0.996."""
    params, optimizer = jnp.ones(3, jnp.bfloat16), with_masters(optax.sgd(0.001))
    state = optimizer.init(params)
    for _ in range(100):
        updates, state = optimizer.update(jnp.ones(3), state, params)
        params = optax.apply_updates(params, updates)
    assert params.dtype == jnp.bfloat16
    np.testing.assert_allclose(state.masters, 0.9, rtol=1e-5)
    np.testing.assert_array_equal(params, jnp.full(3, 0.9, jnp.bfloat16))


@pytest.mark.parametrize(("there", "here"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_training_starts_from_parameters_of_another_dtype(there, here):
    training, given = Training(params_dtype=here), Training().state().params
    params = jax.tree.map(lambda leaf: leaf.astype(there), given)
    state = start_from(params, training.optimizer, training.abstract, seed=0)
    assert jax.tree.map(lambda leaf: leaf.dtype, state) == jax.tree.map(
        lambda leaf: leaf.dtype, training.abstract
    )


@pytest.fixture(scope="module")
def trained():
    """Five steps each: float32 parameters, and bfloat16 ones."""
    results = {}
    for dtype in ("float32", "bfloat16"):
        training = Training(params_dtype=dtype)
        state, losses = training.state(), []
        for _ in range(5):
            state, metrics = training.step(2)(state, training.place(noise_batch()))
            losses.append(float(metrics["loss"]))
        results[dtype] = state, losses
    return results


def test_a_recogniser_learns_as_with_float32(trained):
    (_, losses), (state, halved) = trained["float32"], trained["bfloat16"]
    assert losses[-1] < 0.8 * losses[0]
    np.testing.assert_allclose(halved, losses, rtol=0.02)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("bfloat16")}


def test_parameters_are_their_masters_rounded(trained):
    state, _ = trained["bfloat16"]
    masters = state.opt_state.masters
    assert {leaf.dtype for leaf in jax.tree.leaves(masters)} == {jnp.dtype("float32")}
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), masters)
    assert jax.tree.all(jax.tree.map(np.array_equal, rounded, state.params))


def test_another_dtype_is_refused():
    with pytest.raises(UserError, match="params_dtype: there is no 'float8'"):
        Training(params_dtype="float8")
