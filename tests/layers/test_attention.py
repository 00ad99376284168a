"""Attention against its equation, and where masks cut it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jasr.layers.attention import attention, attention_weights
from jasr.layers.splash_attention import splash_attention

RNG = np.random.default_rng(0)
QUERY, KEY, VALUE = (RNG.normal(size=(2, n, 3, 4)).astype(np.float32) for n in (5, 7, 7))
MASK = np.arange(7) < np.array([[7], [3]])
BIAS = RNG.normal(size=(3, 5, 7)).astype(np.float32)


def by_the_equation(key_mask, bias, causal):
    logits = np.einsum("bthd,bshd->bhts", QUERY, KEY).astype(np.float64) / 2 + bias
    seen = key_mask[:, None, None] & (np.tri(5, 7, dtype=bool) if causal else True)
    weights = np.where(seen, np.exp(logits), 0)
    return np.einsum("bhts,bshd->bthd", weights / weights.sum(-1, keepdims=True), VALUE)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [None, BIAS], ids=["plain", "bias"])
def test_attention_is_its_equation(bias, causal):
    result = attention(
        *map(jnp.array, (QUERY, KEY, VALUE)),
        key_mask=jnp.array(MASK),
        bias=None if bias is None else jnp.array(bias),
        causal=causal,
    )
    expected = by_the_equation(MASK, 0 if bias is None else bias, causal)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [30, 600], ids=["all heads", "head by head"])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "bias"])
def test_gradients_are_those_of_the_library(biased, length, causal):
    """Among the rows one has nothing to attend to, and one a single key."""
    rng = np.random.default_rng(1)
    query, key, value, gradient = (
        jnp.array(rng.normal(size=(5, length, 2, 8)).astype(np.float32)) for _ in range(4)
    )
    bias = (jnp.array(rng.normal(size=(2, length, length)).astype(np.float32)),) * biased
    mask = jnp.arange(length) < jnp.array([length, 0, 1, 20, 29])[:, None]

    def ours(query, key, value, *bias):
        return attention(
            query, key, value, key_mask=mask, bias=bias[0] if bias else None, causal=causal
        )

    def the_library(query, key, value, *bias):
        return jax.nn.dot_product_attention(
            query, key, value, *(b[None] for b in bias), mask=mask[:, None, None], is_causal=causal
        )

    results = []
    for function in (ours, the_library):
        attended, back = jax.vjp(function, query, key, value, *bias)
        results.append((attended, *back(gradient)))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(200, 200), (140, 600)])
def test_the_tpu_s_kernel_gives_the_library_s_attention_and_gradients(queries, keys, causal):
    """In tiles with padding at their ends; run without a TPU. One row has nothing to attend to."""
    rng = np.random.default_rng(2)
    query, key, value, gradient = (
        jnp.array(rng.normal(size=(3, length, 2, 16)).astype(np.float32))
        for length in (queries, keys, keys, queries)
    )
    mask = jnp.arange(keys) < jnp.array([keys, 0, 130])[:, None]

    def tiled(*inputs):
        return splash_attention(*inputs, mask, causal=causal, interpret=True)

    def the_library(*inputs):
        return jax.nn.dot_product_attention(*inputs, mask=mask[:, None, None], is_causal=causal)

    results = []
    for function in (tiled, the_library):
        attended, back = jax.vjp(function, query, key, value)
        results.append((attended, *back(gradient)))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found[0], expected[0], atol=5e-6)
        np.testing.assert_allclose(found[2], expected[2], atol=5e-6)
        assert np.isfinite(found[1]).all()
    if not causal:
        np.testing.assert_allclose(results[0][0][1], results[1][0][1], atol=5e-6)


def test_no_weights_are_kept_for_the_backward_pass_on_cpu():
    """The largest array that the compiled gradient needs is of the heads at hand, not of all."""
    rows, length = 16, 1024
    x = jnp.ones((rows, length, 1, 8))

    def loss(x):
        return attention(x, x, x).sum()

    compiled = jax.jit(jax.grad(loss)).lower(x).compile()
    all_weights = 4 * rows * length**2
    assert compiled.memory_analysis().temp_size_in_bytes < all_weights / 2


def test_with_nothing_to_attend_to_the_result_is_finite():
    arguments = [jnp.array(x) for x in (QUERY, KEY, VALUE)]
    nothing = jnp.zeros((2, 7), bool)
    value, gradients = jax.value_and_grad(lambda args: attention(*args, key_mask=nothing).sum())(
        arguments
    )
    assert np.isfinite(value)
    assert all(jnp.isfinite(gradient).all() for gradient in gradients)


def test_weights_to_look_at_are_those_used():
    weights = attention_weights(jnp.array(QUERY), jnp.array(KEY), jnp.array(MASK))
    np.testing.assert_allclose(
        np.einsum("bhts,bshd->bthd", weights, VALUE), by_the_equation(MASK, 0, False), atol=1e-5
    )
    causal = attention_weights(jnp.array(KEY), jnp.array(KEY), causal=True)
    np.testing.assert_allclose(causal.sum(-1), 1, atol=1e-6)
    assert not np.triu(causal, 1).any()


def test_softmax_is_in_float32():
    """Logits of 64 and more differ by 0.25 at least in bfloat16."""
    query = jnp.full((1, 1, 1, 4), 8.0, jnp.bfloat16)
    key = jnp.array([[4.0, 4.0, 4.0, 4.0], [4.0, 4.0, 4.0, 4.015625]], jnp.bfloat16)
    value = jnp.array([[1.0, 0, 0, 0], [0.0, 0, 0, 0]], jnp.bfloat16)
    share = attention(query, key[None, :, None], value[None, :, None])[0, 0, 0, 0]
    expected = 1 / (1 + np.exp(4 * (np.float32(key[1, 3]) - 4)))
    np.testing.assert_allclose(float(share), expected, atol=2e-3)
