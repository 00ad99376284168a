"""Which utterances are used, and what is said of the others."""

import pytest
from tone_corpus import SAMPLE_RATE, write_manifest

from jasr.corpora.manifest_file import ManifestCorpus
from jasr.errors import UserError
from jasr.pipeline.usable import select_all, select_audio, select_usable
from jasr.tasks.targets import Transcripts
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import train_tokenizer

TRANSCRIPTS = Transcripts(
    train_tokenizer("character", ["one two three four five six seven"], vocab_size=0),
    normalizer("basic-v1"),
)
LIMITS = {"min_seconds": 0.1, "max_seconds": 1.5, "max_tokens": 40}


@pytest.fixture
def flawed(tmp_path):
    changes = {
        "u1": {"text": None},
        "u2": {"duration": 0.01},
        "u3": {"duration": 31.0},
        "u4": {"text": "one zebra"},
        "u5": {"text": "one two three " * 10},
        "u6": {"text": " ... "},
        "u7": {"audio": "missing.flac", "duration": None},
    }
    return ManifestCorpus(write_manifest(tmp_path, 10, **changes), SAMPLE_RATE)


def test_what_cannot_be_used_is_named_with_its_reason(flawed):
    selection = select_usable(flawed, TRANSCRIPTS, **LIMITS)
    used = [flawed.utterances[index].id for index in selection.indices]
    assert used == ["u0", "u8", "u9"]
    reasons = {problem.id: problem.reason for problem in selection.problems}
    assert sorted(reasons) == [f"u{number}" for number in range(1, 8)]
    assert "no text" in reasons["u1"]
    assert "shorter than min_seconds" in reasons["u2"]
    assert "31.00 s is longer than max_seconds, 1.5 s" in reasons["u3"]
    assert "'a' 'b' 'z'" in reasons["u4"]
    assert "more than max_tokens, 40" in reasons["u5"]
    assert "no text" in reasons["u6"]
    assert "missing.flac" in reasons["u7"]


def test_sizes_are_those_of_audio_and_normalised_text(corpus):
    selection = select_usable(corpus, TRANSCRIPTS, **LIMITS)
    assert len(selection) == len(corpus)
    for place, index in enumerate(selection.indices):
        assert selection.num_samples[place] == len(corpus.read(int(index)))
        assert selection.num_tokens[place] == len(corpus.utterances[index].text)


def test_an_evaluation_takes_all_of_them(flawed):
    selection = select_all(flawed, TRANSCRIPTS)
    assert [flawed.utterances[i].id for i in selection.indices] == [
        f"u{number}" for number in range(10) if number != 7
    ]
    assert selection.num_tokens[1] == 0
    assert [problem.id for problem in selection.problems] == ["u7"]


def test_audio_alone_needs_no_text_and_is_cut_where_it_is_long(flawed):
    selection = select_audio(flawed, min_seconds=0.1, max_seconds=1.5)
    used = [flawed.utterances[index].id for index in selection.indices]
    assert used == ["u0", "u1", *["u3"] * 21, "u4", "u5", "u6", "u8", "u9"]
    pieces = [place for place, id_ in enumerate(used) if id_ == "u3"]
    starts, lengths = selection.starts[pieces], selection.num_samples[pieces]
    assert starts[0] == 0
    assert (starts[1:] == (starts + lengths)[:-1]).all()
    assert starts[-1] + lengths[-1] == 31 * SAMPLE_RATE
    assert lengths.max() <= 1.5 * SAMPLE_RATE
    assert {problem.id for problem in selection.problems} == {"u2", "u7"}


def test_a_corpus_with_nothing_usable_is_an_error_that_says_why(corpus):
    limits = LIMITS | {"min_seconds": 5.0}
    with pytest.raises(UserError, match=r"none of its 24 utterances.*'u0'.*shorter than"):
        select_usable(corpus, TRANSCRIPTS, **limits)
