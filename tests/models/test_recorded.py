"""A lesson kept in few bytes, and read again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jasr.models.distillation.recorded import record, recorded
from jasr.models.distillation.teacher import Lesson
from jasr.types import Padded

VOCAB = 12
LAYERS = (2, 3, 6)


@pytest.fixture(scope="module")
def lesson():
    keys = jax.random.split(jax.random.key(0), 4)
    frames, tokens = (jnp.arange(size) < jnp.array([[size], [3]]) for size in (5, 4))
    return Lesson(
        {
            "ctc": Padded(3 * jax.random.normal(keys[0], (2, 5, VOCAB)), frames),
            "decoder": Padded(3 * jax.random.normal(keys[1], (2, 4, VOCAB)), tokens),
        },
        states=Padded(jax.random.normal(keys[2], (2, 5, len(LAYERS), 6)), frames),
        attention=Padded(
            jax.nn.softmax(jax.random.normal(keys[3], (2, 5, len(LAYERS), 5))), frames
        ),
    )


def values_of(kept):
    return {name: part.values for name, part in kept.items()}


def again(lesson, layers, *, top_k):
    kept = values_of(record(lesson, LAYERS, top_k=top_k))
    return recorded(kept, layers, vocab_size=VOCAB)


def test_all_of_a_lesson_is_kept(lesson):
    kept = values_of(record(lesson, LAYERS, top_k=0))
    assert {array.dtype.name for array in kept.values()} == {"float16", "bool"}
    found = again(lesson, LAYERS, top_k=0)
    for name, logits in lesson.logits.items():
        near(found.logits[name], Padded(jax.nn.log_softmax(logits.values), logits.mask))
    near(found.states, lesson.states)
    near(found.attention, lesson.attention)


def near(found, wanted):
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.mask, wanted.mask)


def test_layers_are_read_by_their_numbers(lesson):
    found = again(lesson, (6, 2), top_k=0)
    for one, wanted in ((found.states, lesson.states), (found.attention, lesson.attention)):
        near(one, Padded(wanted.values[:, :, (2, 0)], wanted.mask))


def test_of_the_likeliest_tokens_a_distribution_is_made(lesson):
    kept = record(lesson, LAYERS, top_k=3)
    assert kept["ctc/ids"].values.shape == kept["ctc/log_probs"].values.shape == (2, 5, 3)
    wanted = np.asarray(jax.nn.softmax(lesson.logits["ctc"].values))
    found = np.exp(again(lesson, LAYERS, top_k=3).logits["ctc"].values)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=2e-3)
    likeliest = np.argsort(-wanted, axis=-1)[..., :3]
    np.testing.assert_allclose(
        np.take_along_axis(found, likeliest, -1),
        np.take_along_axis(wanted, likeliest, -1),
        atol=2e-3,
    )
    others = np.take_along_axis(found, np.argsort(-wanted, axis=-1)[..., 3:], -1)
    np.testing.assert_allclose(others, others[..., :1] * np.ones(VOCAB - 3), rtol=1e-5)


def test_what_was_not_looked_at_is_not_there(lesson):
    found = again(Lesson(lesson.logits), (), top_k=0)
    assert found.states is None
    assert found.attention is None
    alone = again(Lesson({}, lesson.states), LAYERS, top_k=4)
    assert alone.logits == {}
    assert alone.attention is None
