"""Linear maps, feed-forward networks, dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jasr.errors import UserError
from jasr.layers.dropout import Dropout
from jasr.layers.feed_forward import FeedForward
from jasr.layers.linear import Linear

X = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))


def test_linear_contracts_its_trailing_axes():
    linear = Linear((6,), ("heads", "head_dim"), ("embed",))
    variables = nn.unbox(linear.init(jax.random.key(1), X))
    kernel = variables["params"]["kernel"]
    expected = np.einsum("bthd,hde->bte", X, kernel)
    np.testing.assert_allclose(linear.apply(variables, X), expected, atol=1e-5)


def test_linear_keeps_the_scale_of_what_enters():
    x = jax.random.normal(jax.random.key(0), (500, 8, 32))
    linear = Linear((300,), ("heads", "head_dim"), ("embed",))
    y, _ = linear.init_with_output(jax.random.key(1), x)
    assert float(y.std()) == pytest.approx(1.0, abs=0.05)


def test_linear_rounds_its_products_not_its_parameters():
    linear = Linear((6,), ("head_dim",), ("embed",), dtype="bfloat16")
    y, variables = linear.init_with_output(jax.random.key(1), X)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    precise = Linear((6,), ("head_dim",), ("embed",), dtype="bfloat16", out_dtype="float32")
    assert precise.apply(variables, X).dtype == jnp.float32


def test_swiglu_is_its_equation():
    mlp, x = FeedForward(6, "swiglu"), X[:, 0]
    variables = nn.unbox(mlp.init(jax.random.key(1), x, train=False))
    up, gated, down = (variables["params"][n]["kernel"] for n in ("up", "gated", "down"))
    swish = x @ up / (1 + jnp.exp(-(x @ up)))
    expected = (swish * (x @ gated)) @ down
    np.testing.assert_allclose(mlp.apply(variables, x, train=False), expected, atol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(rate):
    ones = jnp.ones((1000, 101))
    dropped = Dropout(rate).apply({}, ones, train=True, rngs={"dropout": jax.random.key(0)})
    assert float((dropped == 0).mean()) == pytest.approx(rate, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    # Neighbours share a word of random bits, and must not share their fate.
    left, right = np.asarray(dropped[:, :100:2] == 0), np.asarray(dropped[:, 1::2] == 0)
    assert float((left & right).mean()) == pytest.approx(rate**2, abs=0.01)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_dropout_of_everything_is_refused(rate):
    with pytest.raises(UserError, match="at least 0 and less than 1"):
        Dropout(rate).apply({}, X, train=False)
