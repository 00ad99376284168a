"""Error rates of a recogniser."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jasr.errors import UserError
from jasr.evaluation.recognition import score
from jasr.evaluation.scoring import summarize
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.recognition import Recognition
from jasr.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Recognized:
    """Word and character error rate, "wer" and "cer", by the search of config.decoding."""

    def names(self, config: Mapping[str, Any]) -> Iterable[str]:
        del config
        return ("wer", "cer")

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        if run.meta.config["tasks"]:
            raise UserError(
                "config.evaluators: 'recognition' knows of one text a recording; where there are "
                "config.tasks, 'tasks' scores each"
            )
        if all(utterance.text is None for utterance in run.corpus.utterances):
            raise UserError(
                "config.splits.validation has no transcript to score against: give it some, or "
                "take 'recognition' out of config.evaluators and another train.best_by"
            )
        recognition = Recognition.build(run.meta, run.placement)

        def evaluate(state: TrainState) -> Figures:
            hypotheses, seconds = recognition.recognize(
                run.params_of(state), run.corpus, run.report
            )
            summary = summarize(
                score(run.corpus.utterances, hypotheses, recognition.normalize),
                normalizer=run.meta.config["text"]["normalizer"],
                decoding=recognition.name,
                step=int(state.step),
                seconds=seconds,
            )
            return {name: summary[name] for name in ("wer", "cer")}

        return evaluate
