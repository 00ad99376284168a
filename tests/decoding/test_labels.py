"""Classes and tags are found where the heads say they are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jasr.decoding.hypotheses import Hypotheses
from jasr.decoding.labels import ClassArgmax, Given, TagArgmax
from jasr.models.class_head import ClassHead
from jasr.types import Batch, Padded

CLASSES, TAGS, VOCAB = 5, 4, 7
LENGTHS = np.array([6, 3, 0])


class Heads(nn.Module):
    """The encoder gives the audio, a frame a sample; a tag is a token's own number of four."""

    def setup(self):
        self.intent = ClassHead(CLASSES)

    def encode(self, batch):
        return Padded(batch.audio.values[..., None] * jnp.ones(3), batch.audio.mask)

    def classify(self, encoded):
        return {"intent": Padded(self.intent(encoded)[:, None], encoded.mask[:, :1])}

    def __call__(self, batch, *, train):  # noqa: ARG002
        text = batch.targets["text"]
        outputs = self.classify(self.encode(batch))
        return outputs | {"tags": Padded(jax.nn.one_hot(text.values % TAGS, TAGS), text.mask)}


@dataclasses.dataclass(frozen=True)
class Backwards:
    """A search that finds the text backwards."""

    name = "backwards"

    def __call__(self, model, variables, batch):
        del model, variables
        text = batch.targets["text"]
        places = jnp.maximum(text.lengths()[:, None] - 1 - jnp.arange(text.values.shape[1]), 0)
        tokens = jnp.take_along_axis(text.values, places, axis=1)
        return Hypotheses(tokens[:, None], text.mask[:, None], jnp.zeros((len(tokens), 1)))


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    mask = jnp.asarray(np.arange(6) < LENGTHS[:, None])
    audio = Padded(jnp.asarray(rng.normal(size=(3, 6)), jnp.float32), mask)
    text = Padded(jnp.asarray(rng.integers(3, VOCAB, (3, 6)), jnp.int32), mask)
    return Batch(audio, {"text": text}, jnp.asarray(LENGTHS > 0), jnp.arange(3, dtype=jnp.uint32))


@pytest.fixture(scope="module")
def heads(batch):
    model = Heads()
    variables = nn.unbox(model.init(jax.random.key(0), batch, train=False))
    return model, jax.tree.map(
        lambda leaf: leaf + 0.3 * jnp.arange(leaf.size).reshape(leaf.shape), variables
    )


def test_the_likeliest_class_is_the_only_token(heads, batch):
    model, variables = heads
    found = ClassArgmax("intent")(model, variables, batch)
    logits = model.apply(variables, batch, train=False)["intent"].values[:, 0]
    np.testing.assert_array_equal(found.tokens[:, 0, 0], jnp.argmax(logits, axis=-1))
    np.testing.assert_allclose(found.scores[:, 0], jax.nn.log_softmax(logits).max(-1), rtol=1e-5)
    assert found.mask[:, 0, 0].tolist() == [True, True, False]


@pytest.mark.parametrize("search", [Given(), Backwards()])
def test_each_token_that_is_found_has_its_own_tag(search, heads, batch):
    found = TagArgmax("tags", search)(*heads, batch)
    text = np.asarray(batch.targets["text"].values)
    for row, length in enumerate(LENGTHS):
        said = text[row, :length]
        said = said[::-1] if search.name == "backwards" else said
        tokens, tags = (np.asarray(found.tokens[row, one])[:length] for one in (0, 1))
        np.testing.assert_array_equal(tokens, said)
        np.testing.assert_array_equal(tags, said % TAGS)
        assert found.mask[row].sum(axis=-1).tolist() == [length, length]
