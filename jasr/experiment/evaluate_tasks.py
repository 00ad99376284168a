"""Every task of a trained model, scored.

WORKDIR/eval/NAME/summary.json     each task's figures, and how the tasks relate
                  TASK.jsonl       label and answer of each utterance
                  TASK/            of a text: the report of its words
                  tasks.png        the same, drawn
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jasr.corpora.corpus import Corpus
from jasr.corpora.joined import JoinedCorpus
from jasr.errors import UserError
from jasr.evaluation.matrices import Matrix, draw_matrices, named_rows
from jasr.evaluation.report import write_report
from jasr.evaluation.scoring import score_utterance, summarize, write_evaluation
from jasr.evaluation.task_scoring import Labelled, count_answers, label_answers, summarize_answers
from jasr.experiment.answers import asking, given_words, readable
from jasr.experiment.recognition import Recognition
from jasr.experiment.task_relations import gradient_cosines, vector_cosines
from jasr.experiment.tasks import tasks_of
from jasr.files import write_json_lines, write_whole
from jasr.models.int8 import dequantized, kept_in
from jasr.pipeline.skip_report import SkipReport
from jasr.sharding import hosts
from jasr.tasks.asked import AskedCorpus
from jasr.tasks.task import Tagged, Task
from jasr.tasks.text import Text


def evaluate_tasks(
    recognition: Recognition,
    params: Any,
    corpora: Mapping[str, Corpus],
    *,
    about: Mapping[str, Any],
    folder: Path,
    title: str,
    skipped: SkipReport,
) -> dict[str, Any]:
    """Scores and writes what the folder is to hold, and prints a table.

    corpora: of each task.
    about:   what is scored, of which "step", for the summary.

    Of tags there are two scores: of the words that are recognised, and "words_given", of those that
    were said, where it is known and the decoder can read it.
    A task of which the corpus knows nothing is left out; UserError where that is every task.
    """
    tasks = tasks_of(recognition.meta)
    asked = {name: AskedCorpus(corpora[name], name, task) for name, task in tasks.items()}
    asked = {name: corpus for name, corpus in asked.items() if len(corpus)}
    if not asked:
        raise UserError(f"{title}: no utterance has a label for any of {', '.join(tasks)}")
    figures: dict[str, Any] = {}

    def answered(
        answering: Recognition, task: Task, corpus: Corpus
    ) -> tuple[dict[str, Any], Labelled, float]:
        answers, seconds = answering.recognize(
            params, corpus, report=lambda loaded: skipped.add(loaded.problems)
        )
        labelled = label_answers(task, corpus, answers)
        counts = count_answers(task, labelled)
        return summarize_answers(task, counts, decoding=answering.name), labelled, seconds

    for name, corpus in asked.items():
        if hosts.is_first():
            skipped.add(corpus.problems)
        task, answering = tasks[name], asking(recognition, name)
        figures[name], labelled, seconds = answered(answering, task, corpus)
        figures[name]["skipped"] = len(corpus) + len(corpus.problems) - len(labelled)
        if isinstance(task, Tagged):
            said = readable(recognition, corpus, least=1)
            reading = asking(given_words(recognition), name)
            if len(said):
                figures[name]["words_given"], _, _ = answered(reading, task, said)
        if hosts.is_first():
            _write_answers(folder / f"{name}.jsonl", labelled)
        if isinstance(task, Text) and hosts.is_first():
            _write_text_report(
                folder / name,
                corpus,
                labelled,
                {"decoding": answering.name, "step": about["step"], "seconds": seconds},
                normalizer=task.normalizer,
                title=f"{title}: {name}",
            )
    summary = {**about, "tasks": figures, **kept_in(params)}
    # What has been found is there whatever becomes of the comparison.
    if hosts.is_first():
        _print(tasks, figures)
        _write_summary(folder, summary)
    cosines = _relations(recognition, dequantized(params), asked)
    summary["cosines"] = {of: named_rows(*matrix) for of, matrix in cosines.items()}
    if hosts.is_first():
        titled = {f"{of}, cosines": matrix for of, matrix in cosines.items()}
        if titled:
            write_whole(folder / "tasks.png", draw_matrices(titled))
        _write_summary(folder, summary)
        print(f"\nreports: {folder}{', tasks.png among them' if titled else ''}")
    return summary


def _relations(
    recognition: Recognition, params: Any, asked: Mapping[str, Corpus]
) -> dict[str, tuple[tuple[str, ...], Matrix]]:
    rows = readable(recognition, JoinedCorpus(list(asked.values())))
    compared = {"task vectors": vector_cosines(recognition, params)}
    if len(rows):
        batches = recognition.batches(rows)
        compared["gradients"] = gradient_cosines(recognition, params, batches)
    return {of: matrix for of, matrix in compared.items() if matrix is not None}


def _write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    write_whole(folder / "summary.json", json.dumps(summary, indent=2) + "\n")


def _write_answers(path: Path, labelled: Labelled) -> None:
    rows = ({"id": id, "label": label, "answer": answer} for id, label, answer in labelled)
    write_json_lines(path, rows)


def _write_text_report(
    folder: Path,
    corpus: Corpus,
    labelled: Labelled,
    run: Mapping[str, Any],
    *,
    normalizer: str,
    title: str,
) -> None:
    durations = {utterance.id: utterance.duration for utterance in corpus.utterances}
    scores = [
        score_utterance(id, label, answer, normalize=str, duration=durations[id])
        for id, label, answer in labelled
    ]
    summary = summarize(scores, normalizer=normalizer, **run)
    write_evaluation(folder, scores, summary)
    write_report(folder, scores, summary, title=title, pictures={})


def _print(tasks: Mapping[str, Task], figures: Mapping[str, Any]) -> None:
    print()
    for name, found in figures.items():
        task = tasks[name]
        shown = [f"{column} {100 * found[column]:.2f} %" for column in task.columns]
        first = task.columns[0]
        shown[0] += f" [{100 * found[f'{first}_low']:.2f}, {100 * found[f'{first}_high']:.2f}]"
        if given := found.get("words_given"):
            shown.append(f"{first} {100 * given[first]:.2f} % where the words are given")
        print(
            f"{name}: {', '.join(shown)}; {found['utterances']} utterances, "
            f"{found['skipped']} left out; {found['decoding']}"
        )
