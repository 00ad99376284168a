"""Several tasks' targets in one batch: each row is an utterance and what is asked of it."""

import dataclasses
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.tasks.asked import Asked
from jasr.tasks.targets import Normalize, Targets
from jasr.tasks.task import Classified, Tagged, Task, Written
from jasr.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, eq=False)
class TaskTargets(Targets):
    """What each row's task makes of its utterance.

    "task":       the number of the task.
    "text":       what the decoder is to write, or reads where tokens are tagged.
    "transcript": what is said, whatever the task, where it is known.
    NAME:         the class, or the tags of "text"'s tokens, of the task of that name.

    tasks:     by name, in the order of their numbers.
    normalize: of the transcript.
    """

    tasks: Mapping[str, Task]
    tokenizer: Tokenizer
    normalize: Normalize

    @cached_property
    def sequences(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("text", "transcript", *self._named(Tagged))

    @cached_property
    def singles(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("task", *self._named(Classified))

    def without_text(self, utterance: Utterance) -> dict[str, list[int]]:
        assert isinstance(utterance, Asked), "a corpus of tasks says what is asked"
        return {"task": [list(self.tasks).index(utterance.task)]}

    def of(self, utterance: Utterance) -> Mapping[str, list[int]]:
        assert isinstance(utterance, Asked), "a corpus of tasks says what is asked"
        name, task = utterance.task, self.tasks[utterance.task]
        targets = self.without_text(utterance)
        words = [] if utterance.text is None else self.normalize(utterance.text).split()
        if words:
            targets["transcript"] = self.tokenizer.encode(" ".join(words))
        label = task.label(utterance)
        if label is None:
            return targets
        if isinstance(task, Written):
            targets["text"] = self.tokenizer.encode(task.write(label))
        elif isinstance(task, Classified) and label in task.names:
            targets[name] = [task.names.index(label)]
        elif isinstance(task, Tagged):
            targets["text"] = targets.get("transcript", [])
            targets[name] = self._of_tokens(task, task.tags_of(utterance, words), targets["text"])
        return targets

    def _of_tokens(self, task: Task, tags: Sequence[str], tokens: Sequence[int]) -> list[int]:
        """The tag of each token, that of the word that it is a part of."""
        starts = self.tokenizer.word_starts(tokens)
        # A space before the first word is tagged as that.
        words = [max(bisect_right(starts, place) - 1, 0) for place in range(len(tokens))]
        return [task.names.index(tags[word]) for word in words]

    def _named(self, kind: Any) -> tuple[str, ...]:
        return tuple(name for name, task in self.tasks.items() if isinstance(task, kind))
