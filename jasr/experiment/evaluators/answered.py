"""How good a model's answers are, task by task."""

import dataclasses
from collections.abc import Callable

from jasr.experiment.answers import asking, count_answers
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.recognition import Recognition
from jasr.experiment.tasks import ask, tasks_of
from jasr.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Answered:
    """The figures of every task, "TASK/FIGURE", and the mean of their first ones, "error".

    tasks: their names; all if none are given.
    """

    tasks: tuple[str, ...] = ()

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        recognition = Recognition.build(run.meta, run.placement)
        tasks, config = tasks_of(run.meta), run.meta.config
        asked = {
            name: (
                asking(recognition, name),
                ask(config, name, config["splits"]["validation"], run.data_dir),
            )
            for name in self.tasks or tasks
        }

        def evaluate(state: TrainState) -> Figures:
            figures: Figures = {}
            errors = []
            for name, (answering, corpus) in asked.items():
                params = run.params_of(state)
                answers, _ = answering.recognize(params, corpus, run.report)
                found = tasks[name].figures(count_answers(tasks[name], corpus, answers))
                figures |= {f"{name}/{figure}": value for figure, value in found.items()}
                errors.append(found[tasks[name].columns[0]])
            return figures | {"error": sum(errors) / len(errors)}

        return evaluate
