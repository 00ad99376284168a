"""Who did what to whom, as a tag of each word."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.errors import UserError
from jasr.tasks.frames import ROLES, SemanticRoles
from jasr.tasks.task import Tagged

NONE = "O"


@dataclasses.dataclass(frozen=True)
class RoleTags(Tagged):
    """Roles by tags of words, B-ROLE for the first of a phrase, I-ROLE for those after it, O.

    Scored as `SemanticRoles`. Ramshaw and Marcus 1995, "Text chunking using
    transformation-based learning", section 4.

    names:      O, and both tags of every role; other roles are left out.
    normalizer: of the phrases, that of the transcript.
    """

    columns = SemanticRoles.columns

    column: str = "roles"
    predicate: str = "V"
    names: tuple[str, ...] = (NONE, *(f"{place}-{role}" for role in ROLES for place in "BI"))
    normalizer: str = "basic-v1"

    def __post_init__(self) -> None:
        if self.names[:1] != (NONE,):
            raise UserError(f"task 'role_tags': names begin with {self.names[:1]}: expected {NONE}")
        for tag in self.names[1:]:
            place, _, role = tag.partition("-")
            if place not in ("B", "I") or not role:
                raise UserError(f"task 'role_tags': names say {tag!r}: expected B-ROLE or I-ROLE")
            other = f"{'I' if place == 'B' else 'B'}-{role}"
            if other not in self.names:
                raise UserError(f"task 'role_tags': names lack {other!r}, and have {tag!r}")

    def label(self, utterance: Utterance) -> Any:
        return self._roles.label(utterance)

    def tags_of(self, utterance: Utterance, words: Sequence[str]) -> list[str]:
        """A phrase stands where its span says or, where other words stand there, as they do if the
        transcript counts words otherwise, at the next place that has it; O for all others."""
        tags = [NONE] * len(words)
        place = 0
        for role, phrase in self.label(utterance).items():
            said = phrase.split()
            start = utterance.labels[self.column][role]["span"][0]
            places = (start, *range(place, len(words)), *range(place))
            found = next((at for at in places if words[at : at + len(said)] == said), None)
            if found is None:
                continue
            place = found + len(said)
            for number in range(found, place):
                tags[number] = f"{'I' if number > found else 'B'}-{role}"
        return tags

    def read(self, words: Sequence[str], tags: Sequence[str]) -> Any:
        """The phrases that tags begin; of two of one role, the first."""
        phrases: dict[str, str] = {}
        for role, said in _spans(words, tags):
            phrases.setdefault(role, " ".join(said))
        return phrases

    def count(self, label: Any, predicted: Any) -> Counter[str]:
        return self._roles.count(label, predicted)

    def figures(self, counts: Mapping[str, int]) -> dict[str, float]:
        return self._roles.figures(counts)

    @property
    def _roles(self) -> SemanticRoles:
        return SemanticRoles(
            column=self.column,
            predicate=self.predicate,
            names=tuple(name.removeprefix("B-") for name in self.names if name.startswith("B-")),
            normalizer=self.normalizer,
        )


def _spans(words: Sequence[str], tags: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    role, said = "", []
    for word, tag in zip(words, tags, strict=True):
        place, _, name = tag.partition("-")
        if place == "I" and name == role:
            said.append(word)
            continue
        if role:
            yield role, said
        role, said = name, [word]
    if role:
        yield role, said
