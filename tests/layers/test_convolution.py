"""Depthwise convolution: both ways of computing it, and the module's blindness to padding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jasr.layers import convolution
from jasr.layers.convolution import ConvolutionModule, depthwise_convolution


@pytest.mark.parametrize("width", [1, 4, 5, 31])
def test_depthwise_convolution_is_numpys(width):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 11, 3)), rng.normal(size=(width, 3))
    result = depthwise_convolution(jnp.array(x, jnp.float32), jnp.array(kernel, jnp.float32))
    start = width // 2
    for b in range(2):
        for c in range(3):
            # numpy's convolution turns the kernel round, ours does not.
            expected = np.convolve(x[b, :, c], kernel[::-1, c])[start : start + 11]
            np.testing.assert_allclose(result[b, :, c], expected, atol=1e-5)


@pytest.mark.parametrize("width", [4, 5])
def test_every_platform_computes_the_same(width):
    x = jax.random.normal(jax.random.key(0), (2, 11, 3))
    kernel = jax.random.normal(jax.random.key(1), (width, 3))

    def value_and_gradients(function):
        return jax.value_and_grad(lambda args: jnp.sin(function(*args)).sum())((x, kernel))

    ways = [convolution._shift_and_sum, convolution._grouped_convolution, depthwise_convolution]
    expected, *others = map(value_and_gradients, ways)
    for other in others:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), other, expected)


def test_padding_is_not_seen():
    module = ConvolutionModule(kernel_size=5)
    x = jax.random.normal(jax.random.key(0), (1, 9, 4))
    mask = jnp.arange(9)[None] < 6
    variables = nn.unbox(jax.jit(partial(module.init, train=False))(jax.random.key(1), x, mask))
    apply = jax.jit(partial(module.apply, train=False))
    padded, alone = apply(variables, x, mask), apply(variables, x[:, :6], mask[:, :6])
    np.testing.assert_allclose(padded[:, :6], alone, atol=1e-5)
