"""config.tasks: NAME -> {name, fields, corpus, splits, share, decoding}.

a corpus of each task ──▶ rows of utterance and task, mixed ──▶ batches
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import SPLIT_ALIASES, Corpus
from jasr.corpora.joined import JoinedCorpus
from jasr.errors import UserError
from jasr.experiment.construct import construct_named
from jasr.experiment.task_checks import check_section, check_task
from jasr.experiment.workdir import Meta
from jasr.tasks.asked import AskedCorpus
from jasr.tasks.classes import Classes
from jasr.tasks.frames import SemanticRoles
from jasr.tasks.mixture import Mixing, Mixture
from jasr.tasks.role_tags import RoleTags
from jasr.tasks.slots import Slots
from jasr.tasks.task import Task, Written, mark
from jasr.tasks.text import Text

TASKS = {
    "text": Text,
    "classes": Classes,
    "semantic_roles": SemanticRoles,
    "role_tags": RoleTags,
    "slots": Slots,
}
# What batches, models and transcriptions have of their own under these names.
RESERVED = ("task", "text", "transcript", "encoder", "ctc", "decoder", "decoder_factors", "path")
# Keys of a task's section beside its own: what it is learned from, and how answers are searched.
AROUND_IT = ("corpus", "splits", "share", "decoding")


def build_tasks(config: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> dict[str, Task]:
    """The tasks of config.tasks; names: of what each was found to choose from."""
    tasks = {}
    for name, section in config["tasks"].items():
        where = f"config.tasks.{name}"
        check_section(section, config["splits"], where)
        fields = {key: value for key, value in section.items() if key not in AROUND_IT}
        fields |= _as_transcripts_are(fields, config["text"])
        task = construct_named(TASKS, fields, where)
        check_task(task, config["text"]["normalizer"], where)
        if name in RESERVED and not (isinstance(task, Written) and name != "path"):
            raise UserError(f"config.tasks.{name}: the name is taken; give the task another")
        found = tuple(names.get(name, ()))
        tasks[name] = dataclasses.replace(task, names=found) if found else task
    return tasks


def _as_transcripts_are(fields: Mapping[str, Any], text: Mapping[str, Any]) -> dict[str, Any]:
    """What a task that normalises does unless its section says otherwise."""
    task: Any = TASKS.get(fields.get("name", ""))
    normalizes = task is not None and "normalizer" in {f.name for f in dataclasses.fields(task)}
    return {"normalizer": text["normalizer"]} if normalizes and "normalizer" not in fields else {}


def open_split(config: Mapping[str, Any], split: str, data_dir: str | None) -> Corpus:
    """A split of config.corpus, or of every task's corpus, each asked what it is for."""
    if not config["tasks"]:
        return open_corpus(config["corpus"], split, data_dir)
    return JoinedCorpus(_of_every_task(config, split, data_dir))


def open_mixture(config: Mapping[str, Any], split: str, data_dir: str | None) -> Corpus:
    """The same, to be trained on: tasks are mixed."""
    if not config["tasks"]:
        return open_corpus(config["corpus"], split, data_dir)
    mixing = Mixing.of(config["tasks"], config["mixing_temperature"])
    return Mixture(_of_every_task(config, split, data_dir), mixing)


def _of_every_task(
    config: Mapping[str, Any], split: str, data_dir: str | None
) -> list[AskedCorpus]:
    parts = [ask(config, name, split, data_dir) for name in config["tasks"]]
    for part in parts:
        if not len(part):
            raise UserError(
                f"config.tasks.{part.task}: no utterance of the split {split!r} has a label for it"
                f"{_columns_of(part.whole)}"
            )
    return parts


def _columns_of(corpus: Corpus) -> str:
    columns = sorted({column for u in corpus.utterances for column in u.labels})
    return f"; the corpus has the columns {', '.join(columns) or 'of no label'}"


def ask(config: Mapping[str, Any], name: str, split: str, data_dir: str | None) -> AskedCorpus:
    """The utterances of a split of a task's corpus that have a label for it."""
    corpus = open_corpus(*place_of(config, name, split), data_dir)
    return AskedCorpus(corpus, name, build_tasks(config, {})[name])


def place_of(config: Mapping[str, Any], name: str, split: str) -> tuple[dict[str, Any], str]:
    """The corpus section of a task, and what stands there for a split."""
    task = config["tasks"][name]
    section = {**config["corpus"], **(task.get("corpus") or {})}
    splits = task.get("splits") or {}
    # What config.splits has in the place of train or validation goes by that name too.
    roles = [role for role, stated in config["splits"].items() if stated == split]
    names = (split, SPLIT_ALIASES.get(split), *roles)
    return section, next((splits[name] for name in names if name in splits), split)


def find_names(config: Mapping[str, Any], corpus: Corpus) -> dict[str, list[str]]:
    """What each task that does not say so itself has to choose from, in the training data."""
    found = {}
    for name, task in build_tasks(config, {}).items():
        labels = (task.label(u) for u in corpus.utterances if getattr(u, "task", "") == name)
        names = sorted({part for label in labels for part in task.names_in(label)})
        if names and not task.names:
            found[name] = names
    return found


def texts_and_marks(
    tasks: Mapping[str, Task], corpus: Corpus
) -> tuple[Iterator[str], tuple[str, ...]]:
    """What the tasks write of a corpus, and the words that are to be one token each."""
    writing = {name: task for name, task in tasks.items() if isinstance(task, Written)}
    marks = tuple(dict.fromkeys(mark(n) for task in writing.values() for n in task.names))

    def texts() -> Iterator[str]:
        for utterance in corpus.utterances:
            task = writing.get(getattr(utterance, "task", ""))
            label = None if task is None else task.label(utterance)
            if task is not None and label is not None:
                yield " ".join(word for word in task.write(label).split() if word not in marks)

    return texts(), marks


def tasks_of(meta: Meta) -> dict[str, Task]:
    """Those that a training learns, with what each was found to choose from."""
    return build_tasks(meta.config, meta.tasks)
