import pytest

from jasr.evaluation.scoring import score_utterance, summarize
from jasr.text.normalizer import normalizer


@pytest.fixture(scope="session")
def make_scores():
    """Scores of (id, reference, hypothesis) triples, with basic-v1 and 2 s each."""

    def make(*utterances):
        normalize = normalizer("basic-v1")
        return [
            score_utterance(id, said, heard, normalize=normalize, duration=2.0)
            for id, said, heard in utterances
        ]

    return make


@pytest.fixture(scope="session")
def summary_of():
    """The summary of scores, as a run of `evaluate` would have it."""

    def summary(scores):
        return summarize(scores, normalizer="basic-v1", decoding="ctc-greedy", step=7, seconds=1.5)

    return summary
