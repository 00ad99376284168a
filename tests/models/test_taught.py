"""A student beside its teachers: whose outputs are whose, and where gradients go."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict
from tiny_models import SIZES, Frames, draw, make_batch, make_recognizer, quick_jit, shapes

from jasr.audio.add_noise import AddNoise
from jasr.audio.log_mel import LogMel
from jasr.audio.raw_waveform import RawWaveform
from jasr.errors import UserError
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.distillation.taught import Taught, uniform_pairs
from jasr.models.distillation.teacher import (
    ListeningTeacher,
    RecognizingTeacher,
    Wanted,
    at_same_times,
    mixed,
)
from jasr.models.pretraining.clusters import Cepstra, Clusters
from jasr.models.pretraining.units import Units
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.types import Padded

BATCH = make_batch([64, 40, 64, 24], [3, 2, 1, 3])
STEM = {"stem": "conv1d_4x", "position": "rotary"}
STUDENT = make_recognizer(encoder=STEM)
# Wider and deeper than the student.
LARGE = {"num_layers": 4, "embed_dim": 24, "num_heads": 2, "mlp_dim": 32}
TEACHER = STUDENT.clone(
    encoder=TransformerEncoder(**LARGE, **STEM), decoder=TransformerDecoder(**LARGE)
)


def taught(teachers=(TEACHER,), **fields):
    defaults = {"weights": (1.0,) * len(teachers), "pairs": ((1, 2), (2, 4))}
    defaults |= {"attention": True, "projects": True}
    kinds = tuple(RecognizingTeacher(teacher) for teacher in teachers)
    return Taught(STUDENT, kinds, **(defaults | fields))


def with_teachers(model, *params):
    drawn = draw(model, BATCH)["params"]
    return {"params": drawn, "teacher": {str(n): one for n, one in enumerate(params)}}


def run(model, variables, batch=BATCH, **how):
    return quick_jit(functools.partial(model.apply, **({"train": False} | how)))(variables, batch)


@pytest.fixture(scope="module")
def teacher_params():
    return draw(TEACHER, BATCH)["params"]


@pytest.fixture(scope="module")
def variables(teacher_params):
    return with_teachers(taught(), teacher_params)


@pytest.fixture(scope="module")
def outputs(variables):
    return run(taught(), variables)


def test_the_student_s_parameters_are_those_it_has_alone(variables):
    alone = flatten_dict(nn.unbox(shapes(STUDENT, BATCH))["params"], sep="/")
    here = flatten_dict(variables["params"], sep="/")
    assert {path for path in here if path not in alone} == {
        f"matching/layer_{pair}/{part}" for pair in (0, 1) for part in ("kernel", "bias")
    }
    assert all(here[path].shape == leaf.shape for path, leaf in alone.items())


def test_each_says_what_it_says_alone(outputs, variables, teacher_params):
    alone = run(STUDENT, {"params": variables["params"]})
    teacher = run(TEACHER, {"params": teacher_params})
    for name in ("ctc", "decoder"):
        real = np.asarray(alone[name].mask)
        np.testing.assert_allclose(
            np.asarray(outputs[name].values)[real], np.asarray(alone[name].values)[real], atol=1e-5
        )
        np.testing.assert_allclose(
            np.asarray(outputs[f"teacher/{name}"].values)[real],
            np.asarray(jax.nn.log_softmax(teacher[name].values))[real],
            atol=1e-5,
        )


def test_the_teacher_hears_no_noise_that_is_the_student_s(variables):
    loud = taught().clone(student=STUDENT.clone(noise=AddNoise(1.0, (-10.0, -10.0))))
    how = {"train": True, "rngs": {"augment": jax.random.key(0)}}
    # Not compiled as a whole: in two programs the same sums may be rounded in two ways.
    clean, noisy = (model.apply(variables, BATCH, **how) for model in (taught(), loud))
    for name in ("teacher/ctc", "teacher/states"):
        np.testing.assert_array_equal(noisy[name].values, clean[name].values)
    assert np.abs(noisy["ctc"].values - clean["ctc"].values).max() > 0.1


def test_layers_are_those_that_are_matched(outputs, teacher_params):
    _, seen = TEACHER.apply(
        {"params": teacher_params}, BATCH, train=False, mutable=["intermediates", "attention"]
    )
    layers = seen["intermediates"]["encoder"]["layers"]["output"][0]
    found = outputs["teacher/states"]
    real = np.asarray(found.mask)
    for pair, layer in enumerate((1, 3)):
        np.testing.assert_allclose(found.values[:, :, pair][real], layers[layer][real], atol=1e-5)
    maps = outputs["teacher/attention"]
    assert maps.values.shape == (4, 16, 2, 16)
    np.testing.assert_allclose(np.asarray(maps.values.sum(-1))[np.asarray(maps.mask)], 1, atol=1e-5)
    assert outputs["student/states"].values.shape == (4, 16, 2, 16)
    assert outputs["student/projected"].values.shape == (4, 16, 2, 24)


def test_nothing_is_learned_by_the_teacher(variables):
    model = taught()

    def total(variables):
        outputs = model.apply(variables, BATCH, train=False)
        return sum(
            jnp.sum(value.values**2) for name, value in outputs.items() if "teacher/" in name
        )

    gradients = quick_jit(jax.grad(total))(variables)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("parts", [2, 4])
def test_in_parts_it_is_the_same(parts, outputs, variables):
    in_parts = run(taught(parts=parts), variables)
    for name, value in outputs.items():
        if name.startswith("teacher/"):
            np.testing.assert_allclose(in_parts[name].values, value.values, atol=2e-5)


def test_several_teach_the_weighted_mean_of_their_probabilities(teacher_params):
    other = jax.tree.map(lambda leaf: leaf * 0.5, teacher_params)
    model = taught((TEACHER, TEACHER), weights=(3.0, 1.0))
    found = run(model, with_teachers(model, teacher_params, other))["teacher/ctc"]
    each = [
        jax.nn.softmax(run(TEACHER, {"params": params})["ctc"].values)
        for params in (teacher_params, other)
    ]
    real = np.asarray(found.mask)
    np.testing.assert_allclose(
        np.exp(found.values)[real], np.asarray(0.75 * each[0] + 0.25 * each[1])[real], atol=1e-5
    )


def test_words_are_of_the_teachers_that_have_words(teacher_params):
    listener = ListeningTeacher(Frames(), TEACHER.encoder)
    kinds = (listener, RecognizingTeacher(TEACHER))
    model = Taught(STUDENT, kinds, weights=(1.0, 2.0), pairs=((2, 4),))
    other = jax.tree.map(lambda leaf: leaf * 0.5, teacher_params)
    found = run(model, with_teachers(model, teacher_params, other))
    alone = run(TEACHER, {"params": other})["ctc"]
    real = np.asarray(alone.mask)
    np.testing.assert_allclose(
        np.asarray(found["teacher/ctc"].values)[real],
        np.asarray(jax.nn.log_softmax(alone.values))[real],
        atol=1e-5,
    )
    states = listener.teach(teacher_params, BATCH, Wanted((4,))).states
    np.testing.assert_allclose(found["teacher/states"].values[real], states.values[real], atol=1e-5)


def test_layers_that_nothing_matches_are_not_looked_at(teacher_params):
    model = taught(pairs=(), projects=False, attention=False)
    outputs = run(model, with_teachers(model, teacher_params))
    assert {name for name in outputs if "/" in name} == {"teacher/ctc", "teacher/decoder"}


def test_a_mean_of_certain_teachers_is_finite():
    certain = jnp.array([[[200.0, 0.0]]]), jnp.array([[[0.0, 200.0]]])
    np.testing.assert_allclose(mixed(certain, (1.0, 1.0)), np.log([[[0.5, 0.5]]]), atol=1e-6)


def test_a_shared_encoder_is_gone_through_once():
    """The teacher's decoder reads the student's frames; parameters of an encoder it has none."""
    model = taught((STUDENT,), pairs=((1, 1),), attention=False, shares_encoder=True)
    variables = with_teachers(model, {})
    params = variables["params"]
    decoder = {name: part for name, part in params.items() if name not in ("encoder", "matching")}
    other = jax.tree.map(lambda leaf: leaf * 0.5, decoder)
    outputs = run(model, {"params": params, "teacher": {"0": other}})
    alone = run(STUDENT, {"params": {**other, "encoder": params["encoder"]}})
    for name in ("ctc", "decoder"):
        real = np.asarray(alone[name].mask)
        np.testing.assert_allclose(
            np.asarray(outputs[f"teacher/{name}"].values)[real],
            np.asarray(jax.nn.log_softmax(alone[name].values))[real],
            atol=1e-5,
        )
    assert "teacher/states" not in outputs


def test_without_a_teacher_the_average_teaches():
    model = taught((STUDENT,), pairs=((2, 2),), attention=False)
    params = with_teachers(model)["params"]
    average = jax.tree.map(lambda leaf: leaf * 0.9, params)
    outputs = run(model, {"params": params, "average": average})
    alone = run(STUDENT, {"params": average})["ctc"].values
    np.testing.assert_allclose(outputs["teacher/ctc"].values, jax.nn.log_softmax(alone), atol=1e-5)


def test_an_encoder_without_words_teaches_its_states():
    encoder = ConformerEncoder(num_layers=2, embed_dim=24, num_heads=2, mlp_dim=32, stem="whisper")
    teacher = ListeningTeacher(Frames(), encoder)
    model = Taught(STUDENT, (teacher,), (1.0,), pairs=((2, 2),))
    params = draw(encoder, Frames()(BATCH.audio))["params"]
    outputs = run(model, with_teachers(model, {"encoder": params}))
    assert "teacher/ctc" not in outputs
    # The student's frames come every 4, the teacher's every 2: every other one.
    states = outputs["teacher/states"].values
    assert states.shape == (4, 16, 1, 24)
    own = teacher.teach({"encoder": params}, BATCH, Wanted((2,))).states.values
    real = np.asarray(outputs["teacher/states"].mask)
    np.testing.assert_allclose(states[:, :, 0][real], own[:, ::2, 0][real], atol=1e-5)
    with pytest.raises(UserError, match="only the layers' states"):
        teacher.teach({"encoder": params}, BATCH, Wanted((2,), attention=True))


def test_a_listener_to_waveforms_teaches_one_to_mel_bands():
    """At one rate of frames, of which it has one fewer."""
    encoder = TransformerEncoder(**LARGE, stem="wav2vec2")
    teacher = ListeningTeacher(RawWaveform(), encoder)
    student = STUDENT.clone(
        log_mel=LogMel(num_mels=8),
        encoder=TransformerEncoder(**SIZES, stem="whisper"),
    )
    model = Taught(student, (teacher,), (1.0,), pairs=((2, 4),))
    noise = jax.random.normal(jax.random.key(0), (1, 8_000))
    batch = dataclasses.replace(
        make_batch([1], [2]), audio=Padded(noise, jnp.ones((1, 8_000), bool))
    )
    params = draw(encoder, RawWaveform()(batch.audio))["params"]
    variables = {"params": draw(model, batch)["params"], "teacher": {"0": {"encoder": params}}}
    found = run(model, variables, batch)["teacher/states"]
    own = teacher.teach({"encoder": params}, batch, Wanted((4,))).states
    assert own.values.shape[1] == 24
    assert found.values.shape[1] == 25
    np.testing.assert_allclose(found.values[:, :24], own.values, atol=1e-4)
    np.testing.assert_array_equal(found.values[:, 24], found.values[:, 23])


def test_a_task_s_prefix_is_no_frame():
    asked = Padded(jnp.array([[0], [1], [1], [0]]), jnp.ones((4, 1), bool))
    batch = dataclasses.replace(BATCH, targets={**BATCH.targets, "task": asked})
    told = {"task_encoding": "prefix", "num_tasks": 2}
    model = Taught(
        STUDENT.clone(**told),
        (RecognizingTeacher(TEACHER.clone(**told)),),
        (1.0,),
        pairs=((2, 4),),
        attention=True,
    )
    params = draw(TEACHER.clone(**told), batch)["params"]
    variables = {"params": draw(model, batch)["params"], "teacher": {"0": params}}
    found = run(model, variables, batch)
    _, seen = TEACHER.clone(**told).apply(
        {"params": params}, batch, train=False, mutable=["intermediates"]
    )
    last = seen["intermediates"]["encoder"]["layers"]["output"][0][3]
    states, maps = found["teacher/states"], found["teacher/attention"]
    real = np.asarray(states.mask)
    np.testing.assert_allclose(states.values[:, :, 0][real], last[:, 1:][real], atol=1e-4)
    assert maps.values.shape == found["student/attention"].values.shape == (4, 16, 1, 16)
    np.testing.assert_allclose(np.asarray(maps.values.sum(-1))[real], 1, atol=1e-5)


def test_frames_of_other_lengths_are_found_by_their_times():
    """Samples per frame decide, whatever the front end and the stem make them of."""
    frames = jnp.arange(8.0)[None, :, None, None]
    states = Padded(frames, jnp.ones((1, 8), bool))
    found = at_same_times(states, there=160, here=640, num_frames=2)
    np.testing.assert_array_equal(found[0, :, 0, 0], [0, 4])
    for size in (2, 8):  # whatever the padding
        states = Padded(frames[:, :size], (jnp.arange(size) < 2)[None])
        found = at_same_times(states, there=640, here=320, num_frames=4)
        np.testing.assert_array_equal(found[0, :, 0, 0], [0, 1, 1, 1])


def test_teachers_that_do_not_fit_each_other_are_refused():
    with pytest.raises(UserError, match="one tokenizer and one stem"):
        mixed((jnp.zeros((1, 4, 3)), jnp.zeros((1, 2, 3))), (1.0, 1.0))


@pytest.mark.parametrize(("stem", "names"), [("conv1d_4x", ("teacher/ctc",)), ("conv1d_8x", ())])
def test_padding_changes_no_lesson(stem, names):
    """Neither where the teacher's frames are fewer, and its last is the nearest of several."""
    teacher = TEACHER.clone(encoder=TEACHER.encoder.clone(stem=stem))
    model = taught((teacher,), attention=False)
    params = draw(teacher, BATCH)["params"]
    variables = with_teachers(model, params)
    narrow, wide = (
        run(model, variables, make_batch([40], [2], frames=frames)) for frames in (40, 64)
    )
    for name in (*names, "teacher/states", "student/projected", "teacher/decoder"):
        real = np.asarray(narrow[name].mask)[0]
        there = np.asarray(wide[name].values)[0][: len(real)][real]
        np.testing.assert_allclose(there, np.asarray(narrow[name].values)[0][real], atol=3e-5)


def test_codes_are_the_clusters_of_frames():
    clusters = Clusters(Cepstra(Frames(), stride=4, num_cepstra=3), num_clusters=5, num_codebooks=2)
    rng = np.random.default_rng(0)
    found = {
        "mean": np.zeros(36, np.float32),
        "std": np.float32(1),
        "centroids": rng.normal(size=(2, 5, 36)).astype(np.float32),
    }
    model = Taught(STUDENT, codebook=Units(clusters, code_dim=8))
    outputs = run(model, {"params": draw(model, BATCH)["params"], "clusters": found})
    codes: Padded = outputs["codebook/codes"]
    np.testing.assert_array_equal(codes.values, clusters(found, BATCH.audio).values)
    assert outputs["codebook/logits"].values.shape == (4, 16, 2, 5)
    kept = dataclasses.replace(BATCH, lessons={"codes": jnp.zeros((4, 15, 2), jnp.int32)})
    with pytest.raises(UserError, match="of 15 frames where the encoder has 16"):
        shapes(model, kept)


def test_layers_are_matched_evenly():
    assert uniform_pairs(4, 8) == ((1, 2), (2, 4), (3, 6), (4, 8))
    assert uniform_pairs(5, 3) == ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3))
