"""Errors of units that were learned without any transcript."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jasr.errors import UserError
from jasr.evaluation.recognition import UNREAD, score
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.recognition import Recognition
from jasr.experiment.training_data import unpaired_lines
from jasr.text.bigrams import bigram_divergence
from jasr.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Unsupervised:
    """Error rate of generated units, "unit_error_rate", where there are transcripts; spaces are
    left out of both.

    Only reported: no transcript has a part in training or in which checkpoint is best, unless
    config.train.best_by says so. What needs none: "unit_usage", the share of units ever generated,
    and where there is config.unpaired_text, "bigram_divergence" of what is generated from it.
    """

    def names(self, config: Mapping[str, Any]) -> Iterable[str]:
        divergence = ["bigram_divergence"] if config["unpaired_text"] else []
        return ("unit_error_rate", "unit_usage", *divergence)

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        recognition = Recognition.build(run.meta, run.placement)
        config = run.meta.config
        if config["train"]["best_by"] == "unit_error_rate" and not any(
            utterance.text for utterance in run.corpus.utterances
        ):
            raise UserError(
                "config.train.best_by is 'unit_error_rate', and validation has no transcripts: "
                "give another figure"
            )
        text = [recognition.normalize(line) for line in unpaired_lines(config, run.data_dir)]

        def evaluate(state: TrainState) -> Figures:
            found, _ = recognition.recognize(run.params_of(state), run.corpus, run.report)
            read = [recognition.normalize(text) for text in found if text is not UNREAD]
            used = {unit for text in read for unit in text.split()}
            usage = len(used) / max(1, recognition.tokenizer.vocab_size - 4)
            figures = {"unit_usage": usage}
            if text:
                figures["bigram_divergence"] = bigram_divergence(read, text)
            scores = score(run.corpus.utterances, found, recognition.normalize)
            if length := sum(one.words.length for one in scores):
                errors = sum(one.words.errors for one in scores)
                figures["unit_error_rate"] = errors / length
            return figures

        return evaluate
