"""A corpus of which the recordings alone are seen."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

from jasr.corpora.corpus import Utterance
from jasr.corpora.view import CorpusView


class UntranscribedCorpus(CorpusView):
    """The recordings of a corpus, without their transcripts and labels."""

    def __reduce__(self):
        return UntranscribedCorpus, (self.whole,)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return [dataclasses.replace(u, text=None, labels={}) for u in self.whole.utterances]
