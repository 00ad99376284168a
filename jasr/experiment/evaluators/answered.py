"""How good a model's answers are, task by task."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jasr.errors import UserError
from jasr.evaluation.task_scoring import count_answers, label_answers, total
from jasr.experiment.answers import asking
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.recognition import Recognition
from jasr.experiment.tasks import ask, build_tasks, tasks_of
from jasr.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Answered:
    """The figures of every task, "TASK/FIGURE", and the mean of their first ones, "error".

    tasks: their names; all if none are given.
    """

    tasks: tuple[str, ...] = ()

    def names(self, config: Mapping[str, Any]) -> Iterable[str]:
        tasks = build_tasks(config, {})
        figures = (f"{name}/{one}" for name in self.tasks or tasks for one in tasks[name].columns)
        return ("error", *figures)

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        recognition = Recognition.build(run.meta, run.placement)
        tasks, config = tasks_of(run.meta), run.meta.config
        if not tasks:
            raise UserError(
                "config.evaluators: 'tasks' scores config.tasks, and there are none; 'recognition' "
                "scores transcripts"
            )
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
            params = run.params_of(state)
            for name, (answering, corpus) in asked.items():
                task = tasks[name]
                answers, _ = answering.recognize(params, corpus, run.report)
                counts = count_answers(task, label_answers(task, corpus, answers))
                if not counts:
                    raise UserError(
                        f"config.tasks.{name}: no recording of {corpus.split!r} can be read, so "
                        f"that nothing says how good the model is"
                    )
                found = task.figures(total(counts))
                figures |= {f"{name}/{figure}": value for figure, value in found.items()}
                errors.append(found[task.columns[0]])
            return figures | {"error": sum(errors) / len(errors)}

        return evaluate
