"""Errors of units that were learned without any transcript."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jasr.evaluation.recognition import UNREAD, score
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.recognition import Recognition
from jasr.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Unsupervised:
    """Error rate of generated units, "unit_error_rate", where there are transcripts; spaces are
    left out of both.

    Only reported: no transcript has a part in training or in which checkpoint is best, unless
    config.train.best_by says so. "unit_usage" is the share of units ever generated, and
    "units_unused" that of the others: the best checkpoint is the one with the lowest figure.
    """

    def names(self, config: Mapping[str, Any]) -> Iterable[str]:
        del config
        return ("unit_error_rate", "unit_usage", "units_unused")

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        recognition = Recognition.build(run.meta, run.placement)

        def evaluate(state: TrainState) -> Figures:
            found, _ = recognition.recognize(run.params_of(state), run.corpus, run.report)
            read = [recognition.normalize(text) for text in found if text is not UNREAD]
            used = {unit for text in read for unit in text.split()}
            usage = len(used) / max(1, recognition.tokenizer.vocab_size - 4)
            figures = {"unit_usage": usage, "units_unused": 1 - usage}
            scores = score(run.corpus.utterances, found, recognition.normalize)
            if length := sum(one.words.length for one in scores):
                errors = sum(one.words.errors for one in scores)
                figures["unit_error_rate"] = errors / length
            return figures

        return evaluate
