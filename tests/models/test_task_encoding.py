"""A recogniser that is told what to say: task vectors, and heads of classes and tags."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import draw, make_batch, make_recognizer, quick_jit, shapes

from jasr.errors import UserError
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.task_encoding import KINDS
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.types import Padded

HEADS = {"num_tasks": 3, "classes": {"intent": 5}, "tags": {"roles": 4}}


def asked(batch, *task_ids):
    task = Padded(jnp.array(task_ids, jnp.int32)[:, None], batch.example_mask[:, None])
    return replace(batch, targets={**batch.targets, "task": task})


PLAIN = make_batch([13, 20, 7], [3, 5, 1])
BATCH = asked(PLAIN, 0, 2, 1)


class Case:
    def __init__(self, kind, encoder_class):
        self.model = make_recognizer(encoder_class=encoder_class, task_encoding=kind, **HEADS)
        self.variables = draw(self.model, BATCH)
        self.run = quick_jit(lambda batch: self.model.apply(self.variables, batch, train=False))
        self.outputs = self.run(BATCH)


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    return Case(request.param, ConformerEncoder if request.param == "film" else TransformerEncoder)


def test_lengths_are_those_of_a_model_of_one_task(case):
    assert case.outputs["encoder"].lengths().tolist() == [7, 10, 4]
    assert case.outputs["decoder"].lengths().tolist() == [4, 6, 2]
    assert case.outputs["intent"].values.shape == (3, 1, 5)
    assert case.outputs["roles"].values.shape == (3, 5, 4)
    assert case.outputs["roles"].lengths().tolist() == [3, 5, 1]


def test_another_task_changes_its_own_row_and_no_other(case):
    others = case.run(asked(PLAIN, 1, 2, 1))
    for name in ("encoder", "ctc", "decoder", "intent", "roles"):
        new, old = others[name].values, case.outputs[name].values
        assert not np.allclose(new[0, 0], old[0, 0], atol=1e-3), name
        np.testing.assert_allclose(new[1:], old[1:], atol=2e-6)


def test_a_search_is_told_the_task_too(case):
    encoded = case.model.apply(case.variables, BATCH, method="encode")
    np.testing.assert_allclose(encoded.values, case.outputs["encoder"].values, atol=1e-5)
    cache = case.model.apply(
        case.variables, encoded, beam_size=2, max_tokens=6, method="start_cache"
    )
    step = jax.jit(
        lambda tokens, cache: case.model.apply(case.variables, tokens, cache, method="decode_step")
    )
    read = np.pad(BATCH.targets["text"].values, ((0, 0), (1, 0)), constant_values=1)
    for position in range(6):
        logits, cache = step(np.repeat(read[:, position : position + 1], 2, axis=1), cache)
        cache = cache.take(jnp.array([[1, 0]] * 3))
        expected = case.outputs["decoder"].values[:, position]
        np.testing.assert_allclose(logits[:, 1], expected, atol=1e-5)


def test_every_parameter_is_learned(case):
    def loss(variables):
        outputs = case.model.apply(variables, BATCH, train=False)
        heads = (outputs[name] for name in ("ctc", "decoder", "intent", "roles"))
        return sum(jnp.sum(jnp.sin(h.values) * h.mask[..., None]) for h in heads)

    for path, leaf in jax.tree_util.tree_leaves_with_path(
        quick_jit(jax.grad(loss))(case.variables)
    ):
        assert leaf.any(), path


def test_modulation_changes_nothing_before_it_is_learned():
    told = make_recognizer(task_encoding="film", num_tasks=3)
    fresh = told.init(jax.random.key(0), BATCH, train=False)
    run = quick_jit(lambda batch: told.apply(fresh, batch, train=False)["decoder"].values)
    np.testing.assert_array_equal(run(BATCH), run(asked(PLAIN, 1, 1, 1)))


def test_filler_rows_are_masked_and_finite(case):
    outputs = case.run(asked(make_batch([13, 20, 0], [3, 5, 0]), 0, 1, 0))
    for output in outputs.values():
        assert not output.mask[2].any()
        assert jnp.isfinite(output.values).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="task_encoding 'ad' is unknown: did you mean 'add'"):
        shapes(make_recognizer(task_encoding="ad", num_tasks=2), BATCH)
    with pytest.raises(UserError, match="tags are of the decoder's tokens"):
        shapes(make_recognizer(tags={"roles": 3}).clone(decoder=None), BATCH)
