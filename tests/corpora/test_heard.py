"""What a recogniser heard, in place of what was said."""

import json

import numpy as np
import pytest

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.heard import HeardCorpus, Trust
from jasr.errors import UserError


class Recordings(Corpus):
    name, split, sample_rate, problems = "recordings", "train", 16_000, ()
    utterances = tuple(Utterance(name, f"said {name}", None, 1.0) for name in "abc")

    def read(self, index):
        return np.full(8, index, np.float32)


def row(name, *texts, confidence=0.9, agreement=1.0):
    hypotheses = [
        {"text": text, "confidence": confidence / (place + 1)} for place, text in enumerate(texts)
    ]
    heard = {"id": name, "answer": texts[0], "confidence": confidence, "hypotheses": hypotheses}
    return heard | {"agreement": agreement}


def heard(tmp_path, rows, **trust):
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return HeardCorpus(Recordings(), path, Trust(**trust))


ROWS = [
    row("a", "one", "won", "one", "wan"),
    row("b", "two", "too", confidence=0.5),
    row("c", "three", "free", agreement=0.2),
]


@pytest.mark.parametrize(
    ("trust", "texts"),
    [
        ({}, ["one", "two", "three"]),
        ({"min_confidence": 0.6}, ["one", None, "three"]),
        ({"surest": 0.6}, ["one", None, "three"]),
        ({"surest": 0.9, "min_confidence": 0.6}, ["one", None, "three"]),
        ({"min_agreement": 0.5}, ["one", "two", None]),
        # Two hypotheses with one text are one transcript.
        ({"hypotheses": 3}, ["one", "won", "two", "too", "three", "free"]),
        ({"hypotheses": 2, "min_confidence": 0.42}, ["one", "won", "two", "three", "free"]),
    ],
)
def test_what_is_believed_is_the_transcript(trust, texts, tmp_path):
    corpus = heard(tmp_path, ROWS, **trust)
    assert [utterance.text for utterance in corpus.utterances] == texts
    for place, utterance in enumerate(corpus.utterances):
        assert corpus.read(place)[0] == "abc".index(utterance.id)


def test_what_is_no_such_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"says nothing of 1 utterances of 'train', 'c'"):
        _ = heard(tmp_path, ROWS[:2]).utterances
    with pytest.raises(UserError, match="ids twice"):
        _ = heard(tmp_path, [*ROWS, ROWS[0]]).utterances
    with pytest.raises(UserError, match="a row lacks 'answer': expected JSON lines with id"):
        _ = heard(tmp_path, [{"id": "a"}]).utterances
    with pytest.raises(UserError, match=r"a row lacks 'confidence'.*as launch.label writes them"):
        _ = heard(tmp_path, [{"id": "a", "answer": "one"}], surest=0.5).utterances
    with pytest.raises(UserError, match="the answer for 'a' is no text"):
        _ = heard(tmp_path, [{"id": "a", "answer": {"V": "gave"}}]).utterances
    with pytest.raises(UserError, match="says nothing of 3 utterances"):
        _ = heard(tmp_path, [], surest=0.5).utterances
    with pytest.raises(UserError, match=r"labels.jsonl cannot be read: No such file"):
        _ = HeardCorpus(Recordings(), tmp_path / "none" / "labels.jsonl").utterances
    with pytest.raises(UserError, match=r"config\.labels\.surest is 0.0: expected a share"):
        Trust(surest=0.0)


def test_where_nothing_is_believed_nothing_is_learned(tmp_path):
    unsure = [row(name, "x", confidence=float("nan")) for name in "abc"]
    with pytest.raises(UserError, match="a confidence is no number"):
        _ = heard(tmp_path, unsure, surest=0.6).utterances
    with pytest.raises(UserError, match="must be real number, not str"):
        _ = heard(tmp_path, [{"id": "a", "answer": "x", "confidence": "0"}], surest=0.6).utterances
    with pytest.raises(UserError, match=r"of 3 utterances nothing is believed: lower config"):
        _ = heard(tmp_path, ROWS, min_confidence=0.95).utterances
    for key in ("min_confidence", "min_agreement"):
        with pytest.raises(UserError, match=rf"config\.labels\.{key} is 2.0: expected a number"):
            Trust(**{key: 2.0})
