"""Some of a corpus."""

from collections.abc import Sequence
from functools import cached_property

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView


class ChosenCorpus(CorpusView):
    """The utterances that stand at some places of another corpus."""

    def __init__(self, whole: Corpus, places: Sequence[int]):
        super().__init__(whole)
        self.places = tuple(places)

    def __reduce__(self):
        return ChosenCorpus, (self.whole, self.places)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return [self.whole.utterances[place] for place in self.places]

    def index_in_whole(self, index: int) -> int:
        return self.places[index]
