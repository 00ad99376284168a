"""Text files as a corpus: lines, splits, and what is refused; text that belongs to no speech."""

import itertools
import pickle

import numpy as np
import pytest

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.corpora.unpaired import UnpairedCorpus
from jasr.errors import UserError


def config(path, **more):
    return {
        "kind": "text",
        "name": "text",
        "sample_rate": 15,
        "options": {"path": str(path)},
        **more,
    }


def texts(corpus):
    return [utterance.text for utterance in corpus.utterances]


def test_files_named_after_splits_are_those_splits(tmp_path):
    for name in ("train", "dev", "test", "other"):
        (tmp_path / f"{name}.txt").write_text(f"{name} one\n\n  {name} two  \n")
    assert texts(open_corpus(config(tmp_path), "train", None)) == ["train one", "train two"]
    assert texts(open_corpus(config(tmp_path), "validation", None)) == ["dev one", "dev two"]
    assert texts(open_corpus(config(tmp_path), "train[:50%]", None)) == ["train one"]


def test_lines_of_other_files_are_divided_and_none_is_lost(tmp_path):
    lines = [f"line {number}" for number in range(2100)]
    (tmp_path / "novel.txt").write_text("\n".join(lines))
    splits = {
        split: texts(open_corpus(config(tmp_path), split, None))
        for split in ("train", "validation", "test")
    }
    assert sorted(itertools.chain(*splits.values())) == sorted(lines)
    assert len(splits["validation"]) == len(splits["test"]) == 100


def test_short_files_have_all_splits_or_say_so(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("\n".join(f"line {number}" for number in range(60)))
    assert len(texts(open_corpus(config(path), "validation", None))) == 3
    assert len(texts(open_corpus(config(path), "train", None))) == 54
    path.write_text("one\ntwo\n")
    with pytest.raises(UserError, match="has too few lines for a split 'test'"):
        texts(open_corpus(config(path), "test", None))


def test_a_character_lasts_a_fifteenth_of_a_second(tmp_path):
    (tmp_path / "train.txt").write_text("thirty characters are two secs\n")
    corpus = pickle.loads(pickle.dumps(open_corpus(config(tmp_path / "train.txt"), "train", None)))
    (utterance,) = corpus.utterances
    assert utterance.duration == pytest.approx(2.0)
    np.testing.assert_array_equal(corpus.read(0), np.zeros(30))


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "is empty: give a .txt file"), ("nowhere", "expected a .txt file or a folder")],
)
def test_a_path_that_is_no_text_is_refused(path, said, tmp_path):
    with pytest.raises(UserError, match=said):
        texts(open_corpus(config(tmp_path / path if path else ""), "train", None))


def test_what_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(UserError, match=r"train.txt is not UTF-8 text \(byte 7\)"):
        texts(open_corpus(config(tmp_path), "train", None))


def test_text_needs_no_preparation(tmp_path):
    with pytest.raises(UserError, match="nothing to prepare"):
        prepare_corpus(config(tmp_path), tmp_path, tmp_path)


def test_unpaired_speech_has_other_texts_and_its_own_audio(make_manifest, tmp_path):
    section = {"kind": "manifest", "name": "tones", "sample_rate": 16000, "options": {}}
    prepare_corpus(section, make_manifest({"train": 7}), tmp_path / "data")
    speech = open_corpus(section, "train", tmp_path / "data")
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    text = open_corpus(config(tmp_path / "train.txt"), "train", None)
    mixed = pickle.loads(pickle.dumps(UnpairedCorpus(speech, text, seed=1)))
    assert len(mixed) == 7
    assert {*texts(mixed)} == {"a", "b", "c"}
    counts = [texts(mixed).count(letter) for letter in "abc"]
    assert max(counts) - min(counts) <= 1
    np.testing.assert_array_equal(mixed.read(3), speech.read(3))
    assert texts(mixed) == texts(UnpairedCorpus(speech, text, seed=1))
