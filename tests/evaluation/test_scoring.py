import json
import resource
import signal

import pytest

from jasr.errors import UserError
from jasr.evaluation.scoring import summarize, write_evaluation

SUMMARY_KEYS = [
    "scored",
    "wer", "wer_low", "wer_high", "cer", "words", "substitutions", "deletions", "insertions",
    "utterances", "normalizer", "decoding", "audio_seconds", "seconds", "step",
]  # fmt: skip


@pytest.fixture
def scores(make_scores):
    return make_scores(
        ("a", "The cat sat.", "the cat sat"),
        ("b", "A small bird sang", "a tall bird"),
        ("c", "naïve café", "naïve oh café"),
    )


def test_texts_are_normalised_and_their_errors_counted_by_kind(scores):
    assert (scores[0].reference, scores[0].words.errors) == ("the cat sat", 0)
    words = scores[1].words
    assert (words.substitutions, words.deletions, words.insertions, words.length) == (1, 1, 0, 4)
    assert scores[2].words.insertions == 1
    assert scores[2].characters.errors == len(" oh")


def test_summary_adds_up(scores, summary_of):
    summary = summary_of(scores)
    assert list(summary) == SUMMARY_KEYS
    assert summary["wer"] == pytest.approx(3 / 9)
    assert summary["wer_low"] <= summary["wer"] <= summary["wer_high"]
    counts = ("words", "substitutions", "deletions", "insertions", "utterances")
    assert [summary[key] for key in counts] == [9, 1, 1, 1, 3]
    # Of characters: sm/t in "small", " sang" and " oh".
    assert summary["cer"] == pytest.approx((2 + 5 + 3) / (11 + 17 + 10))
    assert (summary["audio_seconds"], summary["seconds"], summary["step"]) == (6.0, 1.5, 7)
    assert (summary["normalizer"], summary["decoding"]) == ("basic-v1", "ctc-greedy")


def test_summary_of_silence_is_finite(make_scores, summary_of):
    summary = summary_of(make_scores(("a", "", ""), ("b", "", "")))
    assert (summary["wer"], summary["cer"], summary["words"]) == (0.0, 0.0, 0)


def test_no_utterance_is_an_error():
    with pytest.raises(UserError, match="no utterance of the split was scored"):
        summarize([], normalizer="basic-v1", decoding="ctc-greedy", step=0, seconds=0.0)


def test_files_hold_what_was_scored(scores, summary_of, tmp_path):
    folder = tmp_path / "eval" / "test"
    summary = summary_of(scores)
    write_evaluation(folder, scores, summary)
    assert json.loads((folder / "summary.json").read_text()) == summary
    lines = (folder / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b", "c"]
    assert json.loads(lines[2]) == {
        "id": "c",
        "reference": "naïve café",
        "hypothesis": "naïve oh café",
        "words": 2,
        "substitutions": 0,
        "deletions": 0,
        "insertions": 1,
        "characters": 10,
        "character_errors": 3,
        "duration": 2.0,
    }
    assert sorted(path.name for path in folder.iterdir()) == ["summary.json", "utterances.jsonl"]


def test_full_disk_ends_in_one_line_and_keeps_the_earlier_files(scores, summary_of, tmp_path):
    write_evaluation(tmp_path, scores, summary_of(scores))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with file_size_limit(64), pytest.raises(UserError) as raised:
        write_evaluation(tmp_path, scores[:2], summary_of(scores[:2]))
    assert str(tmp_path / "utterances.jsonl") in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_that_is_a_file_ends_in_one_line(scores, summary_of, tmp_path):
    (tmp_path / "eval").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write .*eval"):
        write_evaluation(tmp_path / "eval", scores, summary_of(scores))


class file_size_limit:
    """No file may grow beyond so many bytes: writing more fails as on a full disk."""

    def __init__(self, limit):
        self.limit = limit

    def __enter__(self):
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
        signal.signal(signal.SIGXFSZ, self.handler)
