"""Objectives: parity with PyTorch, guards, and denominators that only the batch decides."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jasr.errors import UserError
from jasr.objectives.chunked_cross_entropy import ChunkedCrossEntropy
from jasr.objectives.cross_entropy import CrossEntropy
from jasr.objectives.ctc import CTC
from jasr.objectives.objective import Objectives, Weighted
from jasr.types import Batch, Factored, Padded

STEP = jnp.asarray(3)
FRAMES, TOKENS, VOCAB = 12, 4, 7
LENGTHS = np.array([[12, 4], [9, 3], [7, 2], [12, 0]])


def padded(values, lengths):
    mask = np.arange(values.shape[1])[None] < np.asarray(lengths)[:, None]
    return Padded(values=jnp.asarray(values), mask=jnp.asarray(mask))


@pytest.fixture
def batch_and_logits():
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, VOCAB, (4, TOKENS)).astype(np.int32)
    tokens[0] = [3, 3, 4, 5]
    batch = Batch(
        audio=padded(np.zeros((4, 16), np.float32), [16] * 4),
        targets={"text": padded(tokens, LENGTHS[:, 1])},
        example_mask=jnp.array([True, True, True, False]),
        example_ids=jnp.arange(4, dtype=jnp.uint32),
    )
    ctc = padded(rng.normal(size=(4, FRAMES, VOCAB)).astype(np.float32), LENGTHS[:, 0])
    decoder = padded(rng.normal(size=(4, TOKENS + 1, VOCAB)).astype(np.float32), LENGTHS[:, 1] + 1)
    return batch, {"ctc": ctc, "decoder": decoder}


def test_ctc_and_its_gradient_equal_pytorch(batch_and_logits):
    batch, outputs = batch_and_logits

    def ours(values):
        terms = CTC()({"ctc": outputs["ctc"].replace(values=values)}, batch)
        return terms.loss.value, terms.loss.count

    (value, count), gradient = jax.value_and_grad(ours, has_aux=True)(outputs["ctc"].values)
    logits = torch.tensor(np.asarray(outputs["ctc"].values[:3]), requires_grad=True)
    theirs = torch.nn.functional.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        torch.tensor(np.asarray(batch.targets["text"].values[:3])).long(),
        torch.tensor(LENGTHS[:3, 0]),
        torch.tensor(LENGTHS[:3, 1]),
        reduction="sum",
    )
    theirs.backward()
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient[:3], logits.grad.numpy(), atol=1e-5)
    assert not np.asarray(gradient[3]).any()
    assert count == 9


def test_an_infeasible_target_is_left_out_and_counted(batch_and_logits):
    batch, outputs = batch_and_logits
    short = padded(np.asarray(outputs["ctc"].values), [4, 9, 7, 12])

    def loss(values):
        return CTC()({"ctc": short.replace(values=values)}, batch).loss.value

    terms = CTC()({"ctc": short}, batch)
    # Row 0 is "3 3 4 5": four tokens and one forced blank do not fit four frames.
    assert terms.metrics["infeasible"].value == 1
    assert terms.metrics["infeasible"].count == 3
    assert terms.loss.count == 5
    assert terms.loss.value < 100
    gradient = jax.grad(loss)(short.values)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient[0]).any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_pytorch(batch_and_logits, smoothing):
    batch, outputs = batch_and_logits
    terms = CrossEntropy(label_smoothing=smoothing)(outputs, batch)
    labels = np.full((3, TOKENS + 1), -100)
    for row, length in enumerate(LENGTHS[:3, 1]):
        labels[row, :length] = np.asarray(batch.targets["text"].values)[row, :length]
        labels[row, length] = 2
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(np.asarray(outputs["decoder"].values[:3])).reshape(-1, VOCAB),
        torch.tensor(labels).reshape(-1),
        label_smoothing=smoothing,
        reduction="sum",
    )
    np.testing.assert_allclose(terms.loss.value, theirs.item(), rtol=1e-5)
    assert terms.loss.count == (LENGTHS[:3, 1] + 1).sum()


@pytest.mark.parametrize("tokens_at_once", [1, 2, 5, 100])
def test_chunked_cross_entropy_equals_the_whole_and_so_does_its_gradient(
    batch_and_logits, tokens_at_once
):
    batch, _ = batch_and_logits
    rng = np.random.default_rng(1)
    states = padded(rng.normal(size=(4, TOKENS + 1, 8)).astype(np.float32), LENGTHS[:, 1] + 1)
    vocabulary = jnp.asarray(rng.normal(size=(VOCAB, 8)), jnp.float32)

    def whole(x, v):
        outputs = {"decoder": states.replace(values=x @ v.T)}
        terms = CrossEntropy(label_smoothing=0.1)(outputs, batch)
        return terms.loss.value, terms

    def chunked(x, v):
        outputs = {"decoder_factors": Factored(x, states.mask, v)}
        objective = ChunkedCrossEntropy(label_smoothing=0.1, tokens_at_once=tokens_at_once)
        terms = objective(outputs, batch)
        return terms.loss.value, terms

    results = [
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(states.values, vocabulary)
        for loss in (whole, chunked)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), *results)


def test_extra_padding_and_filler_rows_change_nothing(batch_and_logits):
    batch, outputs = batch_and_logits

    def widen(padded_values, extra):
        spare = [(0, 1), (0, extra)] + [(0, 0)] * (padded_values.values.ndim - 2)
        return Padded(
            values=jnp.pad(padded_values.values, spare, constant_values=5),
            mask=jnp.pad(padded_values.mask, spare[:2]),
        )

    wide_batch = Batch(
        audio=widen(batch.audio, 8),
        targets={"text": widen(batch.targets["text"], 3)},
        example_mask=jnp.pad(batch.example_mask, (0, 1)),
        example_ids=jnp.pad(batch.example_ids, (0, 1)),
    )
    wide = {"ctc": widen(outputs["ctc"], 5), "decoder": widen(outputs["decoder"], 3)}
    objective = Objectives({"ctc": Weighted(CTC()), "ce": Weighted(CrossEntropy(), 0.5)})
    narrow_sums = objective.sums(outputs, batch, STEP)
    for name, wide_sum in objective.sums(wide, wide_batch, STEP).items():
        np.testing.assert_allclose(wide_sum.value, narrow_sums[name].value, rtol=1e-5)
        assert wide_sum.count == narrow_sums[name].count


def test_the_total_weighs_and_divides_once(batch_and_logits):
    batch, outputs = batch_and_logits
    objective = Objectives(
        {"ctc": Weighted(CTC(), lambda step: 0.1 * step), "ce": Weighted(CrossEntropy(), 0.7)}
    )
    sums = objective.sums(outputs, batch, STEP)
    weights = objective.weights(STEP)
    total = objective.losses(sums, {name: s.count for name, s in sums.items()}, weights).sum()
    expected = 0.3 * sums["ctc"].mean() + 0.7 * sums["ce"].mean()
    np.testing.assert_allclose(total, expected, rtol=1e-6)


@pytest.mark.parametrize("objective", [CrossEntropy(), CTC()])
def test_a_task_s_term_is_what_its_rows_alone_would_give(objective, batch_and_logits):
    batch, outputs = batch_and_logits
    tasks = padded(np.array([[0], [1], [0], [1]], np.int32), [1] * 4)
    mixed = dataclasses.replace(batch, targets={**batch.targets, "task": tasks})
    term = Objectives({"term": Weighted(objective, task=1)})
    found = term.sums(outputs, mixed, STEP)
    # Of the two rows of task 1 the other is filler.
    row, its_outputs = jax.tree.map(lambda leaf: leaf[1:2], (batch, outputs))
    for name, expected in (
        Objectives({"term": Weighted(objective)}).sums(its_outputs, row, STEP).items()
    ):
        np.testing.assert_allclose(found[name].value, expected.value, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(found[name].count, expected.count, err_msg=name)

    def total(outputs):
        return term.sums(outputs, mixed, STEP)["term"].value

    for name, gradient in jax.grad(total, allow_int=True)(outputs).items():
        others = np.asarray(gradient.values)[[0, 2, 3]]
        assert not others.any(), name
    none = padded(np.zeros((4, 1), np.int32), [1] * 4)
    mixed = dataclasses.replace(batch, targets={**batch.targets, "task": none})
    assert term.sums(outputs, mixed, STEP)["term"].count == 0


def test_a_missing_target_is_named(batch_and_logits):
    batch, outputs = batch_and_logits
    with pytest.raises(
        UserError, match="reads the target 'transcripts', but these batches have text"
    ):
        CTC(target="transcripts")(outputs, batch)


def test_a_missing_output_is_named(batch_and_logits):
    batch, outputs = batch_and_logits
    with pytest.raises(UserError, match=r"reads the model output 'ctc'.*gives decoder"):
        CTC()({"decoder": outputs["decoder"]}, batch)
