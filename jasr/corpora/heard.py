"""A corpus with what a recogniser heard in place of what was said."""

import dataclasses
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jasr.corpora.corpus import Corpus, Problem, Utterance
from jasr.errors import UserError


class HeardCorpus(Corpus):
    """The utterances of a corpus with other transcripts, and their own labels.

    path: JSON lines with "id" and "answer", as launch.evaluate writes them of a task of text.

    Raises UserError, at first use, for a file that is no such thing or lacks an utterance.
    """

    def __init__(self, whole: Corpus, path: Path):
        self.whole, self.path = whole, Path(path)
        self.name, self.split, self.sample_rate = whole.name, whole.split, whole.sample_rate

    def __reduce__(self):
        return HeardCorpus, (self.whole, self.path)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        heard = self._heard()
        absent = [u.id for u in self.whole.utterances if u.id not in heard]
        if absent:
            raise UserError(
                f"{self.path} says nothing of {len(absent)} utterances of {self.split!r}, "
                f"{absent[0]!r} among them: evaluate the recogniser on the same split"
            )
        return [dataclasses.replace(u, text=heard[u.id]) for u in self.whole.utterances]

    def _heard(self) -> dict[str, str]:
        try:
            rows = [json.loads(line) for line in self.path.read_text().splitlines()]
            return {row["id"]: str(row["answer"]) for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.path} cannot be read ({error}): expected JSON lines with id and answer, "
                f"such as WORKDIR/eval/SPLIT/transcript.jsonl"
            ) from error

    @property
    def problems(self) -> Sequence[Problem]:
        return self.whole.problems

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return self.whole.read(index)
