"""Sentences of everyday events, each with who did what to whom, where and when.

    [TIME] AGENT verb OBJECT [to RECIPIENT] [LOCATION] [TIME]    anna gave the letter to ben at noon
    [TIME] AGENT gave RECIPIENT OBJECT [LOCATION] [TIME]         anna gave ben the letter
    [TIME] OBJECT was verb [by AGENT] [LOCATION] [TIME]          at noon the letter was sent by anna

The three orders mean that no place in a sentence gives a role away. Roles are named as PropBank
names them: Palmer, Gildea, Kingsbury, "The Proposition Bank", Computational Linguistics 31, 2005.
"""

import random
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from jasr.corpora.spoken.vocabulary import AGENTS, FAMILIES, LOCATIONS, TIMES, VerbFamily, listed

MIN_WORDS, MAX_WORDS = 4, 10
# Verbs that take their recipient before the object as well: gave ben the letter.
DOUBLE_OBJECT = {"gave", "sent", "sold", "handed", "offered", "lent", "mailed", "told"}
PLURALS = listed(
    "the tickets,the keys,fresh flowers,two oranges,roasted potatoes,warm pancakes,cold noodles,"
    "the students,the children,two tourists"
)

Item = TypeVar("Item")
# (role, words) in the order they are said; a word of no role has role "".
Phrases = list[tuple[str, str]]


@dataclass(frozen=True)
class Sentence:
    """`labels` has "intent", and under "roles" the span of each role in words, end exclusive."""

    text: str
    labels: dict[str, Any]


def sentences(seed: str, count: int, *, avoid: Set[str] = frozenset()) -> list[Sentence]:
    """`count` distinct sentences, none of them in `avoid`; the same for the same seed."""
    chosen: dict[str, Sentence] = {}
    for sentence in _endless(random.Random(seed)):
        if len(chosen) == count:
            return list(chosen.values())
        if sentence.text not in avoid:
            chosen.setdefault(sentence.text, sentence)
    raise AssertionError("an endless stream ended")


def pick(rng: random.Random, items: Sequence[Item]) -> Item:
    """One of the items. Only `random()` is promised to stay the same in every Python."""
    return items[int(rng.random() * len(items))]


def _endless(rng: random.Random) -> Iterator[Sentence]:
    while True:
        family = pick(rng, FAMILIES)
        phrases = _phrases(rng, family)
        if MIN_WORDS <= sum(len(words.split()) for _, words in phrases) <= MAX_WORDS:
            yield _labelled(family.intent, phrases)


def _phrases(rng: random.Random, family: VerbFamily) -> Phrases:
    past, participle = pick(rng, family.verbs)
    agent, recipient = _two_people(rng)
    patient = pick(rng, [item for item in family.objects if item not in (agent, recipient)])
    if rng.random() < 0.2:
        event = _passive(rng, agent, participle, patient)
    else:
        event = _active(rng, family, agent=agent, past=past, patient=patient, recipient=recipient)
    if rng.random() < 0.45:
        event.append(("ARGM-LOC", pick(rng, LOCATIONS)))
    when = rng.random()
    if when < 0.35:
        event.append(("ARGM-TMP", pick(rng, TIMES)))
    elif when < 0.5:
        event.insert(0, ("ARGM-TMP", pick(rng, TIMES)))
    return event


def _two_people(rng: random.Random) -> tuple[str, str]:
    agent = pick(rng, AGENTS)
    return agent, pick(rng, [person for person in AGENTS if person != agent])


def _active(
    rng: random.Random, family: VerbFamily, *, agent: str, past: str, patient: str, recipient: str
) -> Phrases:
    start = [("ARG0", agent), ("V", past)]
    if family.recipient is None or rng.random() < 0.3:
        return [*start, ("ARG1", patient)]
    if past in DOUBLE_OBJECT and (past == "told" or rng.random() < 0.5):
        return [*start, ("ARG2", recipient), ("ARG1", patient)]
    return [*start, ("ARG1", patient), ("ARG2", f"{family.recipient} {recipient}")]


def _passive(rng: random.Random, agent: str, participle: str, patient: str) -> Phrases:
    event = [("ARG1", patient), ("", "were" if patient in PLURALS else "was"), ("V", participle)]
    if rng.random() < 0.8:
        event.append(("ARG0", f"by {agent}"))
    return event


def _labelled(intent: str, phrases: Phrases) -> Sentence:
    words: list[str] = []
    roles = {}
    for role, phrase in phrases:
        start = len(words)
        words += phrase.split()
        if role:
            roles[role] = {"phrase": phrase, "span": [start, len(words)]}
    return Sentence(" ".join(words), {"intent": intent, "roles": roles})
