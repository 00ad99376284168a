"""What must hold of the decoder for every kind of position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import SIZES, draw, quick_jit

from jasr.errors import UserError
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.types import Padded

NUM_TOKENS, NUM_FRAMES, DIM = 6, 9, SIZES["embed_dim"]


class Case:
    def __init__(self, **fields):
        self.decoder = TransformerDecoder(**SIZES, **fields)
        self.x = jax.random.normal(jax.random.key(1), (2, NUM_TOKENS, DIM))
        self.encoded = Padded(
            jax.random.normal(jax.random.key(2), (2, NUM_FRAMES, DIM)),
            jnp.arange(NUM_FRAMES) < jnp.array([[9], [4]]),
        )
        self.variables = draw(self.decoder, self.x, self.encoded)
        self.read = quick_jit(self.decode)

    def decode(self, x, encoded):
        return self.decoder.apply(self.variables, x, encoded, train=False)


@pytest.fixture(
    scope="module",
    params=[
        {"position": "sinusoidal"},
        {"position": "learned", "norm": "post"},
        {"position": "rotary", "activation": "swiglu"},
        {"position": "relative"},
        {"position": "none"},
    ],
    ids=lambda fields: fields["position"],
)
def case(request):
    return Case(**request.param)


def test_a_token_depends_on_those_before_it_and_on_real_frames(case):
    def read(x, frames):
        return case.decode(x, Padded(frames, case.encoded.mask))[..., 0]

    by_token, by_frame = quick_jit(jax.jacrev(read, (0, 1)))(case.x, case.encoded.values)
    for b in range(2):
        depends = jnp.any(by_token[b, :, b] != 0, axis=-1)
        np.testing.assert_array_equal(depends, np.tri(NUM_TOKENS, dtype=bool))
        assert not by_token[b, :, 1 - b].any()
        is_read = jnp.any(by_frame[b, :, b] != 0, axis=(0, -1))
        np.testing.assert_array_equal(is_read, case.encoded.mask[b])
        assert not by_frame[b, :, 1 - b].any()


def test_reading_token_by_token_is_reading_all_at_once(case):
    """Two beams read different texts; half-way the beams change places, twice over for one."""
    other = jax.random.normal(jax.random.key(3), case.x.shape)
    cache = case.decoder.apply(
        case.variables, case.encoded, beam_size=2, max_tokens=NUM_TOKENS, method="start_cache"
    )
    step = quick_jit(lambda x, cache: case.decoder.apply(case.variables, x, cache, method="step"))
    texts_BKNE = jnp.stack([case.x, other], axis=1)
    swap = jnp.array([[1, 0], [1, 1]])
    results = []
    for position in range(NUM_TOKENS):
        if position == 3:
            cache = cache.take(swap)
            texts_BKNE = jnp.take_along_axis(texts_BKNE, swap[:, :, None, None], axis=1)
        result_BKE, cache = step(texts_BKNE[:, :, position], cache)
        results.append(result_BKE)
    for beam in range(2):
        expected = case.read(texts_BKNE[:, beam], case.encoded)
        for position in range(3, NUM_TOKENS):
            np.testing.assert_allclose(results[position][:, beam], expected[:, position], atol=2e-5)


def test_too_many_tokens_for_learned_positions():
    with pytest.raises(UserError, match="6 positions is longer than the 5"):
        Case(position="learned", max_tokens=5)
    case = Case(position="learned", max_tokens=6)
    with pytest.raises(UserError, match="7 positions is longer than the 6"):
        case.decoder.apply(
            case.variables, case.encoded, beam_size=1, max_tokens=7, method="start_cache"
        )


def test_attention_can_be_looked_at():
    case = Case()
    look = functools.partial(case.decoder.apply, train=False, mutable="attention")
    _, variables = quick_jit(look)(case.variables, case.x, case.encoded)
    layers = variables["attention"]["layers"]
    (weights_LBHTS,) = layers["cross_attention"]["weights"]
    assert weights_LBHTS.shape == (2, 2, 2, NUM_TOKENS, NUM_FRAMES)
    np.testing.assert_allclose(weights_LBHTS.sum(-1), 1, atol=1e-5)
    assert not weights_LBHTS[:, 1, :, :, 4:].any()
    (weights_LBHTT,) = layers["self_attention"]["weights"]
    assert not np.triu(weights_LBHTT, 1).any()
