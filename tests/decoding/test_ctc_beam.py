import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from step_tables import transcripts

from jasr.decoding.ctc_beam import ctc_beam
from jasr.decoding.lexicon import build_lexicon
from jasr.errors import UserError
from jasr.text.tokenizer import train_tokenizer
from jasr.types import Padded

WORDS = ("a", "ab", "ba", "b")
TOKENIZER = train_tokenizer("character", (*WORDS, "a b"), vocab_size=0)


def search(logits, lengths, **settings):
    mask = np.arange(logits.shape[1]) < np.asarray(lengths)[:, None]
    padded = Padded(jnp.asarray(logits, jnp.float32), jnp.asarray(mask))
    return jax.jit(partial(ctc_beam, blank_id=0, **settings))(padded)


def all_labellings(logits, length, units):
    """[(log-probability, tokens)] of every labelling, best first, by the CTC loss of each."""
    labels = [
        label for n in range(length + 1) for label in itertools.product(sorted(units), repeat=n)
    ]
    padded = np.array([label + (0,) * (length - len(label)) for label in labels])
    is_padding = np.arange(length) >= np.array([len(label) for label in labels])[:, None]
    loss = optax.ctc_loss(
        np.broadcast_to(logits[:length], (len(labels), length, logits.shape[1])),
        np.zeros((len(labels), length)),
        padded,
        is_padding.astype(np.float32),
    )
    # What needs more frames than there are has a loss of about a hundred thousand.
    return sorted((-float(a), b) for a, b in zip(loss, labels, strict=True) if a < 1e4)[::-1]


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_the_likeliest_of_all_labellings(seed):
    logits = np.random.default_rng(seed).normal(size=(2, 5, 4), scale=2.0)
    found = search(logits, [5, 4], beam_size=400, num_hypotheses=12)
    for row, length in enumerate((5, 4)):
        expected = all_labellings(logits[row], length, {1, 2, 3})[:12]
        here = transcripts(found, row)
        assert [tokens for _, tokens in here] == [tokens for _, tokens in expected]
        np.testing.assert_allclose([s for s, _ in here], [s for s, _ in expected], rtol=1e-4)


def test_a_labelling_of_many_paths_beats_the_likeliest_path():
    # The best path is all blanks, 0.36; of "3" are three paths, 0.24 + 0.24 + 0.16.
    logits = np.log(np.array([[[0.6, 1e-9, 1e-9, 0.4], [0.6, 1e-9, 1e-9, 0.4]]]))
    [(score, tokens)] = transcripts(search(logits, [2], beam_size=2), 0)
    assert tokens == (3,)
    np.testing.assert_allclose(score, np.log(0.64), rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_with_a_lexicon_the_likeliest_text_of_its_words_is_found(seed):
    lexicon, unspelt = build_lexicon(WORDS, TOKENIZER)
    logits = np.random.default_rng(seed).normal(size=(1, 6, TOKENIZER.vocab_size), scale=2.0)
    found = search(logits, [6], beam_size=300, num_hypotheses=8, lexicon=lexicon)

    def is_of_words(text):
        return text == "" or all(word in WORDS for word in text.split(" "))

    units = range(3, TOKENIZER.vocab_size)
    every = all_labellings(logits[0], 6, units)
    expected = [(s, t) for s, t in every if is_of_words(TOKENIZER.decode(t))][:8]
    here = transcripts(found, 0)
    assert [tokens for _, tokens in here] == [tokens for _, tokens in expected]
    np.testing.assert_allclose([s for s, _ in here], [s for s, _ in expected], rtol=1e-4)
    assert unspelt == []


def test_where_the_last_word_has_not_ended_those_before_it_are_given():
    lexicon, _ = build_lexicon(["bab"], TOKENIZER)
    path = TOKENIZER.encode("bab ba")
    logits = 50.0 * np.eye(TOKENIZER.vocab_size)[path][None]
    found = search(logits, [6], beam_size=3, num_hypotheses=2, lexicon=lexicon)
    # Of the others, "bab" itself is one: it is whole, if hardly likely.
    assert {TOKENIZER.decode(tokens) for _, tokens in transcripts(found, 0)} == {"bab"}
    [(_, tokens)] = transcripts(search(logits, [6], beam_size=1, lexicon=lexicon), 0)
    assert TOKENIZER.decode(tokens) == "bab"


@pytest.mark.parametrize("kind", ["character", "byte", "bpe", "unigram"])
def test_every_tokenizer_is_held_to_words(kind):
    texts = ["seventy seven sevens", "seven", "eleven nineteen ninety nine teens"] * 4
    tokenizer = train_tokenizer(kind, texts, vocab_size={"bpe": 30}.get(kind, 18))
    words = ["seven", "seventy", "nine", "teens"]
    lexicon, _ = build_lexicon(words, tokenizer)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 60, tokenizer.vocab_size), scale=3.0)
    found = search(logits, [60] * 8, beam_size=12, lexicon=lexicon)
    texts = [tokenizer.decode(transcripts(found, row)[0][1]) for row in range(8)]
    assert all(set(text.split(" ")) <= set(words) for text in texts)
    assert any(" " in text for text in texts)


def test_a_silent_row_has_the_empty_text():
    logits = np.random.default_rng(0).normal(size=(2, 5, 4))
    found = search(logits, [5, 0], beam_size=3, num_hypotheses=3)
    assert transcripts(found, 1) == [(0.0, ())]


def test_where_texts_are_single_words_so_is_what_is_found():
    words = ["on", "one", "eight"]
    tokenizer = train_tokenizer("character", words, vocab_size=0)
    lexicon, _ = build_lexicon(words, tokenizer)
    path = tokenizer.encode("oneeight")
    logits = 9.0 * np.eye(tokenizer.vocab_size)[path][None]
    [(_, tokens)] = transcripts(search(logits, [8], beam_size=8, lexicon=lexicon), 0)
    assert tokenizer.decode(tokens) in words


def test_words_that_the_tokens_cannot_spell_are_told():
    lexicon, unspelt = build_lexicon(["ab", "cab", "ba"], TOKENIZER)
    assert (lexicon.num_words, unspelt) == (2, ["cab"])
    with pytest.raises(UserError, match="no word that the model's tokens can spell"):
        build_lexicon(["cab"], TOKENIZER)
