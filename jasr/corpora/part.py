"""A part of a split: "train[:10%]", "train[10%:]"."""

from collections.abc import Sequence

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView


class PartOfCorpus(CorpusView):
    """The utterances from one per cent to another, in order; the first of them at least.

    A prepared corpus lies in an order drawn once, by ids: its first part is a sample of it.
    """

    def __init__(self, whole: Corpus, percent: range):
        super().__init__(whole)
        self.percent = percent
        self.split = f"{whole.split}[{percent.start}%:{percent.stop}%]"

    def __reduce__(self):
        return PartOfCorpus, (self.whole, self.percent)

    @property
    def utterances(self) -> Sequence[Utterance]:
        stop = max(self._start + 1, self._place(self.percent.stop))
        return self.whole.utterances[self._start : stop]

    def index_in_whole(self, index: int) -> int:
        return self._start + index

    @property
    def _start(self) -> int:
        return self._place(self.percent.start)

    def _place(self, percent: int) -> int:
        return round(len(self.whole) * percent / 100)
