"""Texts of one's own, spoken."""

import json

import pytest

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.corpora.spoken.voices import VARIANTS
from jasr.errors import UserError

CONFIG = {"kind": "spoken_text", "name": "orders", "sample_rate": 16_000}
ROWS = [
    {"id": "a", "text": "a small latte", "intent": "order", "slots": {"size": "small"}},
    {"id": "b", "text": "two cups of tea, please!", "intent": "order"},
    {"id": "c", "text": "nothing for me", "split": "dev", "intent": "refuse"},
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_texts_become_recordings_with_their_labels(tmp_path):
    prepare_corpus(CONFIG, write(tmp_path / "texts.jsonl", ROWS), tmp_path / "data")
    train = open_corpus(CONFIG, "train", tmp_path / "data")
    spoken = {utterance.id: utterance for utterance in train.utterances}
    assert set(spoken) == {"a", "b"}
    assert spoken["a"].text == "a small latte"
    assert spoken["a"].labels == {"intent": "order", "slots": {"size": "small"}}
    assert all(0.4 < utterance.duration < 4 for utterance in train.utterances)
    (refused,) = open_corpus(CONFIG, "validation", tmp_path / "data").utterances
    assert refused.labels == {"intent": "refuse"}
    assert refused.speaker.partition("+")[2] in VARIANTS["validation"]


def test_a_folder_holds_them_too(tmp_path):
    write(tmp_path / "texts.jsonl", ROWS)
    prepare_corpus(CONFIG, tmp_path, tmp_path / "data")
    assert len(open_corpus(CONFIG, "train", tmp_path / "data")) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a"}], "texts.jsonl:1: expected a JSON object with id and text"),
        ([ROWS[0], {"id": "b", "text": " "}], "texts.jsonl:2: expected a text to say"),
        ([ROWS[0], ROWS[0]], "texts.jsonl:2: id 'a' was given before"),
        ([{**ROWS[0], "split": "tests"}], "texts.jsonl:1: split 'tests' is none of train"),
        ([], "has no lines"),
    ],
)
def test_what_cannot_be_spoken_is_named(rows, message, tmp_path):
    with pytest.raises(UserError, match=message):
        prepare_corpus(CONFIG, write(tmp_path / "texts.jsonl", rows), tmp_path / "data")
