"""A corpus with what a recogniser heard in place of what was said."""

import dataclasses
import heapq
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView
from jasr.errors import UserError
from jasr.files import read_json_lines


@dataclasses.dataclass(frozen=True)
class Trust:
    """What is believed of what was heard.

    min_confidence: of the recogniser in it, from 0 to 1.
    surest:         share of the recordings, those of which it is the surest.
    min_agreement:  of a second recogniser with it, one less the word error rate.
    hypotheses:     how many of those that it found for a recording, each a transcript of its own.
    """

    min_confidence: float = 0.0
    surest: float = 1.0
    min_agreement: float = 0.0
    hypotheses: int = 1

    def __post_init__(self) -> None:
        if self.hypotheses < 1:
            raise UserError(f"config.labels.hypotheses is {self.hypotheses}: expected 1 or more")
        if not 0 < self.surest <= 1:
            raise UserError(
                f"config.labels.surest is {self.surest}: expected a share, above 0 and at most 1"
            )
        for key in ("min_confidence", "min_agreement"):
            if not 0 <= getattr(self, key) <= 1:
                raise UserError(
                    f"config.labels.{key} is {getattr(self, key)}: expected a number from 0 to 1"
                )

    def among(self, rows: Sequence[Mapping[str, Any]]) -> "Trust":
        """The same, where the surest of these rows are known by their confidence.

        Raises KeyError or TypeError where a row has none.
        """
        if self.surest == 1:
            return self
        confidences = [row["confidence"] for row in rows]
        if not all(map(math.isfinite, confidences)):
            raise TypeError("a confidence is no number")
        count = math.ceil(self.surest * len(rows))
        least = min(heapq.nlargest(count, confidences), default=0.0)
        return dataclasses.replace(self, min_confidence=max(least, self.min_confidence), surest=1.0)

    def texts(self, row: Mapping[str, Any]) -> list[str | None]:
        """The transcripts of a row, best first; None where nothing is believed.

        Raises KeyError where the row does not say what is asked for.
        """
        if row["answer"] is None:
            return [None]
        if not isinstance(row["answer"], str):
            raise TypeError(f"the answer for {row['id']!r} is no text")
        found = [(row["answer"], row["confidence"] if self.min_confidence > 0 else 1.0)]
        if self.hypotheses > 1:
            others = row["hypotheses"][: self.hypotheses]
            found = [(other["text"], other["confidence"]) for other in others]
        if self.min_agreement > 0 and row["agreement"] < self.min_agreement:
            return [None]
        believed = dict.fromkeys(str(text) for text, sure in found if sure >= self.min_confidence)
        return [*believed] or [None]


class HeardCorpus(CorpusView):
    """The utterances of a corpus with other transcripts, and their own labels.

    path:  JSON lines with "id" and "answer", as launch.evaluate writes them of a task of text, and
           with "confidence", "hypotheses" and "agreement", as launch.label does.
    trust: an utterance of which it believes nothing has no transcript; one of which it believes
           several stands there as often.

    Raises UserError, at first use, for a file that is no such thing or lacks an utterance.
    """

    def __init__(self, whole: Corpus, path: Path, trust: Trust = Trust()):
        super().__init__(whole)
        self.path, self.trust = Path(path), trust

    def __reduce__(self):
        return HeardCorpus, (self.whole, self.path, self.trust)

    @property
    def utterances(self) -> Sequence[Utterance]:
        return self._rows[1]

    def index_in_whole(self, index: int) -> int:
        return self._rows[0][index]

    @cached_property
    def _rows(self) -> tuple[list[int], list[Utterance]]:
        """Places in the whole, and what stands there."""
        heard = self._heard()
        utterances = self.whole.utterances
        absent = [u.id for u in utterances if u.id not in heard]
        if absent:
            raise UserError(
                f"{self.path} says nothing of {len(absent)} utterances of {self.split!r}, "
                f"{absent[0]!r} among them: have the recogniser hear the same split"
            )
        rows = [
            (place, dataclasses.replace(utterance, text=text))
            for place, utterance in enumerate(utterances)
            for text in heard[utterance.id]
        ]
        if rows and all(utterance.text is None for _, utterance in rows):
            raise UserError(
                f"of what {self.path} says of {len(utterances)} utterances nothing is believed: "
                f"lower config.labels.min_confidence or .min_agreement"
            )
        return [place for place, _ in rows], [utterance for _, utterance in rows]

    def _heard(self) -> dict[str, list[str | None]]:
        rows = [row for _, row in read_json_lines(self.path)]
        try:
            trust = self.trust.among(rows)
            heard = {row["id"]: trust.texts(row) for row in rows}
        except KeyError as error:
            raise UserError(
                f"{self.path}: a row lacks {error}: expected JSON lines with id and answer, and "
                f"what config.labels asks for beside them, as launch.label writes them"
            ) from error
        except TypeError as error:
            raise UserError(
                f"{self.path} cannot be used ({error}): expected what launch.label writes"
            ) from error
        if len(heard) < len(rows):
            raise UserError(
                f"{self.path} says something of {len(rows) - len(heard)} ids twice: let no two "
                f"recordings have one id"
            )
        return heard
