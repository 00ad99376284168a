"""Spans: as many frames as the arithmetic says, none of them padding, each under its own key."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jasr.errors import UserError
from jasr.models.pretraining.span_mask import SpanMask, draw_distractors

FRAMES = 60


def masks(span_mask, lengths, seed=0):
    mask = jnp.arange(FRAMES) < jnp.asarray(lengths)[:, None]
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(len(lengths)))
    return np.asarray(span_mask(mask, keys)), np.asarray(mask)


def expected_coverage(length, count, span):
    """P(masked) of each frame, `count` starts drawn without replacement from the places there are.

    A frame stays if none of the starts that would cover it is drawn: a hypergeometric draw.
    """
    places = length - span + 1
    covering = [min(t, places - 1) - max(0, t - span + 1) + 1 for t in range(length)]
    return np.array([1 - math.comb(places - c, count) / math.comb(places, count) for c in covering])


@pytest.mark.parametrize(("probability", "span", "length"), [(0.1, 5, 60), (0.065, 10, 40)])
def test_each_frame_is_masked_as_often_as_the_arithmetic_says(probability, span, length):
    drawn, _ = masks(SpanMask(probability, span), [length] * 20_000)
    whole, part = divmod(probability * length, 1)
    expected = (1 - part) * expected_coverage(length, int(whole), span) + part * expected_coverage(
        length, int(whole) + 1, span
    )
    found = drawn[:, :length].mean(axis=0)
    deviation = np.sqrt(expected * (1 - expected) / len(drawn))
    assert np.all(np.abs(found - expected) < 5 * deviation)


def test_padding_is_never_masked_and_every_span_is_whole():
    lengths = np.random.default_rng(0).integers(1, FRAMES + 1, 500)
    drawn, real = masks(SpanMask(0.1, 4), lengths)
    assert not np.any(drawn & ~real)
    for row, length in zip(drawn, lengths, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]]).astype(int)))
        runs = edges[1::2] - edges[::2]
        assert np.all(runs >= 4)
        # At least one span where one fits, none where none does.
        assert bool(len(runs)) == (length >= 4)


def test_a_mask_depends_on_key_and_length_alone():
    span_mask = SpanMask(0.1, 4)
    together, _ = masks(span_mask, [30, 50, 44])
    key = jax.random.fold_in(jax.random.key(0), 1)
    for width in (FRAMES, 50, 3 * FRAMES):
        alone = np.asarray(span_mask((jnp.arange(width) < 50)[None], key[None]))
        np.testing.assert_array_equal(alone[0, :50], together[1, :50])
    other, _ = masks(span_mask, [30, 50, 44], seed=1)
    assert np.any(other != together)


@pytest.mark.parametrize("wrong", [{"start_probability": 0.0}, {"span_length": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(UserError, match="expected"):
        SpanMask(**wrong)


def test_distractors_are_the_other_masked_frames_each_as_likely():
    masked = np.zeros((1, 12), bool)
    masked[0, [1, 4, 5, 9]] = True
    keys = jax.random.split(jax.random.key(0), 1)
    drawn = np.asarray(draw_distractors(jnp.asarray(masked), keys, 30_000))[0]
    for place in (1, 4, 5, 9):
        others = sorted({1, 4, 5, 9} - {place})
        found, counts = np.unique(drawn[place], return_counts=True)
        assert found.tolist() == others
        np.testing.assert_allclose(counts / 30_000, 1 / 3, atol=0.02)
