import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_tables import transcripts

from jasr.decoding.ctc_greedy import ctc_greedy
from jasr.types import Padded


def log_probs_of_path(path, vocab_size):
    """[1, T, V] logits whose likeliest path is `path`."""
    return 5.0 * np.eye(vocab_size, dtype=np.float32)[np.asarray(path)][None]


def decode(logits, lengths, blank_id=0):
    mask = np.arange(logits.shape[1]) < np.asarray(lengths)[:, None]
    padded = Padded(jnp.asarray(logits), jnp.asarray(mask))
    return jax.jit(partial(ctc_greedy, blank_id=blank_id))(padded)


@pytest.mark.parametrize(
    ("path", "length", "tokens"),
    [
        ([3, 3, 0, 3, 4, 4], 6, (3, 3, 4)),
        ([0, 0, 0, 0, 0, 0], 6, ()),
        ([0, 5, 0, 5, 5, 0], 6, (5, 5)),
        ([1, 2, 3, 4, 5, 1], 6, (1, 2, 3, 4, 5, 1)),
        ([1, 2, 3, 4, 5, 1], 2, (1, 2)),
        ([1, 2, 3, 4, 5, 1], 0, ()),
    ],
)
def test_repeats_and_blanks_collapse_within_the_real_frames(path, length, tokens):
    [(_, found)] = transcripts(decode(log_probs_of_path(path, 6), [length]), 0)
    assert found == tokens


def test_another_blank():
    [(_, found)] = transcripts(decode(log_probs_of_path([0, 0, 2, 0, 1], 3), [5], blank_id=2), 0)
    assert found == (0, 0, 1)


def test_every_row_agrees_with_a_path_collapsed_by_hand():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 12, 4)).astype(np.float32)
    lengths = rng.integers(0, 13, size=8)
    found = decode(logits, lengths)
    for b, length in enumerate(lengths):
        path = np.argmax(logits[b, :length], axis=-1)
        expected = tuple(int(token) for token, _ in itertools.groupby(path) if token != 0)
        log_probs = logits[b, :length] - np.log(
            np.exp(logits[b, :length].astype(np.float64)).sum(-1, keepdims=True)
        )
        [(score, tokens)] = transcripts(found, b)
        assert tokens == expected
        np.testing.assert_allclose(score, log_probs.max(-1).sum(), rtol=1e-5, atol=1e-6)
    assert not np.any(np.asarray(found.tokens)[~np.asarray(found.mask)])


def test_more_padding_changes_nothing():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 9, 5)).astype(np.float32)
    longer = np.concatenate([logits[:, :7], rng.normal(size=(3, 20, 5))], axis=1)
    short, long = decode(logits, [7, 3, 0]), decode(longer.astype(np.float32), [7, 3, 0])
    for b in range(3):
        assert transcripts(short, b) == transcripts(long, b)
