"""The step: the same result however the batch is split, padded or composed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from tiny_training import Training, noise_batch

from jasr.objectives.cross_entropy import CrossEntropy
from jasr.objectives.ctc import CTC
from jasr.objectives.objective import Objectives, Terms, Weighted
from jasr.training.balancing.grad_norm import GradNorm
from jasr.training.balancing.pcgrad import PCGrad
from jasr.training.balancing.uncertainty import Uncertainty
from jasr.types import Batch, Padded, Sum


def gradients(training, batch, microbatches=1):
    """Gradients of a step, read off plain gradient descent; and its metrics."""
    state = training.state()
    stepped, metrics = training.step(microbatches)(state, training.place(batch))
    return jax.tree.map(lambda a, b: np.asarray(a - b), state.params, stepped.params), metrics


@pytest.fixture(scope="module")
def training():
    return Training()


@pytest.fixture(scope="module")
def reference():
    return Training(transformation=optax.sgd(1.0))


def assert_close(one, other):
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=jax.tree_util.keystr(path))


@pytest.fixture(scope="module")
def whole(reference):
    return gradients(reference, noise_batch())


def test_four_microbatches_give_the_whole_batch_s_gradient(reference, whole):
    split, metrics = gradients(reference, noise_batch(), microbatches=4)
    assert_close(split, whole[0])
    np.testing.assert_allclose(metrics["loss"], whole[1]["loss"], rtol=1e-5)
    for name, term in metrics["terms"].items():
        np.testing.assert_allclose(term.value, whole[1]["terms"][name].value, rtol=1e-5)
        assert term.count == whole[1]["terms"][name].count


def test_extra_padding_changes_nothing(reference, whole):
    batch = noise_batch()

    def widen(padded, extra):
        return Padded(
            np.pad(padded.values, ((0, 0), (0, extra))), np.pad(padded.mask, ((0, 0), (0, extra)))
        )

    wide = batch.replace(
        audio=widen(batch.audio, 3200), targets={"text": widen(batch.targets["text"], 3)}
    )
    padded, metrics = gradients(reference, wide)
    assert_close(padded, whole[0])
    np.testing.assert_allclose(metrics["loss"], whole[1]["loss"], rtol=1e-5)


def test_an_utterance_counts_the_same_among_any_batch_mates(reference):
    """Two halves' sums are the whole's: no example's term depends on its neighbours."""
    batch = noise_batch()
    halves = [
        jax.tree.map(lambda leaf, rows=rows: leaf[rows], batch) for rows in (np.r_[0:4], np.r_[4:8])
    ]
    _, whole_metrics = gradients(reference, batch)
    parts = [gradients(reference, half)[1]["terms"] for half in halves]
    for name, term in whole_metrics["terms"].items():
        np.testing.assert_allclose(
            parts[0][name].value + parts[1][name].value, term.value, rtol=1e-5
        )
    shuffled = jax.tree.map(lambda leaf: leaf[::-1], batch)
    _, metrics = gradients(reference, shuffled)
    np.testing.assert_allclose(metrics["loss"], whole_metrics["loss"], rtol=1e-5)


def test_a_step_is_a_pure_function_of_state_and_batch(training):
    state, step = training.state(), training.step()
    batch = training.place(noise_batch())
    first, _ = step(state, batch)
    second, _ = step(state, batch)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first, second))
    other, _ = step(training.state(seed=1), batch)
    assert not jax.tree.all(
        jax.tree.map(lambda a, b: bool((a == b).all()), first.params, other.params)
    )


def test_a_non_finite_step_changes_only_the_counters(training):
    state, step = training.state(), training.step()
    batch: Batch = noise_batch()
    poisoned = batch.audio.values.copy()
    poisoned[0, 100] = np.nan
    after, metrics = step(
        state, training.place(batch.replace(audio=batch.audio.replace(values=poisoned)))
    )
    assert not np.isfinite(metrics["loss"])
    assert (int(after.step), int(after.nonfinite)) == (1, 1)
    same = jax.tree.map(
        lambda a, b: bool((a == b).all()),
        (after.params, after.opt_state),
        (state.params, state.opt_state),
    )
    assert jax.tree.all(same)
    healed, _ = step(after, training.place(batch))
    assert (int(healed.step), int(healed.nonfinite)) == (2, 0)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(healed.params))


BALANCERS = {"uncertainty": Uncertainty(), "grad_norm": GradNorm(), "pcgrad": PCGrad()}


@pytest.fixture(scope="module", params=BALANCERS)
def balanced(request):
    return Training(transformation=optax.sgd(1.0), balancer=BALANCERS[request.param])


@dataclasses.dataclass(frozen=True)
class WritesAndForgets:
    """Cross-entropy, against CTC: its gradient pulls against that of CTC alone."""

    def __call__(self, outputs, batch):
        written, spelled = CrossEntropy()(outputs, batch).loss, CTC()(outputs, batch).loss
        return Terms(Sum(written.value - 2 * spelled.value, written.count))


def test_pcgrad_takes_conflict_out_of_a_step():
    terms = {"ctc": Weighted(CTC(), 0.3), "other": Weighted(WritesAndForgets(), 0.7)}

    def flat(names, balancer=None):
        objective = Objectives({name: terms[name] for name in names})
        training = Training(transformation=optax.sgd(1.0), objective=objective, balancer=balancer)
        return ravel_pytree(gradients(training, noise_batch())[0])[0]

    one, other = flat(["ctc"]), flat(["other"])
    product = one @ other
    assert product < 0
    expected = one + other - product * (other / (other @ other) + one / (one @ one))
    found = flat(terms, PCGrad())
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_a_balancer_weighs_whole_gradients(balanced, whole):
    """At their first step, the balancers weigh every term alike, where gradients agree."""
    batch = noise_batch()
    found, metrics = gradients(balanced, batch)
    np.testing.assert_allclose(metrics["loss"], whole[1]["loss"], rtol=1e-5)
    weights = {name: float(weight) for name, weight in metrics["weights"].items()}
    if weights == pytest.approx({"ctc": 0.3, "ce": 0.7}):
        assert_close(found, whole[0])
    else:
        assert isinstance(balanced.balancer, PCGrad)


def test_a_balancer_sees_the_batch_and_not_its_parts(balanced):
    one, whole = gradients(balanced, noise_batch())
    other, split = gradients(balanced, noise_batch(), microbatches=4)
    assert_close(other, one)
    for name, weight in whole["weights"].items():
        np.testing.assert_allclose(split["weights"][name], weight, rtol=1e-3)


def test_a_balancer_s_state_moves_and_a_bad_step_leaves_it(balanced):
    state = balanced.state()
    stepped, _ = balanced.step()(state, balanced.place(noise_batch()))
    before, after = jax.tree.leaves(state.balance), jax.tree.leaves(stepped.balance)
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(moved)
    batch = noise_batch()
    loud = batch.replace(audio=Padded(batch.audio.values * np.inf, batch.audio.mask))
    stuck, _ = balanced.step()(state, balanced.place(loud))
    for a, b in zip(before, jax.tree.leaves(stuck.balance), strict=True):
        np.testing.assert_array_equal(a, b)
