"""A corpus of audio files named one by one, with nothing known of them but their sound."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jasr.audio.recording import duration_seconds, read_recording
from jasr.corpora.corpus import Corpus, Problem, Utterance


class RecordingsCorpus(Corpus):
    """Files of any format; an utterance's id is its path.

    Raises UserError at once for a file that is missing or is not audio.
    """

    def __init__(self, paths: Sequence[Path], sample_rate: int):
        self.name = "recordings"
        self.split = "all"
        self.sample_rate = sample_rate
        self._paths = tuple(paths)

    def __reduce__(self):
        return RecordingsCorpus, (self._paths, self.sample_rate)

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        return [
            Utterance(id=str(path), text=None, speaker=None, duration=duration_seconds(path))
            for path in self._paths
        ]

    @property
    def problems(self) -> Sequence[Problem]:
        return ()

    def read(self, index: int) -> Float[np.ndarray, " samples"]:
        return read_recording(self._paths[index], self.sample_rate)
