"""Rows of utterance and task, and the numbers they become."""

import pickle

import numpy as np
import pytest

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.spoken.grammar import sentences
from jasr.errors import UserError
from jasr.tasks.asked import AskedCorpus
from jasr.tasks.classes import Classes
from jasr.tasks.frames import SemanticRoles
from jasr.tasks.role_tags import RoleTags
from jasr.tasks.task import mark
from jasr.tasks.task_targets import TaskTargets
from jasr.tasks.text import Text
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import train_tokenizer


class Silence(Corpus):
    name, split, sample_rate, problems = "silence", "train", 16_000, ()
    utterances = ()

    def __init__(self):
        self.utterances = [
            Utterance(f"u{number}", one.text, f"s{number % 3}", 1.0, one.labels)
            for number, one in enumerate(sentences("any", 40))
        ]
        self.utterances[0] = Utterance("u0", None, None, 1.0)

    def read(self, index):
        return np.full(16_000, index, np.float32)


CORPUS = Silence()
TEXTS = [one.text for one in CORPUS.utterances if one.text]
MARKS = tuple(map(mark, SemanticRoles().names))
TOKENIZER = train_tokenizer("bpe", TEXTS, vocab_size=120, marks=MARKS)
TASKS = {
    "transcript": Text(),
    "roles": SemanticRoles(),
    "tags": RoleTags(),
    "speaker": Classes(column="speaker", names=("s0", "s1")),
}
TARGETS = TaskTargets(TASKS, TOKENIZER, normalizer("basic-v1"))


def asked(name):
    return AskedCorpus(CORPUS, name, TASKS[name])


def test_a_mark_is_one_token_and_words_are_theirs():
    for text in ("<V> gave", "<ARG0> anna <ARGM-TMP> at noon"):
        tokens = TOKENIZER.encode(text)
        assert TOKENIZER.decode(tokens) == text
        for name in MARKS:
            (token,) = TOKENIZER.encode(name)
            assert tokens.count(token) == text.split().count(name)
    with pytest.raises(UserError, match="has no token for a whole word such as '<V>'"):
        train_tokenizer("character", TEXTS, vocab_size=0, marks=("<V>",))


def test_what_has_no_label_is_not_asked():
    assert len(asked("transcript")) == len(CORPUS) - 1
    assert asked("transcript").read(0)[0] == 1
    everything = AskedCorpus(CORPUS, "roles", None)
    assert len(everything) == len(CORPUS)
    again = pickle.loads(pickle.dumps(asked("roles")))
    assert [u.id for u in again.utterances] == [u.id for u in asked("roles").utterances]


def test_every_row_has_its_own_task_s_targets():
    for number, name in enumerate(TASKS):
        for utterance in asked(name).utterances:
            targets = TARGETS.of(utterance)
            assert targets["task"] == [number]
            assert TOKENIZER.decode(targets["transcript"]) == utterance.text
            assert set(targets) <= {"task", "transcript", "text", name}
            if name == "tags":
                assert len(targets["tags"]) == len(targets["text"])
                assert TOKENIZER.decode(targets["text"]) == utterance.text
            elif name == "speaker":
                # A class that training never heard of has no number.
                known = utterance.speaker in ("s0", "s1")
                assert ("speaker" in targets) == known
                assert "text" not in targets
            else:
                task = TASKS[name]
                assert task.read(TOKENIZER.decode(targets["text"])) == task.label(utterance)


def test_what_is_not_labelled_has_a_task_and_nothing_more():
    (first, *_) = AskedCorpus(CORPUS, "roles", None).utterances
    assert TARGETS.of(first) == {"task": [1]}


def test_tags_of_characters_are_those_of_their_words():
    characters = train_tokenizer("character", TEXTS, vocab_size=0)
    targets = TaskTargets({"tags": TASKS["tags"]}, characters, normalizer("basic-v1"))
    for utterance in asked("tags").utterances[:5]:
        numbers = targets.of(utterance)
        assert characters.decode(numbers["text"]) == utterance.text
        words = utterance.text.split()
        starts = characters.word_starts(numbers["text"])
        assert [TASKS["tags"].names[numbers["tags"][at]] for at in starts] == TASKS["tags"].tags_of(
            utterance, words
        )


def test_a_text_that_cannot_be_spelled_leaves_the_task_that_is_asked():
    (asked_of, *_) = asked("roles").utterances
    assert TARGETS.without_text(asked_of) == {"task": [1]}
