"""Masked and causal language models: what is corrupted, what is seen, what a recogniser takes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict
from tiny_models import SIZES, VOCAB_SIZE, draw, make_batch, make_recognizer, shapes

from jasr.errors import UserError
from jasr.models.language_model import LanguageModel
from jasr.models.pretraining.masked_text import MaskedText, TokenMask
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.objectives.masked_prediction import MaskedPrediction
from jasr.types import Padded

SIZE, MASK, SPECIALS = 23, 0, 3


def corrupted(num_texts=400, length=50, probability=0.15, seed=0):
    rng = np.random.default_rng(seed)
    text = rng.integers(SPECIALS, SIZE, (num_texts, length)).astype(np.int32)
    mask = np.arange(length) < rng.integers(1, length + 1, num_texts)[:, None]
    keys = jax.random.split(jax.random.key(seed), num_texts)
    given = Padded(jnp.array(text), jnp.array(mask))
    values, chosen = TokenMask(probability)(
        given, keys, mask_id=MASK, num_specials=SPECIALS, size=SIZE
    )
    return text, mask, np.asarray(values), np.asarray(chosen)


def test_of_fifteen_in_a_hundred_eighty_are_masked_ten_changed_and_ten_kept():
    text, mask, values, chosen = corrupted(num_texts=4000)
    assert not np.any(chosen & ~mask)
    np.testing.assert_array_equal(values[~chosen], text[~chosen])
    count = chosen.sum()
    assert count / mask.sum() == pytest.approx(0.15, abs=0.005)
    masked = (values == MASK) & chosen
    # One in twenty of the other tokens is by chance the one that was.
    changed = (values != text) & chosen & ~masked
    assert masked.sum() / count == pytest.approx(0.8, abs=0.01)
    assert changed.sum() / count == pytest.approx(0.1 * (1 - 1 / (SIZE - SPECIALS)), abs=0.01)
    assert set(np.unique(values[changed])) == set(range(SPECIALS, SIZE))


def masked_text(body):
    part = {
        "encoder": {"encoder": TransformerEncoder(**SIZES, position="rotary")},
        "decoder": {"decoder": TransformerDecoder(**SIZES, position="sinusoidal")},
    }[body]
    return MaskedText(VOCAB_SIZE, TokenMask(0.3), **part)


@pytest.mark.parametrize("body", ["encoder", "decoder"])
def test_only_chosen_tokens_count(body):
    model, batch = masked_text(body), make_batch([8, 8, 0], [12, 7, 0])
    variables = draw(model, batch)
    outputs = model.apply(variables, batch, train=False, rngs={"augment": jax.random.key(1)})
    terms = MaskedPrediction("text")(outputs, batch)
    chosen = np.asarray(outputs["masked"].values)
    assert 0 < float(terms.loss.count) == chosen.sum()
    assert not chosen[2].any()


@pytest.mark.parametrize("body", ["encoder", "decoder"])
def test_a_masked_token_cannot_be_seen(body):
    """Whatever the token at a masked place is, all predictions are the same."""
    model, batch = masked_text(body), make_batch([8], [12])
    variables = draw(model, batch)
    apply = functools.partial(
        model.apply, variables, train=False, rngs={"augment": jax.random.key(4)}
    )
    text = batch.targets["text"]
    fates = np.asarray(
        TokenMask(0.3)(
            text,
            jax.random.split(jax.random.key(0), 1),
            mask_id=MASK,
            num_specials=SPECIALS,
            size=VOCAB_SIZE,
        )[0]
    )
    assert fates.shape == text.values.shape
    first = apply(batch)
    seen = []
    for place in np.flatnonzero(np.asarray(first["masked"].values)[0]):
        other = text.values.at[0, place].set((text.values[0, place] - 2) % 8 + 3)
        second = apply(batch.replace(targets={"text": Padded(other, text.mask)}))
        same = np.allclose(first["text/logits"].values, second["text/logits"].values, atol=1e-5)
        seen.append(not same)
    # One in ten stays as it was, and is seen.
    assert np.mean(seen) < 0.5
    place = int(np.flatnonzero(~np.asarray(first["masked"].values)[0])[0])
    other = text.values.at[0, place].set((text.values[0, place] - 2) % 8 + 3)
    second = apply(batch.replace(targets={"text": Padded(other, text.mask)}))
    assert not np.allclose(first["text/logits"].values, second["text/logits"].values, atol=1e-3)


def test_a_body_is_needed_and_one_of_them():
    for parts in (
        {},
        {"encoder": TransformerEncoder(**SIZES), "decoder": TransformerDecoder(**SIZES)},
    ):
        with pytest.raises(UserError, match="one of them"):
            shapes(MaskedText(VOCAB_SIZE, TokenMask(), **parts), make_batch([8], [3]))


def test_a_language_model_s_parameters_are_a_recogniser_s_but_for_the_recording():
    batch = make_batch([64], [5])
    language_model = LanguageModel(VOCAB_SIZE, TransformerDecoder(**SIZES))
    ours = flatten_dict(nn.unbox(shapes(language_model, batch))["params"], sep="/")
    theirs = flatten_dict(nn.unbox(shapes(make_recognizer(), batch))["params"], sep="/")
    assert all(theirs[path].shape == leaf.shape for path, leaf in ours.items())
    missing = {
        path.split("/")[2]
        for path in theirs.keys() - ours.keys()
        if path.startswith(("decoder/", "token_embedding/"))
    }
    assert missing == {"cross_attention", "cross_attention_norm"}


def test_a_language_model_is_causal():
    batch = make_batch([64], [7])
    model = LanguageModel(VOCAB_SIZE, TransformerDecoder(**SIZES))
    variables = draw(model, batch)
    first = model.apply(variables, batch, train=False)["decoder"].values
    text = batch.targets["text"]
    for place in range(7):
        other = text.values.at[0, place].set((text.values[0, place] - 2) % 8 + 3)
        second = model.apply(
            variables, batch.replace(targets={"text": Padded(other, text.mask)}), train=False
        )["decoder"].values
        np.testing.assert_allclose(first[0, : place + 1], second[0, : place + 1], atol=1e-5)
        assert not np.allclose(first[0, place + 1 :], second[0, place + 1 :], atol=1e-3)
