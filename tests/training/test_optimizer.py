"""Optimizers: every algorithm learns; regular expressions reach what they name."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jasr.errors import UserError
from jasr.training.average import Average, average_of
from jasr.training.layer_decay import layer_factors
from jasr.training.optimizer import LearningRate, Optimizer

PARAMS = {
    "encoder": {"kernel": jnp.eye(4) * 0.5, "bias": jnp.ones(4)},
    "head": {"kernel": jnp.full((4, 3), 0.2), "bias": jnp.zeros(3)},
}
AXES = {
    "encoder": {"kernel": PartitionSpec("embed", "mlp"), "bias": PartitionSpec("mlp")},
    "head": {"kernel": PartitionSpec("mlp", "vocab"), "bias": PartitionSpec("vocab")},
}
RATE = LearningRate(peak=0.05, num_steps=100, schedule="constant")


def loss(params):
    x = jnp.linspace(-1, 1, 32).reshape(8, 4)
    hidden = jnp.tanh(x @ params["encoder"]["kernel"] + params["encoder"]["bias"])
    return jnp.mean((hidden @ params["head"]["kernel"] + params["head"]["bias"] - x[:, :3]) ** 2)


def trained(steps=30, **fields):
    optimizer = Optimizer(**({"learning_rate": RATE} | fields)).build(PARAMS, AXES)
    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(steps):
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params


@pytest.mark.parametrize("algorithm", ["adamw", "adafactor", "lion", "muon"])
def test_every_algorithm_learns(algorithm):
    assert loss(trained(algorithm=algorithm)) < 0.5 * loss(PARAMS)


@pytest.mark.parametrize("algorithm", ["adamw", "muon"])
def test_frozen_parameters_stay_and_hold_no_state(algorithm):
    fields = {"frozen": ("^encoder/",), "weight_decay": 0.1, "algorithm": algorithm}
    params = trained(**fields)
    assert jax.tree.all(
        jax.tree.map(lambda a, b: bool((a == b).all()), params["encoder"], PARAMS["encoder"])
    )
    assert not np.array_equal(params["head"]["kernel"], PARAMS["head"]["kernel"])
    state = Optimizer(learning_rate=RATE, **fields).build(PARAMS, AXES).init(PARAMS)
    sizes = [leaf.size for leaf in jax.tree.leaves(state)]
    assert 16 not in sizes


def test_what_would_never_be_unfrozen_is_named():
    with pytest.raises(UserError, match=r"unfreeze: '\^encoder/' is trained from step 100 on, and"):
        trained(unfreeze={"^encoder/": 100})


@pytest.mark.parametrize("fields", [{}, {"frozen": ("bias$",)}])
def test_unfreezing_waits_for_its_step_and_then_trains(fields):
    fields = {"unfreeze": {"^encoder/": 10}, "weight_decay": 0.1, **fields}
    kernel = PARAMS["encoder"]["kernel"]
    before, after = trained(10, **fields), trained(12, **fields)
    np.testing.assert_array_equal(before["encoder"]["kernel"], kernel)
    assert not np.array_equal(before["head"]["kernel"], PARAMS["head"]["kernel"])
    assert not np.any(after["encoder"]["kernel"] == kernel)


STACK = {
    "encoder": {"layers": {"kernel": jnp.ones((3, 2, 2)), "bias": jnp.ones((3, 2))}},
    "head": {"kernel": jnp.ones((2, 2))},
}


def updates_of(steps, **fields):
    """Of each step, where all gradients are one."""
    axes = jax.tree.map(lambda _: PartitionSpec(None), STACK)
    optimizer = Optimizer(learning_rate=RATE, **fields).build(STACK, axes)
    state, found = optimizer.init(STACK), []
    for _ in range(steps):
        updates, state = optimizer.update(STACK, state, STACK)
        found.append(updates)
    return found


def test_layers_are_unfrozen_one_after_the_other():
    found = updates_of(5, unfreeze={"^encoder/layers/": (4, 2, 0)})
    for step, updates in enumerate(found):
        assert np.all(updates["head"]["kernel"] != 0)
        for name in ("kernel", "bias"):
            moved = [bool(np.all(layer != 0)) for layer in updates["encoder"]["layers"][name]]
            assert moved == [step >= 4, step >= 2, True]


def test_layers_have_rates_of_their_own():
    (plain,), (scaled,) = updates_of(1), updates_of(1, multipliers={"/layers/": (0.0, 0.5, 2.0)})
    ratio = scaled["encoder"]["layers"]["kernel"] / plain["encoder"]["layers"]["kernel"]
    np.testing.assert_allclose(ratio[:, 0, 0], [0.0, 0.5, 2.0])
    np.testing.assert_array_equal(scaled["head"]["kernel"], plain["head"]["kernel"])


@pytest.mark.parametrize("pattern", ["^head/", "^encoder/"])
def test_numbers_of_other_layers_are_refused(pattern):
    with pytest.raises(UserError, match="as many as its stack has layers"):
        updates_of(1, unfreeze={pattern: (4, 0)})


def test_layer_decay_falls_from_the_top_of_each_stack():
    params = {
        "encoder": {
            "stem": {"kernel": jnp.ones((2, 2))},
            "layers": {"mlp": {"kernel": jnp.ones((3, 2, 2))}},
            "final_norm": {"scale": jnp.ones(2)},
        },
        "mask_embedding": {"vector": jnp.ones(2)},
        "token_embedding": {"kernel": jnp.ones(2)},
        "ctc_head": {"kernel": jnp.ones((2, 4))},
    }
    factors = layer_factors(params, 0.5)
    np.testing.assert_allclose(
        factors["encoder"]["layers"]["mlp"]["kernel"].ravel(), [0.125, 0.25, 0.5]
    )
    assert factors["encoder"]["stem"]["kernel"] == 0.5**4
    assert factors["mask_embedding"]["vector"] == 0.5**4
    assert factors["encoder"]["final_norm"]["scale"] == 1.0
    assert factors["token_embedding"]["kernel"] == factors["ctc_head"]["kernel"] == 1.0


def test_layer_decay_reaches_low_rank_changes_where_they_change():
    """They are named after what they change, with dots."""
    params = {"encoder.layers.query.kernel.down": jnp.ones((3, 2, 2)), "new": {"head": jnp.ones(2)}}
    factors = layer_factors(params, 0.5)
    np.testing.assert_allclose(
        factors["encoder.layers.query.kernel.down"].ravel(), [0.125, 0.25, 0.5]
    )
    assert factors["new"]["head"] == 1.0


def test_layer_decay_reaches_the_updates():
    params = {"encoder": {"layers": {"kernel": jnp.ones((2, 3))}}, "head": {"kernel": jnp.ones(3)}}
    axes = jax.tree.map(lambda _: PartitionSpec(None), params)
    optimizer = Optimizer(learning_rate=RATE, layer_decay=0.5).build(params, axes)
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    head = updates["head"]["kernel"][0]
    np.testing.assert_allclose(updates["encoder"]["layers"]["kernel"][:, 0] / head, [0.25, 0.5])


def test_a_group_has_an_optimizer_of_its_own():
    other = Optimizer(learning_rate=LearningRate(0.5, 100, schedule="constant"), algorithm="lion")
    plain, grouped = trained(steps=1), trained(steps=1, groups={"^head/": other})
    kernel = PARAMS["encoder"]["kernel"]
    # Adam's first step is of one size, whatever norm the gradient was clipped by.
    np.testing.assert_allclose(plain["encoder"]["kernel"], grouped["encoder"]["kernel"], atol=1e-6)
    assert not np.array_equal(plain["encoder"]["kernel"], kernel)
    moved = np.abs(grouped["head"]["kernel"] - PARAMS["head"]["kernel"])
    # Lion moves every parameter by the learning rate.
    np.testing.assert_allclose(moved, 0.5, rtol=1e-4)
    with pytest.raises(UserError, match="matches no parameter"):
        trained(steps=1, groups={"^nowhere/": other})


def test_the_average_follows_the_parameters():
    average = Average(decay=0.5, final_decay=1.0, decay_steps=2)
    optimizer = Optimizer(learning_rate=RATE, average=average).build(PARAMS, AXES)
    params, state = PARAMS, optimizer.init(PARAMS)
    expected = np.asarray(params["head"]["kernel"])
    for decay in (0.5, 0.75, 1.0, 1.0):
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = jax.tree.map(jnp.add, params, updates)
        expected = decay * expected + (1 - decay) * np.asarray(params["head"]["kernel"])
        found = average_of(state)["head"]["kernel"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_multipliers_scale_the_first_match_s_learning_rate():
    plain, doubled = trained(steps=1), trained(steps=1, multipliers={"head": 2.0, "kernel": 5.0})
    step = plain["head"]["kernel"] - PARAMS["head"]["kernel"]
    np.testing.assert_allclose(
        doubled["head"]["kernel"] - PARAMS["head"]["kernel"], 2 * step, rtol=1e-5
    )
    step = plain["encoder"]["kernel"] - PARAMS["encoder"]["kernel"]
    np.testing.assert_allclose(
        doubled["encoder"]["kernel"] - PARAMS["encoder"]["kernel"], 5 * step, rtol=1e-5
    )


def test_weight_decay_spares_what_it_is_told_to():
    fields = {"weight_decay": 0.5, "no_weight_decay": ("bias$",)}
    plain, decayed = trained(steps=1), trained(steps=1, **fields)
    np.testing.assert_allclose(
        plain["encoder"]["kernel"] - decayed["encoder"]["kernel"],
        RATE.peak * 0.5 * PARAMS["encoder"]["kernel"],
        rtol=1e-4,
        atol=1e-7,
    )
    np.testing.assert_array_equal(plain["encoder"]["bias"], decayed["encoder"]["bias"])


def test_gradients_are_clipped_by_their_global_norm():
    optimizer = Optimizer(learning_rate=RATE, clip_norm=1.0).build(PARAMS, AXES)
    huge = jax.tree.map(lambda leaf: 1e6 * jnp.ones_like(leaf), PARAMS)
    small = jax.tree.map(lambda leaf: leaf / 1e4, huge)
    updates = [
        optimizer.update(gradients, optimizer.init(PARAMS), PARAMS)[1]
        for gradients in (huge, small)
    ]
    moments = [jax.tree.leaves(state)[1] for state in updates]
    assert float(jnp.max(jnp.abs(moments[0]))) < 1.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frozen": ("encodr",)}, "'encodr' matches no parameter"),
        ({"multipliers": {"hed": 2.0}}, "'hed' matches no parameter"),
        ({"no_weight_decay": ("(",)}, "not a regular expression"),
        ({"algorithm": "adam"}, "did you mean 'adamw'"),
    ],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        Optimizer(learning_rate=RATE, **fields).build(PARAMS, AXES)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "inverse_sqrt", "constant"])
def test_schedules_warm_up_then_decay(schedule):
    rate = LearningRate(
        peak=2.0, num_steps=100, schedule=schedule, warmup_steps=10, final_fraction=0.1
    )
    values = [float(rate(step)) for step in range(101)]
    assert values[0] == 0
    assert values[5] == pytest.approx(1.0)
    assert values[10] == pytest.approx(2.0)
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(values[10:]))
    expected = {"cosine": 0.2, "linear": 0.2, "constant": 2.0, "inverse_sqrt": 2.0 * 0.1**0.5}
    assert values[100] == pytest.approx(expected[schedule], rel=1e-3)
