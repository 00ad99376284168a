"""config.evaluators: NAME -> {name, fields}."""

from collections.abc import Callable, Collection, Mapping
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
    evaluators = [
        construct_named(EVALUATORS, section, f"config.evaluators.{name}")
        for name, section in config["evaluators"].items()
    ]
    prepared = [evaluator.prepare(run) for evaluator in evaluators]
    best_by = config["train"]["best_by"]
    names = [name for evaluator in evaluators for name in evaluator.names(config)]
    # A term of the objective has metrics of its own, which are found with it.
    if not best_by.startswith(tuple(f"{name}/" for name in names if "/" in name)):
        _must_decide(best_by, names)

    def evaluate(state: TrainState) -> Figures:
        figures: Figures = {}
        for evaluator in prepared:
            figures |= evaluator(state)
        _must_decide(best_by, figures)
        return figures

    return evaluate


def _must_decide(best_by: str, figures: Collection[str]) -> None:
    if best_by not in figures:
        raise UserError(
            f"config.train.best_by is {best_by!r}, and config.evaluators give "
            f"{', '.join(figures) or 'nothing'}"
        )
