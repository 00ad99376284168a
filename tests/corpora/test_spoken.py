import hashlib
import statistics
from pathlib import Path

import espeakng_loader
import pytest

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.corpora.spoken.grammar import MAX_WORDS, MIN_WORDS, sentences
from jasr.corpora.spoken.source import SpokenOptions, SpokenSource
from jasr.corpora.spoken.voices import ACCENTS, VARIANTS
from jasr.errors import UserError

OPTIONS = {"train_sentences": 24, "validation_sentences": 3, "test_sentences": 3}
CONFIG = {"kind": "spoken", "name": "spoken", "sample_rate": 16000, "options": OPTIONS}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    prepare_corpus(CONFIG, None, data_dir)
    return data_dir


@pytest.fixture(scope="module")
def script():
    return SpokenSource(None, SpokenOptions()).lines


def test_the_same_bytes_every_time(prepared, tmp_path):
    def digests(data_dir: Path) -> dict[str, str]:
        files = sorted(path for path in data_dir.rglob("*") if path.is_file())
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    prepare_corpus(CONFIG, None, tmp_path)
    assert digests(tmp_path) == digests(prepared)
    assert sum(name.count("array_record") for name in digests(prepared)) == 3


def test_an_utterance_does_not_depend_on_those_spoken_before_it():
    several = SpokenSource(None, SpokenOptions(4, 1, 1))
    alone = SpokenSource(None, SpokenOptions(4, 1, 1))
    alone.lines["train"] = alone.lines["train"][-1:]
    last = list(several.splits()["train"].recordings)[-1]
    assert list(alone.splits()["train"].recordings) == [last]


def test_sounds_like_speech_of_the_right_length(prepared):
    corpus = open_corpus(CONFIG, "train", prepared)
    assert len(corpus) == 24
    for index, utterance in enumerate(corpus.utterances):
        wave = corpus.read(index)
        assert 0.8 < utterance.duration < 5
        assert len(wave) == round(utterance.duration * 16000)
        assert 0.005 < wave.std() < 0.5
    assert 1.8 < statistics.mean(u.duration for u in corpus.utterances) < 2.6


def test_variants_of_the_options_lie_side_by_side(prepared):
    other = {**CONFIG, "options": {**OPTIONS, "seed": 1}}
    prepare_corpus(other, None, prepared)
    one, two = open_corpus(CONFIG, "test", prepared), open_corpus(other, "test", prepared)
    assert one.fingerprint != two.fingerprint
    assert {u.text for u in one.utterances} != {u.text for u in two.utterances}


def test_phonemes_are_those_of_the_words_and_the_accent(prepared, tmp_path):
    phonemes = {**CONFIG, "options": {**OPTIONS, "transcript": "phonemes"}}
    prepare_corpus(phonemes, None, tmp_path)
    written, pronounced = (
        open_corpus(CONFIG, "train", prepared),
        open_corpus(phonemes, "train", tmp_path),
    )
    assert written.fingerprint != pronounced.fingerprint
    the = set()
    for words, sounds in zip(written.utterances, pronounced.utterances, strict=True):
        assert (words.id, words.duration) == (sounds.id, sounds.duration)
        assert sounds.text != words.text
        assert sounds.text.replace(" ", "").isalpha()
        if len(words.text.split()) == len(sounds.text.split()):
            pairs = zip(words.text.split(), sounds.text.split(), strict=True)
            the |= {sound for word, sound in pairs if word == "the"}
    assert the
    assert the <= {"ðə", "ðɪ", "ðɐ", "ði"}
    with pytest.raises(UserError, match="transcript 'phones' is unknown: did you mean 'phonemes'"):
        prepare_corpus({**CONFIG, "options": {"transcript": "phones"}}, None, tmp_path)


def test_splits_share_neither_sentences_nor_voices(script):
    assert {split: len(lines) for split, lines in script.items()} == {
        "train": 5000,
        "validation": 300,
        "test": 300,
    }
    texts = [line.sentence.text for lines in script.values() for line in lines]
    assert len(set(texts)) == len(texts)
    variants = {
        split: {line.delivery.voice.partition("+")[2] for line in lines}
        for split, lines in script.items()
    }
    assert len(variants["train"]) == 60
    assert not variants["train"] & variants["validation"]
    assert not variants["train"] & variants["test"]
    assert not variants["validation"] & variants["test"]


def test_every_word_of_the_test_is_heard_in_training(script):
    words = {
        split: {word for line in lines for word in line.sentence.text.split()}
        for split, lines in script.items()
    }
    assert words["validation"] | words["test"] <= words["train"]
    assert 200 < len(words["train"]) < 300


def test_every_voice_is_one_that_espeak_has():
    data = Path(espeakng_loader.get_data_path())
    languages = {
        line.split()[1]
        for path in (data / "lang/gmw").iterdir()
        for line in path.read_text(errors="replace").splitlines()
        if line.startswith("language ")
    }
    assert set(ACCENTS) <= languages
    variants = [variant for split in VARIANTS.values() for variant in split]
    assert len(set(variants)) == len(variants)
    assert all((data / "voices/!v" / variant).is_file() for variant in variants)


def test_labels_say_who_did_what_to_whom():
    for sentence in sentences("any", 500):
        words = sentence.text.split()
        assert MIN_WORDS <= len(words) <= MAX_WORDS
        roles = sentence.labels["roles"]
        assert {"V", "ARG1"} <= set(roles)
        assert set(roles) <= {"V", "ARG0", "ARG1", "ARG2", "ARGM-LOC", "ARGM-TMP"}
        covered = []
        for role in roles.values():
            start, end = role["span"]
            assert " ".join(words[start:end]) == role["phrase"]
            covered += range(start, end)
        assert len(set(covered)) == len(covered)
        outside = [word for number, word in enumerate(words) if number not in covered]
        assert outside in ([], ["was"], ["were"])


def test_no_place_in_a_sentence_gives_a_role_away():
    first = {
        role
        for sentence in sentences("any", 500)
        for role, at in sentence.labels["roles"].items()
        if at["span"][0] == 0
    }
    assert first == {"ARG0", "ARG1", "ARGM-TMP"}
