"""What is learned from a teacher: parity, denominators, and nothing to learn from an equal."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jasr.errors import UserError
from jasr.experiment.objective import build_objective
from jasr.objectives.distillation.attention_maps import AttentionMaps
from jasr.objectives.distillation.codebook_prediction import CodebookPrediction
from jasr.objectives.distillation.ctc_frames import CTCFrameDistillation
from jasr.objectives.distillation.ctc_paths import CTCPathDistillation
from jasr.objectives.distillation.decoder import DecoderDistillation
from jasr.objectives.distillation.frame_relations import FrameRelations
from jasr.objectives.distillation.hidden_states import HiddenStates
from jasr.objectives.objective import Objectives, Weighted
from jasr.types import Batch, Padded

T, L, V = 5, 2, 4
FRAMES, TOKENS = np.array([5, 4, 0]), np.array([2, 1, 0])
OBJECTIVES = {
    "decoder": DecoderDistillation(temperature=2.0),
    "frames": CTCFrameDistillation(temperature=2.0, blank_threshold=0.4, max_shift=1),
    "paths": CTCPathDistillation(),
    "squared": HiddenStates(),
    "cosine": HiddenStates("cosine"),
    "relations": FrameRelations(),
    "attention": AttentionMaps(),
    "codebook": CodebookPrediction(),
}
# What a student gives, and what a teacher would give in its place.
PAIRS = {
    "ctc": "teacher/ctc",
    "decoder": "teacher/decoder",
    "student/projected": "teacher/states",
    "student/states": "teacher/states",
    "student/attention": "teacher/attention",
}


def padded(values, lengths):
    mask = np.arange(values.shape[1]) < lengths[:, None]
    return Padded(jnp.asarray(values), jnp.asarray(mask))


def make(extra=0):
    """Three rows, the last of them filler; `extra` places and garbage in them more."""
    rng = np.random.default_rng(0)

    def draw(lengths, *shape, seed):
        values = np.random.default_rng(seed).normal(size=(3, lengths.max(), *shape))
        spare = rng.normal(size=(3, extra, *shape)) * 9
        return padded(np.concatenate([values, spare], axis=1).astype(np.float32), lengths)

    frames = FRAMES + 0
    attention = {}
    for seed, name in ((6, "student/attention"), (7, "teacher/attention")):
        logits = np.random.default_rng(seed).normal(size=(3, T, 2, T))
        real = np.arange(T) < np.maximum(FRAMES, 1)[:, None, None, None]
        logits = np.where(real, logits, -99)
        weights = np.asarray(jax.nn.softmax(logits, axis=-1))
        spare = [(0, 0), (0, extra), (0, 0), (0, extra)]
        attention[name] = padded(np.pad(weights, spare).astype(np.float32), frames)
    outputs = {
        "ctc": draw(frames, V, seed=1),
        "teacher/ctc": draw(frames, V, seed=2),
        "decoder": draw(np.where(TOKENS > 0, TOKENS + 1, 0), V, seed=3),
        "teacher/decoder": draw(np.where(TOKENS > 0, TOKENS + 1, 0), V, seed=4),
        "student/states": draw(frames, 2, 3, seed=5),
        "student/projected": draw(frames, 2, 6, seed=8),
        "teacher/states": draw(frames, 2, 6, seed=9),
        **attention,
        "codebook/logits": draw(frames, 2, 3, seed=10),
    }
    codes = np.random.default_rng(11).integers(0, 3, (3, T, 2))
    codes = np.pad(codes, [(0, 0), (0, extra), (0, 0)])
    outputs["codebook/codes"] = padded(codes.astype(np.int32), frames)
    text = np.pad(np.array([[1, 2], [3, 1], [2, 2]], np.int32), [(0, 0), (0, extra)])
    batch = Batch(
        audio=padded(np.zeros((3, 8 + extra), np.float32), np.array([8, 8, 0])),
        targets={"text": padded(text, TOKENS)},
        example_mask=jnp.array([True, True, False]),
        example_ids=jnp.arange(3, dtype=jnp.uint32),
    )
    return outputs, batch


def loss_of(objective, outputs, batch):
    loss = objective(outputs, batch).loss
    return float(loss.value), float(loss.count)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_padding_and_filler_rows_change_neither_value_nor_count(name):
    value, count = loss_of(OBJECTIVES[name], *make())
    wide_value, wide_count = loss_of(OBJECTIVES[name], *make(extra=3))
    np.testing.assert_allclose(wide_value, value, rtol=1e-5)
    per_code = 2 if name == "codebook" else 1
    expected = {"decoder": 3 + 2, "paths": 2 + 1}.get(name, per_code * FRAMES.sum())
    assert count == wide_count == expected


@pytest.mark.parametrize("name", OBJECTIVES)
def test_terms_of_two_halves_add_up(name):
    outputs, batch = make()
    rows = [jax.tree.map(lambda x, r=r: x[r : r + 1], (outputs, batch)) for r in range(3)]
    halves = [loss_of(OBJECTIVES[name], *row) for row in rows]
    whole = loss_of(OBJECTIVES[name], outputs, batch)
    np.testing.assert_allclose(np.sum(halves, axis=0), whole, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in ("paths", "codebook")])
def test_from_an_equal_nothing_is_learned(name):
    outputs, batch = make()
    objective = OBJECTIVES[name]
    if name == "squared":
        mean, deviation = (
            f(outputs["teacher/states"].values, axis=-1, keepdims=True) for f in (jnp.mean, jnp.std)
        )
        scaled = (outputs["teacher/states"].values - mean) / (deviation + 1e-5)
        equal = outputs | {"student/projected": outputs["teacher/states"].replace(values=scaled)}
    else:
        equal = outputs | {student: outputs[teacher] for student, teacher in PAIRS.items()}

    def value(values, key):
        changed = equal | {key: equal[key].replace(values=values)}
        return objective(changed, batch).loss.value

    for key in PAIRS:
        loss, gradient = jax.value_and_grad(value)(equal[key].values, key)
        np.testing.assert_allclose(loss, 0, atol=1e-5)
        if name != "attention":  # whose weights add up to one, and are not free to follow theirs
            np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_the_divergence_is_pytorchs():
    outputs, batch = make()
    value, _ = loss_of(DecoderDistillation(temperature=3.0), outputs, batch)
    student, teacher = (
        torch.tensor(np.asarray(outputs[name].values)) / 3
        for name in ("decoder", "teacher/decoder")
    )
    divergence = torch.nn.functional.kl_div(
        student.log_softmax(-1), teacher.log_softmax(-1), log_target=True, reduction="none"
    ).sum(-1)
    real = np.asarray(outputs["decoder"].mask)
    np.testing.assert_allclose(value, 9 * divergence.numpy()[real].sum(), rtol=1e-5)


def test_paths_are_all_paths_of_the_text():
    """Against every path written out: KL(p(path | text) || q(path))."""
    outputs, batch = make()
    value, _ = loss_of(CTCPathDistillation(), outputs, batch)
    expected = 0.0
    for row, text in ((0, (1, 2)), (1, (3,))):
        log_p, log_q = (
            np.asarray(jax.nn.log_softmax(outputs[name].values[row, : FRAMES[row]]))
            for name in ("teacher/ctc", "ctc")
        )
        frames = np.arange(FRAMES[row])
        paths = [
            path
            for path in itertools.product(range(V), repeat=FRAMES[row])
            if tuple(unit for unit, _ in itertools.groupby(path) if unit) == text
        ]
        of_teacher = np.array([log_p[frames, path].sum() for path in paths])
        of_student = np.array([log_q[frames, path].sum() for path in paths])
        given_text = of_teacher - np.logaddexp.reduce(of_teacher)
        expected += np.sum(np.exp(given_text) * (given_text - of_student))
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_a_student_that_is_a_frame_late_may_be():
    outputs, batch = jax.tree.map(lambda x: x[:1], make())
    spoken = outputs["teacher/ctc"].values
    # What it says in the last frame, a student that is late has no time left to say.
    silence = jnp.array([9.0, 0, 0, 0])
    teacher = outputs["teacher/ctc"].replace(values=spoken.at[:, -1].set(silence))
    late = outputs["ctc"].replace(values=jnp.roll(spoken, 1, axis=1))
    given = {"ctc": late, "teacher/ctc": teacher}
    moved = loss_of(CTCFrameDistillation(blank_threshold=0.9, max_shift=1), given, batch)[0]
    still = loss_of(CTCFrameDistillation(blank_threshold=0.9), given, batch)[0]
    assert moved == pytest.approx(0, abs=1e-5)
    assert still > 0.1


def test_frames_in_which_the_teacher_is_silent_can_be_left_out():
    outputs, batch = make()
    silent = outputs["teacher/ctc"].replace(
        values=jnp.zeros((3, T, V)).at[..., 0].set(20.0).at[0, 2].set(jnp.array([0, 5.0, 0, 0]))
    )
    given = outputs | {"teacher/ctc": silent}
    terms = CTCFrameDistillation(blank_threshold=0.9)(given, batch)
    assert float(terms.metrics["weighed"].value) == 1
    assert float(terms.loss.count) == FRAMES.sum()
    values = outputs["ctc"].values.at[0, 2].set(silent.values[0, 2])
    right_there = given | {"ctc": outputs["ctc"].replace(values=values)}
    value, _ = loss_of(CTCFrameDistillation(blank_threshold=0.9), right_there, batch)
    assert value == pytest.approx(0, abs=1e-6)


def test_relations_are_cosines_between_frames():
    outputs, batch = make()
    value, _ = loss_of(FrameRelations(), outputs, batch)
    expected = 0.0
    for row, frames in enumerate(FRAMES[:2]):
        for pair in range(2):
            cosines = []
            for name in ("student/states", "teacher/states"):
                states = np.asarray(outputs[name].values[row, :frames, pair])
                states = states / np.linalg.norm(states, axis=-1, keepdims=True)
                cosines.append(states @ states.T)
            expected += np.sum((cosines[0] - cosines[1]) ** 2) / frames / 2
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_a_temperature_can_follow_a_schedule():
    outputs, batch = make()
    section = {"name": "linear", "init_value": 4.0, "end_value": 1.0, "transition_steps": 6}
    objective = build_objective({"kd": {"name": "decoder_distillation", "temperature": section}})
    for step, temperature in ((0, 4.0), (4, 2.0), (9, 1.0)):
        sums = jax.jit(objective.sums)(outputs, batch, jnp.asarray(step))
        fixed = DecoderDistillation(temperature=temperature)(outputs, batch)
        np.testing.assert_allclose(sums["kd"].value, fixed.loss.value, rtol=1e-5)


def test_ratios_of_terms_do_not_depend_on_how_a_batch_is_split():
    """The weighted total is one number, from the whole or from parts summed first."""
    outputs, batch = make()
    objective = Objectives({name: Weighted(term, 0.5) for name, term in OBJECTIVES.items()})
    step = jnp.asarray(0)

    def total(parts):
        found = [objective.sums(*part, step) for part in parts]
        sums = {name: sum((one[name] for one in found[1:]), found[0][name]) for name in found[0]}
        counts = {name: part.count for name, part in sums.items()}
        return objective.losses(sums, counts, objective.weights(step))

    rows = [jax.tree.map(lambda x, r=r: x[r : r + 1], (outputs, batch)) for r in range(3)]
    np.testing.assert_allclose(total(rows), total([make(extra=4)]), rtol=1e-5)


def test_what_does_not_fit_is_named():
    outputs, batch = make()
    narrow = outputs | {"teacher/ctc": jax.tree.map(lambda x: x[:, :3], outputs["teacher/ctc"])}
    with pytest.raises(UserError, match="a stem of the same stride"):
        CTCFrameDistillation()(narrow, batch)
    with pytest.raises(UserError, match="temperature is 0"):
        DecoderDistillation(temperature=0.0)
    with pytest.raises(UserError, match="there is no 'euclidean'"):
        HiddenStates("euclidean")(outputs, batch)
    del outputs["teacher/decoder"]
    with pytest.raises(UserError, match="reads the model output 'teacher/decoder'"):
        DecoderDistillation()(outputs, batch)


def test_a_row_without_a_text_teaches_no_end():
    outputs, batch = make()
    nobody = jax.tree.map(jnp.zeros_like, batch.targets)
    terms = DecoderDistillation()(outputs, dataclasses.replace(batch, targets=nobody))
    assert float(terms.loss.count) == float(terms.loss.value) == 0
    assert optax.tree.norm(terms.metrics) == 0
