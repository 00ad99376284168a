"""A lesson kept in few bytes, and read again."""

import jax
import numpy as np
import pytest

from jasr.models.distillation.recorded import record, recorded
from jasr.models.distillation.teacher import Lesson

VOCAB = 12
LAYERS = (2, 3, 6)


@pytest.fixture(scope="module")
def lesson():
    keys = jax.random.split(jax.random.key(0), 4)
    return Lesson(
        {
            "ctc": 3 * jax.random.normal(keys[0], (2, 5, VOCAB)),
            "decoder": 3 * jax.random.normal(keys[1], (2, 4, VOCAB)),
        },
        states=jax.random.normal(keys[2], (2, 5, len(LAYERS), 6)),
        attention=jax.nn.softmax(jax.random.normal(keys[3], (2, 5, len(LAYERS), 5))),
    )


def test_all_of_a_lesson_is_kept(lesson):
    kept = record(lesson, LAYERS, top_k=0)
    assert {array.dtype.name for array in kept.values()} == {"float16"}
    again = recorded(kept, LAYERS, vocab_size=VOCAB)
    for name, logits in lesson.logits.items():
        np.testing.assert_allclose(
            again.logits[name], jax.nn.log_softmax(logits), rtol=1e-3, atol=1e-3
        )
    np.testing.assert_allclose(again.states, lesson.states, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(again.attention, lesson.attention, rtol=1e-3, atol=1e-3)


def test_layers_are_read_by_their_numbers(lesson):
    again = recorded(record(lesson, LAYERS, top_k=0), (6, 2), vocab_size=VOCAB)
    for found, wanted in ((again.states, lesson.states), (again.attention, lesson.attention)):
        np.testing.assert_allclose(found, wanted[:, :, (2, 0)], rtol=1e-3, atol=1e-3)


def test_of_the_likeliest_tokens_a_distribution_is_made(lesson):
    kept = record(lesson, LAYERS, top_k=3)
    assert kept["ctc/ids"].shape == kept["ctc/log_probs"].shape == (2, 5, 3)
    again = recorded(kept, LAYERS, vocab_size=VOCAB).logits["ctc"]
    wanted = np.asarray(jax.nn.softmax(lesson.logits["ctc"]))
    found = np.exp(again)
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
    again = recorded(record(Lesson(lesson.logits), (), top_k=0), (), vocab_size=VOCAB)
    assert again.states is None
    assert again.attention is None
    alone = recorded(record(Lesson({}, lesson.states), LAYERS, top_k=4), LAYERS, vocab_size=VOCAB)
    assert alone.logits == {}
    assert alone.attention is None
