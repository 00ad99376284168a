"""Several tasks on recordings of people, and on real sentences.

    python -m launch.prepare --config=configs/digits.py --source=../shared/data/fsdd
    python -m benchmarks.barista_orders --output=runs/source/orders
    ln -s $(realpath ../shared/data/barista) runs/source/barista
    python -m launch.prepare --config=configs/barista.py --source=runs/source/barista
    python -m launch.prepare --config=configs/barista.py:spoken --source=runs/source
    python -m benchmarks.treebank_roles --output=runs/treebank
    python -m launch.prepare --config=configs/multitask.py:treebank --source=runs/treebank
    python -m benchmarks.real_tasks --runs=runs/real --seeds=0,1,2

Parts: digits (with speaker and parity, or alone), orders (with and without spoken examples of their
grammar, and what always guessing the most frequent would score), sentences (semantic roles of the
English Web Treebank, spoken). Prints a table of the test split's figures.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks.runs import Run, carry_out, scores
from benchmarks.tables import markdown, spread
from configs import barista
from jasr.corpora.catalogue import open_corpus
from jasr.evaluation.task_scoring import count_answers, summarize_answers
from jasr.tasks.slots import Slots

FLAGS = flags.FLAGS
# Of each part, the configs that are compared, and task and figure of each column.
PARTS: dict[str, tuple[dict[str, str], tuple[tuple[str, str], ...]]] = {
    "digits": (
        {"together": "configs/digits.py", "alone": "configs/digits.py:alone"},
        (("digit", "accuracy"), ("speaker", "accuracy"), ("parity", "accuracy")),
    ),
    "orders": (
        {"recordings": "configs/barista.py", "and spoken": "configs/barista.py:spoken"},
        (("slots", "slu_f1"), ("slots", "f1")),
    ),
    "sentences": (
        {"transcript and roles": "configs/multitask.py:treebank"},
        (("transcript", "wer"), ("roles", "f1")),
    ),
}
flags.DEFINE_string("runs", "runs/real_tasks", "Where the trainings' folders lie.")
flags.DEFINE_list("parts", ",".join(PARTS), "What is compared.")


def experiment() -> Iterator[Run]:
    for seed in FLAGS.seeds:
        for part in FLAGS.parts:
            for title, config in PARTS[part][0].items():
                yield Run(_name(part, title, seed), config, (f"--config.seed={seed}",))


def _name(part: str, title: str, seed: str) -> str:
    return f"{part}-{title.replace(' ', '-')}-{seed}"


def table(runs: Path) -> str:
    return "\n\n".join(_of_part(runs, part) for part in FLAGS.parts)


def _of_part(runs: Path, part: str) -> str:
    configs, columns = PARTS[part]
    rows = {title: [_cell(runs, part, title, *column) for column in columns] for title in configs}
    if part == "orders":
        always = most_frequent()
        rows["the most frequent, always"] = [f"{100 * always[name]:.1f}" for _, name in columns]
    return markdown([part, *(f"{task}, {figure}" for task, figure in columns)], rows)


def _cell(runs: Path, part: str, title: str, task: str, figure: str) -> str:
    found = [scores(runs, _name(part, title, seed)) or {} for seed in FLAGS.seeds]
    return spread([one.get("tasks", {}).get(task, {}).get(figure) for one in found])


def most_frequent() -> dict[str, Any]:
    """Figures of the slots that most training orders have, each with its most frequent phrase."""
    config, task = barista.get_config(), Slots()
    train, test = (open_corpus(config.corpus, split, FLAGS.data_dir) for split in ("train", "test"))
    labels = [label for u in train.utterances if (label := task.label(u)) is not None]
    intents = Counter(label["intent"] for label in labels)
    phrases: dict[str, Counter[str]] = {}
    for label in labels:
        for name, phrase in label["slots"].items():
            phrases.setdefault(name, Counter())[phrase] += 1
    slots = {
        name: counts.most_common(1)[0][0]
        for name, counts in phrases.items()
        if counts.total() > len(labels) / 2
    }
    guess = {"intent": intents.most_common(1)[0][0], "slots": slots}
    labelled = [(u.id, label, guess) for u in test.utterances if (label := task.label(u))]
    return summarize_answers(task, count_answers(task, labelled), decoding="none")


def main(_) -> None:
    carry_out(experiment(), table, runs=FLAGS.runs)


if __name__ == "__main__":
    app.run(main)
