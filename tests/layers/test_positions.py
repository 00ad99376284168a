"""Positions against independent formulas, and the properties that they are chosen for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jasr.layers.positions import Positions, distance_buckets, rotate, sinusoids


def positions(kind, *, bidirectional=True):
    module = Positions(kind, num_heads=2, embed_dim=16, max_length=32, bidirectional=bidirectional)
    x = jnp.zeros((1, 8, 16))
    variables = nn.unbox(module.init(jax.random.key(0), x, method="add"))
    return module.bind(variables)


def test_sinusoids_by_hand():
    table = sinusoids(jnp.arange(5), 6)
    for t in range(5):
        rates = [1, 10_000**-0.5, 10_000**-1]
        expected = [np.sin(t * r) for r in rates] + [np.cos(t * r) for r in rates]
        np.testing.assert_allclose(table[t], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rotary", "relative", "none"])
def test_one_position_is_a_row_of_all_of_them(kind):
    module, index = positions(kind), jnp.array(5)
    all_added = module.add(jnp.zeros((1, 8, 16)))
    one_added = module.add_at(jnp.zeros((1, 3, 16)), index)
    np.testing.assert_allclose(one_added[0, 0], all_added[0, 5], atol=1e-6)
    all_related, one_related = module.relations(8), module.relations_at(index, 8)
    if kind == "rotary":
        for whole, part in zip(all_related.rotation, one_related.rotation, strict=True):
            np.testing.assert_allclose(part[0], whole[5], atol=1e-6)
    if kind == "relative":
        np.testing.assert_allclose(one_related.bias[:, 0], all_related.bias[:, 5], atol=1e-6)


def test_rotary_products_depend_on_distance_alone():
    query, key = jax.random.normal(jax.random.key(1), (2, 1, 1, 2, 8))
    cos, sin = positions("rotary").relations(32).rotation

    def at(x, t):
        return rotate(x, (cos[t : t + 1], sin[t : t + 1]))

    def product(t, s):
        return jnp.sum(at(query, t) * at(key, s))

    np.testing.assert_allclose(product(9, 4), product(25, 20), rtol=1e-4)
    assert not np.allclose(product(9, 4), product(9, 5), rtol=1e-2)
    np.testing.assert_allclose(jnp.linalg.norm(at(key, 20)), jnp.linalg.norm(key), rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_relative_bias_is_looked_up_by_distance(bidirectional):
    module = positions("relative", bidirectional=bidirectional)
    bias_HTS = module.relations(21).bias
    distances = np.arange(21) - np.arange(21)[:, None]
    table = module.variables["params"]["bias"]
    expected = table[distance_buckets(jnp.array(distances), bidirectional=bidirectional)]
    np.testing.assert_array_equal(bias_HTS, jnp.moveaxis(expected, -1, 0))


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_are_those_of_t5(bidirectional):
    torch = pytest.importorskip("torch")
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    distances = np.arange(-300, 301)
    expected = t5.T5Attention._relative_position_bucket(
        torch.from_numpy(distances), bidirectional=bidirectional, num_buckets=32, max_distance=128
    )
    ours = distance_buckets(jnp.array(distances), bidirectional=bidirectional)
    np.testing.assert_array_equal(ours, expected)
