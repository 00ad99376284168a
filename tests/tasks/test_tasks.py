"""What labels become, what answers are read as, and how they are counted."""

from collections import Counter

import pytest

from jasr.corpora.corpus import Utterance
from jasr.corpora.spoken.grammar import sentences
from jasr.errors import UserError
from jasr.tasks.classes import Classes
from jasr.tasks.frames import SemanticRoles
from jasr.tasks.role_tags import RoleTags
from jasr.tasks.slots import Slots
from jasr.tasks.task import mark
from jasr.tasks.text import Text

ORDER = {
    "intent": "order",
    "slots": {"size": "small", "drink": "iced mocha"},
}


def utterance(text=None, speaker=None, **labels):
    return Utterance("one", text, speaker, 1.0, labels)


def spoken(count=200):
    return [utterance(s.text, "en+f1", **s.labels) for s in sentences("any", count)]


def total(task, pairs):
    counts = Counter()
    for label, answer in pairs:
        counts.update(task.count(label, answer))
    return task.figures(counts)


@pytest.mark.parametrize("task", [Text(), SemanticRoles(), Slots(names=("size", "drink"))])
def test_an_unlabelled_utterance_has_no_label(task):
    assert task.label(utterance()) is None


def test_what_is_written_is_read_again():
    for one in spoken():
        for task in (Text(), SemanticRoles()):
            assert task.read(task.write(task.label(one))) == task.label(one)
    slots = Slots()
    label = slots.label(utterance(**ORDER))
    assert slots.write(label) == "<intent=order> please <drink> iced mocha <size> small"
    known = Slots(names=tuple(slots.names_in(label)))
    assert known.read(known.write(label)) == label


def test_any_text_of_a_recording_is_a_task():
    one = utterance("Well, Anna!", translation="Nun, Anna!")
    assert Text().label(one) == "well anna"
    assert Text(normalizer="verbatim-v1").label(one) == "Well, Anna!"
    assert Text(column="translation").label(one) == "nun anna"
    assert Text(column="summary").label(one) is None


def test_right_answers_are_all_right():
    for task in (SemanticRoles(), RoleTags()):
        labels = [task.label(one) for one in spoken()]
        figures = total(task, zip(labels, labels, strict=True))
        assert (figures["f1"], figures["precision"], figures["recall"]) == (1, 1, 1)
        assert figures["malformed"] == 0
    label = Slots().label(utterance(**ORDER))
    figures = total(Slots(), [(label, label)])
    assert (figures["slu_f1"], figures["f1"], figures["intent_accuracy"]) == (1, 1, 1)
    assert total(Text(), [("a b", "a b")]) == {"wer": 0, "cer": 0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna gave the letter",
        "anna <V> gave",
        "<V>",
        "<V> gave <ARG0>",
        "<V> gave <ARG0> anna <V> gave",
        "<V> <ARG0> anna",
    ],
)
def test_a_malformed_line_is_no_frame_and_no_crash(text):
    roles = SemanticRoles()
    assert roles.read(text) is None
    figures = total(roles, [({"V": "gave", "ARG0": "anna"}, None)])
    assert (figures["f1"], figures["malformed"]) == (0, 1)


def test_an_argument_counts_with_its_predicate_alone():
    roles = SemanticRoles()
    label = {"ARG0": "anna", "V": "gave", "ARG1": "the letter", "ARG2": "ben"}
    answer = {"ARG0": "anna", "V": "gave", "ARG1": "a letter"}
    figures = total(roles, [(label, answer)])
    assert figures["precision"] == pytest.approx(1 / 2)
    assert figures["recall"] == pytest.approx(1 / 3)
    assert figures["f1"] == pytest.approx(2 / 5)
    assert total(roles, [(label, {**label, "V": "sold"})])["f1"] == 0


def roles(**phrases):
    """Labels of an utterance whose roles follow one another."""
    spans, place = {}, 0
    for role, phrase in phrases.items():
        behind = place + len(phrase.split())
        spans[role.replace("_", "-")] = {"phrase": phrase, "span": [place, behind]}
        place = behind
    return {"roles": spans}


def test_phrases_are_normalised_as_transcripts_are():
    one = utterance("Anna gave Ben's letter.", **roles(ARG0="Anna", V="gave", ARG1="Ben's letter."))
    expected = {"ARG0": "anna", "V": "gave", "ARG1": "ben's letter"}
    assert SemanticRoles().label(one) == RoleTags().label(one) == expected
    tags = RoleTags().tags_of(one, ["anna", "gave", "ben's", "letter"])
    assert tags == ["B-ARG0", "B-V", "B-ARG1", "I-ARG1"]
    assert SemanticRoles(normalizer="verbatim-v1").label(one)["ARG0"] == "Anna"
    order = utterance(intent="order", slots={"drink": "Iced Mocha!", "extra": "..."})
    assert Slots().label(order) == {"intent": "order", "slots": {"drink": "iced mocha"}}


def test_roles_that_a_task_does_not_know_are_left_out():
    one = utterance(
        "anna gave ben well", **roles(ARG0="anna", V="gave", ARG3="ben", ARGM_MNR="well")
    )
    assert SemanticRoles().label(one) == {"ARG0": "anna", "V": "gave"}
    assert RoleTags().tags_of(one, one.text.split()) == ["B-ARG0", "B-V", "O", "O"]
    assert SemanticRoles().label(utterance("well", **roles(ARGM_MNR="well"))) is None


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        (Text(column="other"), {"other": 7}, "other is 7: expected a text"),
        (Classes(), {"intent": ["a"]}, r"intent is \['a'\]: expected a name or a number"),
        (Classes(column="n", among=2), {"n": "two"}, "n is 'two': expected a whole number"),
        (Slots(), {"intent": "a", "slots": "b"}, r"slots is 'b': expected \{name: phrase\}"),
        (Slots(), {"intent": "a", "slots": {"b": 1}}, r"expected \{name: phrase\}"),
        (SemanticRoles(), {"roles": {"V": "gave"}}, r'expected \{name: \{"phrase"'),
        (SemanticRoles(), {"roles": {"V": {"phrase": "gave"}}}, r'expected \{name: \{"phrase"'),
        (RoleTags(), {"roles": "V"}, r'expected \{name: \{"phrase"'),
    ],
)
def test_a_column_of_something_else_is_refused_with_its_utterance(task, labels, message):
    with pytest.raises(UserError, match=f"utterance 'one': .*{message}"):
        task.label(utterance("a", **labels))


@pytest.mark.parametrize("name", ["order drink", "<a", "a>", ""])
def test_what_cannot_be_a_mark_is_no_name(name):
    with pytest.raises(UserError, match="expected one word without < and >"):
        mark(name)


def test_tags_and_phrases_say_the_same():
    tags = RoleTags()
    for one in spoken():
        words, label = one.text.split(), tags.label(one)
        assert tags.read(words, tags.tags_of(one, words)) == label
    # An I without its B begins a phrase; of two of one role the first counts.
    assert tags.read(["a", "b", "c"], ["I-ARG0", "O", "B-ARG0"]) == {"ARG0": "a"}


@pytest.mark.parametrize(
    ("words", "roles", "expected"),
    [
        (
            "at noon anna was called",
            {"ARGM-TMP": ("at noon", 0), "ARG1": ("anna", 2), "V": ("called", 4)},
            "B-ARGM-TMP I-ARGM-TMP B-ARG1 O B-V",
        ),
        # Of two alike, the one that is meant.
        ("a man said the man left", {"V": ("said", 2), "ARG1": ("man", 4)}, "O O B-V O B-ARG1 O"),
        # The treebank counts "it 's" as two words.
        ("it's a man who left", {"V": ("left", 5), "ARG0": ("man", 3)}, "O O B-ARG0 O B-V"),
        # What is not there is no one's, and the others stand where they stand.
        ("it's a man", {"V": ("'s", 1), "ARG1": ("man", 3)}, "O O B-ARG1"),
    ],
)
def test_tags_stand_where_the_phrases_are(words, roles, expected):
    labels = {
        role: {"phrase": phrase, "span": [start, start + len(phrase.split())]}
        for role, (phrase, start) in roles.items()
    }
    utterance = Utterance("u", words, None, 1.0, {"roles": labels})
    assert RoleTags().tags_of(utterance, words.split()) == expected.split()


def test_slu_f1_counts_a_phrase_by_its_errors():
    task = Slots()
    label = {"intent": "order", "slots": {"drink": "iced mocha", "size": "small"}}
    answer = {"intent": "order", "slots": {"drink": "iced mocca"}}
    figures = total(task, [(label, answer)])
    # One of two words and one of ten characters wrong, on either side; one slot left out.
    right, false = 2, 2 * (1 / 2 + 1 / 10) + 2
    assert figures["slu_f1"] == pytest.approx(2 * right / (2 * right + false), abs=1e-3)
    assert figures["f1"] == 0
    assert figures["intent_accuracy"] == 1
    assert total(task, [(label, None)])["intent_accuracy"] == 0
    # Words are counted by those that were said, characters by the longer of the two.
    label = {"intent": "order", "slots": {"drink": "tea"}}
    answer = {"intent": "order", "slots": {"drink": "iced mocha with milk"}}
    false = 2 * (4 / 1 + 18 / 20)
    expected = 2 * right / (2 * right + false)
    assert total(task, [(label, answer)])["slu_f1"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "<size> small",
        "<intent=order> please <intent=other> please",
        "<intent=order> <size> small",
        "please",
    ],
)
def test_a_line_without_one_intent_is_malformed(text):
    task = Slots(names=("intent=order", "intent=other", "size"))
    assert task.read(text) is None


def test_classes_may_be_what_numbers_have_in_common():
    assert Classes(column="speaker").label(utterance(speaker="x")) == "x"
    assert Classes(column="label").label(utterance(label=7)) == "7"
    assert Classes(column="label", among=2).label(utterance(label="7")) == "1"
    assert Classes().label(utterance(label=7)) is None
    assert total(Classes(), [("a", "a"), ("a", "b")]) == {"error": 0.5, "accuracy": 0.5}
