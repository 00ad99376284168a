"""One model of several tasks against one of each, and against a pipeline; encodings; balancers.

    python -m launch.prepare --config=configs/multitask.py
    python -m benchmarks.several_tasks --runs=runs/tasks --seeds=0,1,2 --parts=together,alone

Parts: together (transcript, roles and intent in one model), all (tags of roles and speakers too),
alone (a model of the same size and steps for each), pipeline (a model of roles that reads, given
what the transcript's model wrote), encodings (how the model is told the task), balancers (what
weighs the losses). Prints a table of the test split's figures, each as mean and standard deviation
over the seeds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks.runs import TEST, Run, carry_out, scores
from benchmarks.tables import markdown, spread
from configs.multitask import BALANCERS, ENCODINGS

FLAGS = flags.FLAGS
PARTS = ("together", "all", "alone", "pipeline", "encodings", "balancers")
flags.DEFINE_string("runs", "runs/several_tasks", "Where the trainings' folders lie.")
flags.DEFINE_list("parts", ",".join(PARTS), "What is compared.")
flags.DEFINE_integer("num_steps", 4000, "Of each training.")

TASKS = ("transcript", "roles", "intent")
TOGETHER = ",".join(TASKS)
ALL = f"{TOGETHER},tags,speaker"
# Task and figure, in the order of the table's columns.
FIGURES = (
    ("transcript", "wer"),
    ("roles", "f1"),
    ("intent", "accuracy"),
    ("tags", "f1"),
    ("speaker", "accuracy"),
)


def experiment() -> Iterator[Run]:
    for seed in FLAGS.seeds:
        for name, arguments in _arguments().items():
            yield Run(f"{name}-{seed}", f"configs/multitask.py:{arguments}", _flags(seed))
        if "pipeline" in FLAGS.parts:
            yield Run(
                f"reading-{seed}",
                "configs/multitask.py:roles,reading",
                _flags(seed),
                after=(f"transcript-{seed}",),
                scores=(TEST, (*TEST, _heard(seed))),
            )


def _flags(seed: str) -> tuple[str, ...]:
    return f"--config.seed={seed}", f"--config.train.num_steps={FLAGS.num_steps}"


def _heard(seed: str) -> str:
    """What the transcript's model wrote of the test split."""
    return f"--heard={{runs}}/transcript-{seed}/eval/test/transcript.jsonl"


def _arguments() -> dict[str, str]:
    """Name of a run and the arguments of its config; one that two parts share comes once."""
    chosen: dict[str, str] = {}
    parts = set(FLAGS.parts)
    if "pipeline" in parts:
        chosen["transcript"] = "transcript"
    if "alone" in parts:
        chosen |= {task: task for task in TASKS}
    if parts & {"together", "encodings", "balancers"}:
        chosen["add"] = f"{TOGETHER},add"
    if "all" in parts:
        chosen["all"] = ALL
    if "encodings" in parts:
        chosen |= {encoding: f"{TOGETHER},{encoding}" for encoding in ENCODINGS}
    if "balancers" in parts:
        chosen |= {balancer: f"{TOGETHER},{balancer}" for balancer in BALANCERS}
    return chosen


def table(runs: Path) -> str:
    rows = {}
    for name in _arguments():
        rows[name] = [_of_seeds(runs, name, task, figure) for task, figure in FIGURES]
    if "pipeline" in FLAGS.parts:
        for title, split in (
            ("reads what is said", "test"),
            ("reads what was heard", "test-heard"),
        ):
            found = _of_seeds(runs, "reading", "roles", "f1", split)
            cells = [found if task == "roles" else "-" for task, _ in FIGURES]
            rows[f"a model that {title}"] = cells
    return markdown(["model", *(f"{task}, {figure}" for task, figure in FIGURES)], rows)


def _of_seeds(runs: Path, name: str, task: str, figure: str, split: str = "test") -> str:
    def found(seed: str) -> Any:
        summary = scores(runs, f"{name}-{seed}", split) or {}
        return summary.get("tasks", {}).get(task, {}).get(figure)

    return spread([found(seed) for seed in FLAGS.seeds])


def main(_) -> None:
    carry_out(experiment(), table, runs=FLAGS.runs)


if __name__ == "__main__":
    app.run(main)
