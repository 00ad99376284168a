import json
import pickle

import pytest

from jasr.errors import UserError
from jasr.text.tokenizer import Tokenizer, UnknownCharacters, tokenizer_from_dict, train_tokenizer

KINDS = ("character", "byte", "bpe", "unigram")
TEXTS = ["hello world", "the cat sat on the mat", "it's a café", "the hat is on the cat"]
VOCAB_SIZE = 24


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {kind: train_tokenizer(kind, TEXTS, vocab_size=VOCAB_SIZE) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["the cat", "it's a hat", "", "wello horld é"])
def test_decoding_inverts_encoding(tokenizers, kind, text):
    assert tokenizers[kind].decode(tokenizers[kind].encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_units_come_after_the_special_tokens(tokenizers, kind):
    tokenizer = tokenizers[kind]
    ids = {id for text in TEXTS for id in tokenizer.encode(text)}
    assert (tokenizer.blank_id, tokenizer.start_id, tokenizer.end_id) == (0, 1, 2)
    assert min(ids) >= 3
    assert max(ids) < tokenizer.vocab_size


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_passes_over_special_tokens(tokenizers, kind):
    tokenizer = tokenizers[kind]
    ids = [1, *tokenizer.encode("the"), 0, *tokenizer.encode("cat"), 2, 0, 0]
    assert tokenizer.decode(ids).replace(" ", "") == "thecat"


@pytest.mark.parametrize(
    ("kind", "size"), [("character", 3 + 18), ("byte", 3 + 256), ("bpe", 24), ("unigram", 24)]
)
def test_vocabulary_size(tokenizers, kind, size):
    assert tokenizers[kind].vocab_size == size


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_subwords_are_shorter_than_characters(tokenizers, kind):
    assert len(tokenizers[kind].encode("the cat sat on the mat")) < len("the cat sat on the mat")


@pytest.mark.parametrize("kind", ["character", "bpe", "unigram"])
def test_characters_outside_the_vocabulary_are_named(tokenizers, kind):
    with pytest.raises(UnknownCharacters, match=r"'z' \(U\+007A\), 'Ω' \(U\+03A9\)") as caught:
        tokenizers[kind].encode("the zoo Ω")
    assert caught.value.characters == {"z", "Ω"}
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)


def test_bytes_spell_any_text(tokenizers):
    text = "日本語 😀 Ω"
    assert tokenizers["byte"].decode(tokenizers["byte"].encode(text)) == text


def test_bytes_that_are_no_text_still_decode(tokenizers):
    assert tokenizers["byte"].decode([3 + 0xFF, 3 + ord("a")]) == "\ufffda"


@pytest.mark.parametrize("written", [b"a \xc2\xa0", b"a \xc2\xa0b", b" a b", b"ab  \xe3\x81\x82"])
def test_words_start_where_the_whole_text_has_them(tokenizers, written):
    """Half of a space that is two bytes is no word."""
    ids = [3 + byte for byte in written]
    starts = tokenizers["byte"].word_starts(ids)
    words = tokenizers["byte"].decode(ids).split()
    assert len(starts) == len(words)
    for start, word in zip(starts, words, strict=True):
        assert written[start:].startswith(word[0].encode())


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_restored_through_json(tokenizers, kind):
    restored = tokenizer_from_dict(json.loads(json.dumps(tokenizers[kind].to_dict())))
    assert restored == tokenizers[kind]
    assert restored.encode("the cat") == tokenizers[kind].encode("the cat")


@pytest.mark.parametrize("kind", KINDS)
def test_travels_to_worker_processes_after_use(tokenizers, kind):
    copy = pickle.loads(pickle.dumps(tokenizers[kind]))
    assert copy.encode("the cat") == tokenizers[kind].encode("the cat")


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_deterministic(tokenizers, kind):
    assert train_tokenizer(kind, iter(TEXTS), vocab_size=VOCAB_SIZE) == tokenizers[kind]


def test_unknown_kind_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'character'"):
        train_tokenizer("charakter", TEXTS, vocab_size=0)
    with pytest.raises(UserError, match="did you mean 'unigram'"):
        tokenizer_from_dict({"kind": "unigramm"})


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_to_train_on(kind):
    with pytest.raises(UserError, match="nothing to train on"):
        train_tokenizer(kind, ["", " "], vocab_size=VOCAB_SIZE)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize(("vocab_size", "wrong"), [(5, "too low"), (5000, "too high")])
def test_the_bound_that_a_message_names_works(kind, vocab_size, wrong):
    with pytest.raises(UserError, match=wrong) as caught:
        train_tokenizer(kind, TEXTS, vocab_size=vocab_size)
    bound = int(str(caught.value).split()[-1])
    assert train_tokenizer(kind, TEXTS, vocab_size=bound).vocab_size == bound
    step = 1 if wrong == "too high" else -1
    with pytest.raises(UserError, match=wrong):
        train_tokenizer(kind, TEXTS, vocab_size=bound + step)


@pytest.mark.parametrize(
    "state",
    [{"kind": "character"}, {"kind": "bpe"}, {"kind": "bpe", "model": "AAAA"}],
)
def test_damaged_state_is_the_users_error(state):
    with pytest.raises(UserError, match="damaged"):
        tokenizer_from_dict(state)
