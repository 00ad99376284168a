"""A corpus of which one thing is asked."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView
from jasr.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Asked(Utterance):
    """An utterance, and the name of the task that says what is asked of it."""

    task: str = ""


class AskedCorpus(CorpusView):
    """The utterances of a corpus for one task, named `task`.

    labelled: the task itself, to keep those alone that have a label; None to keep all.
    """

    def __init__(self, whole: Corpus, task: str, labelled: Task | None):
        super().__init__(whole)
        self.task, self.labelled = task, labelled

    def __reduce__(self):
        return AskedCorpus, (self.whole, self.task, self.labelled)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        whole = self.whole.utterances
        return [Asked(**vars(whole[place]), task=self.task) for place in self._places]

    def index_in_whole(self, index: int) -> int:
        return self._places[index]

    @cached_property
    def _places(self) -> list[int]:
        return [
            place
            for place, utterance in enumerate(self.whole.utterances)
            if self.labelled is None or self.labelled.label(utterance) is not None
        ]
