"""The analytic FLOP count, held against XLA's own."""

import jax
import jax.numpy as jnp
import pytest
from tiny_training import noise_batch, tiny_model

from jasr.training.flops import matmul_flops


def xla_flops(function, *args):
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


def test_a_product_s_count_is_exact():
    a, b = jnp.zeros((8, 16, 32)), jnp.zeros((32, 64))
    assert matmul_flops(jnp.matmul, a, b) == 2 * 8 * 16 * 32 * 64


def test_a_loop_counts_as_often_as_it_runs():
    a = jnp.zeros((16, 16))

    def power(x):
        return jax.lax.scan(lambda x, _: (x @ a, None), x, length=5)[0]

    assert matmul_flops(power, a) == 5 * 2 * 16**3


def test_the_model_s_count_is_xla_s_but_for_pointwise_work():
    """Unrolled, since XLA counts a loop's body once; its count adds norms and activations."""
    model = tiny_model()
    model = model.clone(
        encoder=model.encoder.clone(unroll=2, embed_dim=256, mlp_dim=1024),
        decoder=model.decoder.clone(unroll=2, embed_dim=256, mlp_dim=1024),
    )
    batch = jax.tree.map(jnp.asarray, noise_batch())
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), batch, train=False))

    def forward(params, batch):
        return model.apply(params, batch, train=False)

    ours, theirs = matmul_flops(forward, params, batch), xla_flops(forward, params, batch)
    assert ours == pytest.approx(theirs, rel=0.1)
    assert ours < theirs

    def loss(params, batch):
        return sum(jnp.sum(output.values) for output in forward(params, batch).values())

    # The front end and the first layer need no gradient of their input, so 3 is an upper bound.
    ratio = xla_flops(jax.grad(loss), params, batch) / ours
    assert 2.4 < ratio < 3.3
