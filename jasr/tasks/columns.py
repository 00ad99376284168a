"""Columns of a corpus as tasks read them; what else stands there is refused, with its utterance."""

from collections.abc import Mapping
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.errors import UserError

# Columns that every corpus has; all others are labels.
OWN = ("text", "speaker")


def read_text(utterance: Utterance, column: str) -> str | None:
    """A text; None where there is none."""
    value = _value(utterance, column)
    if value is not None and not isinstance(value, str):
        raise unexpected(utterance, column, value, "a text")
    return value


def read_name(utterance: Utterance, column: str) -> str | None:
    """The name of a class, or a number that stands for one; None where there is none."""
    value = _value(utterance, column)
    if value is not None and not isinstance(value, str | int | float):
        raise unexpected(utterance, column, value, "a name or a number")
    return None if value is None else str(value)


def read_phrases(utterance: Utterance, column: str) -> Mapping[str, str] | None:
    """{name: phrase}; None where there is none."""
    value = _value(utterance, column)
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
        raise unexpected(utterance, column, value, "{name: phrase}")
    return value


def read_spans(utterance: Utterance, column: str) -> Mapping[str, Mapping[str, Any]] | None:
    """{name: {"phrase": text, "span": [number of its first word, of that behind its last]}}; None
    where there is none."""
    value = _value(utterance, column)
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(map(_is_span, value.values())):
        raise unexpected(
            utterance, column, value, '{name: {"phrase": text, "span": [first word, behind last]}}'
        )
    return value


def unexpected(utterance: Utterance, column: str, value: Any, expected: str) -> UserError:
    """What is said of a column that holds something else."""
    return UserError(
        f"utterance {utterance.id!r}: {column} is {value!r:.60}: expected {expected}; mend the "
        f"manifest, or let the task in config.tasks read another column"
    )


def _value(utterance: Utterance, column: str) -> Any:
    return getattr(utterance, column) if column in OWN else utterance.labels.get(column)


def _is_span(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("phrase"), str):
        return False
    span = value.get("span")
    return isinstance(span, list | tuple) and len(span) == 2 and all(type(n) is int for n in span)
