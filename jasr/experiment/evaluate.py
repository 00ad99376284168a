"""From a workdir to error rates, a report, or the words of a recording."""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus, Problem
from jasr.corpora.heard import HeardCorpus
from jasr.corpora.manifest_file import ManifestCorpus
from jasr.corpora.recordings import RecordingsCorpus
from jasr.errors import UserError, nearest
from jasr.evaluation.recognition import score
from jasr.evaluation.report import write_report
from jasr.evaluation.scoring import UtteranceScore, summarize, write_evaluation
from jasr.experiment.adapt import adapt
from jasr.experiment.answers import asking
from jasr.experiment.evaluate_tasks import evaluate_tasks
from jasr.experiment.pictures import pictures_of
from jasr.experiment.recognition import METHODS, Recognition
from jasr.experiment.tasks import place_of
from jasr.experiment.workdir import Meta, claim
from jasr.models.adapted import merged
from jasr.pipeline.skip_report import SkipReport
from jasr.sharding import hosts
from jasr.sharding.mesh import TooFewDevices
from jasr.sharding.placement import Placement
from jasr.tasks.asked import AskedCorpus
from jasr.training.checkpoint import Checkpoints, has_finished, open_checkpoints
from jasr.training.state import TrainState

SHOWN_SAMPLES = 5


def evaluate_workdir(
    workdir: str,
    *,
    split: str,
    manifest: str | None,
    checkpoint: str,
    data_dir: str | None,
    decoding: str | None,
    heard: str | None = None,
) -> dict[str, Any]:
    """Scores a trained recogniser; writes WORKDIR/eval/NAME and prints what it found.

    split:      of the corpus it was trained on; manifest: recordings to score instead.
    checkpoint: "best", "last" or a step.
    data_dir:   where that corpus lies now, if not where training found it.
    decoding:   NAME[:KEY=VALUE,...], instead of config.decoding.
    heard:      for a model that reads transcripts: those that a recogniser wrote.
    """
    recognition, params, step = load(workdir, checkpoint, decoding)
    config = recognition.meta.config
    name = split if manifest is None else Path(manifest).resolve().parent.name
    if heard is not None:
        if config["model"].get("reads") != "transcript":
            raise UserError(
                f"--heard is for a model that reads transcripts (config.model.reads), and "
                f"--workdir={workdir} hears recordings itself"
            )
        name = f"{name}-heard"
    folder = Path(workdir) / "eval" / name
    skipped = SkipReport(folder, process_index=jax.process_index())

    def corpus_of(section: Mapping[str, Any], split: str) -> Corpus:
        if manifest is not None:
            corpus: Corpus = ManifestCorpus(Path(manifest), section["sample_rate"])
        else:
            corpus = open_corpus(section, split, data_dir or recognition.meta.data_dir)
        return HeardCorpus(corpus, Path(heard)) if heard else corpus

    if tasks := config["tasks"]:
        return evaluate_tasks(
            recognition,
            params,
            {task: corpus_of(*place_of(config, task, split)) for task in tasks},
            step=step,
            folder=folder,
            title=f"{Path(workdir).name}: {name}",
            skipped=skipped,
        )
    corpus = corpus_of(config["corpus"], split)
    if hosts.is_first():
        skipped.add(corpus.problems)
    hypotheses, seconds = recognition.recognize(
        params, corpus, report=lambda loaded: skipped.add(loaded.problems)
    )
    scores = score(corpus.utterances, hypotheses, recognition.normalize)
    if not scores:
        raise UserError(
            f"{name} of {workdir}: none of its {len(corpus)} utterances has both a transcript and "
            f"readable audio, so there is nothing to score"
        )
    summary = summarize(
        scores,
        normalizer=config["text"]["normalizer"],
        decoding=recognition.name,
        step=step,
        seconds=seconds,
    )
    pictures = pictures_of(recognition, params, corpus, scores)
    if hosts.is_first():
        write_evaluation(folder, scores, summary)
        write_report(
            folder,
            scores,
            summary,
            title=f"{Path(workdir).name}: {name}",
            pictures=pictures,
        )
        _print(scores, summary, folder)
    return summary


def transcribe_files(
    workdir: str,
    paths: Sequence[str],
    *,
    checkpoint: str,
    decoding: str | None,
    tasks: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What is said in each recording, {"path", "text"}, or {"path", TASK: answer, ...}.

    tasks: of a model of several; all of them if none are given.
    Raises UserError naming a recording that cannot be transcribed, or a task that is not there.
    """
    if not paths:
        raise UserError("no recordings given: name at least one audio file after the flags")
    recognition, params, _ = load(workdir, checkpoint, decoding)
    config = recognition.meta.config
    corpus = RecordingsCorpus([Path(path) for path in paths], config["corpus"]["sample_rate"])
    longest = config["data"]["max_seconds"]
    for path, utterance in zip(paths, corpus.utterances, strict=True):
        if utterance.duration > longest:
            raise UserError(
                f"{path} lasts {utterance.duration:.1f} s, and this model takes up to "
                f"{longest:g} s (config.data.max_seconds): cut it into shorter pieces"
            )
    problems: list[Problem] = []
    said: list[dict[str, Any]] = [{"path": path} for path in paths]
    asked: dict[str, tuple[Recognition, Corpus]] = {"text": (recognition, corpus)}
    if tasks or config["tasks"]:
        asked = {
            name: (asking(recognition, name), AskedCorpus(corpus, name, None))
            for name in tasks or config["tasks"]
        }
    for name, (answering, recordings) in asked.items():
        answers, _ = answering.recognize(
            params, recordings, report=lambda loaded: problems.extend(loaded.problems)
        )
        if problems:
            raise UserError(problems[0].reason)
        for one, answer in zip(said, answers, strict=True):
            one[name] = answer
    return said


def load(workdir: str, checkpoint: str, decoding: str | None) -> tuple[Recognition, Any, int]:
    """The recogniser of a workdir's checkpoint, its parameters and their step.

    Raises UserError where there is no such checkpoint.
    """
    checkpoints = open_checkpoints(workdir)
    step = checkpoints.find(checkpoint)
    meta = Meta.from_dict(checkpoints.read_meta(step))
    recognition = Recognition.build(meta, _placement(meta.config["mesh"]), parse_decoding(decoding))
    params = load_params(checkpoints, step, recognition)
    checkpoints.close()
    return recognition, params, step


def load_params(checkpoints: Checkpoints, step: int, recognition: Recognition) -> Any:
    """The recogniser's parameters; low-rank changes are added to what they change."""
    if not recognition.meta.config["lora"]:
        return checkpoints.restore_params(step, recognition.parameter_shardings())
    adapted, base, _ = adapt(recognition.model, recognition.meta, recognition.placement)
    changes = checkpoints.restore_params(step, recognition.placement.replicated)
    return jax.jit(
        functools.partial(merged, adapted), out_shardings=recognition.parameter_shardings()
    )(base, changes)


def _placement(config: Mapping[str, Any]) -> Placement:
    """That of the training, or where its devices are not at hand, rows split over all there are."""
    try:
        return Placement.from_config(config)
    except TooFewDevices:
        return Placement.from_config({"preset": "data_parallel", "data": 0})


def parse_decoding(text: str | None) -> dict[str, Any] | None:
    """ "attention_beam:beam_size=8" -> {"name": "attention_beam", "beam_size": 8}"""
    if text is None:
        return None
    name, _, settings = text.partition(":")
    if name not in METHODS:
        raise UserError(f"--decoding={text}: {name!r} is unknown: {nearest(name, METHODS)}")
    parsed: dict[str, Any] = {"name": name}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        try:
            parsed[key] = float(value) if "." in value else int(value)
        except ValueError:
            raise UserError(
                f"--decoding={text}: {setting!r} must be KEY=NUMBER, such as beam_size=8"
            ) from None
    return parsed


def _print(scores: Sequence[UtteranceScore], summary: Mapping[str, Any], folder: Path) -> None:
    print()
    for number in np.linspace(0, len(scores) - 1, SHOWN_SAMPLES).astype(int):
        shown = scores[number]
        print(f"{shown.id}\n  reference   {shown.reference}\n  recognised  {shown.hypothesis}")
    print(
        f"\nword error rate {100 * summary['wer']:.2f} % "
        f"[{100 * summary['wer_low']:.2f}, {100 * summary['wer_high']:.2f}] "
        f"on {summary['words']} words of {summary['utterances']} utterances "
        f"({summary['substitutions']} substitutions, {summary['deletions']} deletions, "
        f"{summary['insertions']} insertions); character error rate {100 * summary['cer']:.2f} %; "
        f"normaliser {summary['normalizer']}, {summary['decoding']}, step {summary['step']}\n"
        f"report: {folder / 'report.html'}"
    )


def merge_workdir(workdir: str, output: str, *, checkpoint: str) -> str:
    """Writes a training with low-rank changes as one without, its parameters alone; says where.

    Raises UserError where there is nothing to merge, or where `output` holds a training already.
    """
    recognition, params, step = load(workdir, checkpoint, None)
    meta = recognition.meta
    if not meta.config["lora"]:
        raise UserError(f"--workdir={workdir} holds no low-rank changes: there is nothing to merge")
    if has_finished(Path(output)):
        raise UserError(f"--output={output} holds a training already: give another folder")
    config = {**meta.config, "lora": {}}
    claim(Path(output), config, resuming=False)
    state = TrainState(
        step=np.int32(step), nonfinite=np.int32(0), seed=np.uint32(0), params=params, opt_state={}
    )
    with contextlib.closing(Checkpoints(Path(output))) as checkpoints:
        merged_meta = dataclasses.replace(meta, config=config, base_step=None)
        checkpoints.save(state, merged_meta.to_dict(), None)
    return f"merged step {step} of {workdir} into {output}"
