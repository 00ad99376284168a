"""config.evaluators: NAME -> {name, fields}."""

from collections.abc import Callable, Mapping
from typing import Any

from jasr.errors import UserError
from jasr.experiment.construct import construct_named
from jasr.experiment.evaluators.answered import Answered
from jasr.experiment.evaluators.measured import Measured
from jasr.experiment.evaluators.probe import Probe
from jasr.experiment.evaluators.recognized import Recognized
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.evaluators.unsupervised import Unsupervised
from jasr.training.state import TrainState

EVALUATORS = {
    "recognition": Recognized,
    "objective": Measured,
    "tasks": Answered,
    "probe": Probe,
    "unsupervised": Unsupervised,
}


def measures(config: Mapping[str, Any]) -> bool:
    """Whether the objectives' terms of validation are asked for."""
    sections = config["evaluators"].values()
    return any(EVALUATORS.get(section.get("name")) is Measured for section in sections)


def build_evaluators(config: Mapping[str, Any], run: Run) -> Callable[[TrainState], Figures]:
    """All of config.evaluators as one; raises UserError where none gives the figure that decides
    which checkpoint is best."""
    prepared = [
        construct_named(EVALUATORS, section, f"config.evaluators.{name}").prepare(run)
        for name, section in config["evaluators"].items()
    ]
    best_by = config["train"]["best_by"]

    def evaluate(state: TrainState) -> Figures:
        figures: Figures = {}
        for evaluator in prepared:
            figures |= evaluator(state)
        if best_by not in figures:
            raise UserError(
                f"config.train.best_by is {best_by!r}, and config.evaluators give "
                f"{', '.join(figures) or 'nothing'}"
            )
        return figures

    return evaluate
