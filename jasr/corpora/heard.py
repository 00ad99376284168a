"""A corpus with what a recogniser heard in place of what was said."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jasr.corpora.corpus import Corpus, Utterance
from jasr.corpora.view import CorpusView
from jasr.errors import UserError


@dataclasses.dataclass(frozen=True)
class Trust:
    """What is believed of what was heard.

    min_confidence:   of the recogniser, from 0 to 1.
    max_disagreement: word error rate of a second recogniser against it.
    """

    min_confidence: float = 0.0
    max_disagreement: float = float("inf")

    def believes(self, row: Mapping[str, Any]) -> bool:
        """Raises KeyError where the row does not say what is asked for."""
        return (self.min_confidence <= 0 or row["confidence"] >= self.min_confidence) and (
            self.max_disagreement == float("inf") or row["disagreement"] <= self.max_disagreement
        )


class HeardCorpus(CorpusView):
    """The utterances of a corpus with other transcripts, and their own labels.

    path:  JSON lines with "id" and "answer", as launch.evaluate writes them of a task of text, and
           with "confidence" and "disagreement", as launch.label does.
    trust: an utterance of which it does not believe what was heard has no transcript.

    Raises UserError, at first use, for a file that is no such thing or lacks an utterance.
    """

    def __init__(self, whole: Corpus, path: Path, trust: Trust = Trust()):
        super().__init__(whole)
        self.path, self.trust = Path(path), trust

    def __reduce__(self):
        return HeardCorpus, (self.whole, self.path, self.trust)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        heard = self._heard()
        absent = [u.id for u in self.whole.utterances if u.id not in heard]
        if absent:
            raise UserError(
                f"{self.path} says nothing of {len(absent)} utterances of {self.split!r}, "
                f"{absent[0]!r} among them: have the recogniser hear the same split"
            )
        return [dataclasses.replace(u, text=heard[u.id]) for u in self.whole.utterances]

    def _heard(self) -> dict[str, str | None]:
        try:
            rows = [json.loads(line) for line in self.path.read_text().splitlines()]
            return {
                row["id"]: str(row["answer"]) if self.trust.believes(row) else None for row in rows
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.path} cannot be read ({error}): expected JSON lines with id and answer, "
                f"such as WORKDIR/eval/SPLIT/transcript.jsonl or what launch.label writes"
            ) from error
