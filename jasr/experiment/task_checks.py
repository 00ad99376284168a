"""What may stand in a section of config.tasks."""

import difflib
from collections.abc import Mapping
from typing import Any

from jasr.corpora.corpus import SPLIT_ALIASES
from jasr.errors import UserError
from jasr.tasks.task import Tagged, Task, Written
from jasr.text.normalizer import normalizer


def check_section(section: Any, splits: Mapping[str, str], where: str) -> None:
    """Raises UserError for what stands around a task and is of another kind, or misspelt.

    splits: config.splits; where: the section's place in the config.
    """
    if not isinstance(section, Mapping):
        raise UserError(f"{where} is {section!r}: expected a section with a name")
    for key in ("corpus", "splits", "decoding"):
        if not isinstance(section.get(key) or {}, Mapping):
            raise UserError(f"{where}.{key} is {section[key]!r}: expected a section of keys")
    # A corpus may have splits of any name; but one that is nearly one of these is meant to be it.
    known = {*splits, *splits.values(), "train", "test", *SPLIT_ALIASES}
    for split in set(section.get("splits") or ()) - known:
        if meant := difflib.get_close_matches(split, known, n=1, cutoff=0.85):
            raise UserError(f"{where}.splits.{split} is no split: did you mean {meant[0]}?")


def check_task(task: Task, transcripts: str, where: str) -> None:
    """Raises UserError where its names or its normaliser are none.

    transcripts: how these are normalised.
    """
    twice = [name for name in task.names if task.names.count(name) > 1]
    if twice:
        raise UserError(f"{where}.names says {twice[0]!r} twice")
    own = getattr(task, "normalizer", transcripts)
    normalizer(own)
    if isinstance(task, Tagged) and own != transcripts:
        raise UserError(
            f"{where}.normalizer is {own!r}: it tags the words of the transcript, of which "
            f"config.text.normalizer is {transcripts!r}; let them be the same"
        )


def check_taught(tasks: Mapping[str, Task], objective: Mapping[str, Any]) -> None:
    """Raises UserError where a task has a head that no term of config.objective teaches."""
    for name, task in tasks.items():
        if isinstance(task, Written):
            continue
        terms = {key: term for key, term in objective.items() if term.get("head") == name}
        if not terms:
            raise UserError(
                f"config.tasks.{name}: no term of config.objective teaches it; add one, "
                f"{{'name': 'classification', 'head': {name!r}, 'task': {name!r}}}"
            )
        for key, term in terms.items():
            if term.get("task", name) != name:
                raise UserError(
                    f"config.objective.{key}: the head {name!r} answers the task of that name, "
                    f"and not {term['task']!r}"
                )
