"""A part of a split: "train[:10%]", "train[10%:]"."""

from collections.abc import Sequence

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView
from jasr.errors import UserError


class PartOfCorpus(CorpusView):
    """The utterances from one per cent to another, in order; where a split is cut in two, there is
    one at least on either side.

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
        found = self.whole.utterances[self._start : self._place(self.percent.stop)]
        if not found:
            raise UserError(
                f"split {self.split!r} has none of the {len(self.whole)} utterances of "
                f"{self.whole.split!r}: take a wider part"
            )
        return found

    def index_in_whole(self, index: int) -> int:
        return self._start + index

    @property
    def _start(self) -> int:
        return self._place(self.percent.start)

    def _place(self, percent: int) -> int:
        if percent in (0, 100):
            return len(self.whole) * percent // 100
        return max(1, min(round(len(self.whole) * percent / 100), len(self.whole) - 1))
