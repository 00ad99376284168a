"""From a workdir to error rates, a report, or the words of a recording."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus, Problem
from jasr.corpora.heard import HeardCorpus
from jasr.corpora.manifest_file import ManifestCorpus
from jasr.corpora.noisy import NoisyCorpus
from jasr.corpora.recordings import RecordingsCorpus
from jasr.errors import UserError
from jasr.evaluation.recognition import score
from jasr.evaluation.report import write_report
from jasr.evaluation.scoring import UtteranceScore, summarize, write_evaluation
from jasr.experiment.answers import asking
from jasr.experiment.evaluate_tasks import evaluate_tasks
from jasr.experiment.pictures import pictures_of
from jasr.experiment.recognition import Recognition
from jasr.experiment.tasks import place_of
from jasr.experiment.trained import load, with_weights
from jasr.models.int8 import dequantized, kept_in
from jasr.pipeline.skip_report import SkipReport
from jasr.sharding import hosts
from jasr.tasks.asked import AskedCorpus

SHOWN_SAMPLES = 5


def evaluate_workdir(
    workdir: str,
    *,
    split: str | None,
    manifest: str | None,
    checkpoint: str,
    data_dir: str | None,
    decoding: str | None,
    heard: str | None = None,
    noise_db: Sequence[str] = (),
    weights: str = "float32",
) -> dict[str, Any]:
    """Scores a trained recogniser; writes WORKDIR/eval/NAME and prints what it found.

    split:      of the corpus it was trained on, "test" if it is None; or of the manifest, all of
                them if it is None.
    manifest:   recordings to score instead.
    checkpoint: "best", "last" or a step.
    data_dir:   where that corpus lies now, if not where training found it.
    decoding:   NAME[:KEY=VALUE,...], instead of config.decoding; the folder's name tells it.
    heard:      for a model that reads transcripts: those that a recogniser wrote.
    noise_db:   lowest and highest signal-to-noise ratio of noise to put over the recordings, in dB.
    weights:    "float32", or "int8" for what is left of them in eight bits.
    """
    recognition, params, step = load(workdir, checkpoint, decoding, data_dir)
    config = recognition.meta.config
    chosen = split or "test"
    if manifest is None:
        name, scored_of = chosen, {"split": chosen}
    else:
        path = Path(manifest).resolve()
        name = _name_of(path, split)
        scored_of = {"manifest": str(path), "split": split or "all"}
    if heard is not None:
        if config["model"].get("reads") != "transcript":
            raise UserError(
                f"--heard is for a model that reads transcripts (config.model.reads), and "
                f"--workdir={workdir} hears recordings itself"
            )
        name = f"{name}-heard"
    if noise_db:
        snr_db = _parse_ratios(noise_db)
        name = f"{name}-noise-{snr_db[0]:g}-{snr_db[1]:g}db"
    params = with_weights(recognition, params, weights)
    if decoding is not None:
        name = f"{name}-{_slug(decoding)}"
    name = name if weights == "float32" else f"{name}-{weights}"
    folder = Path(workdir) / "eval" / name
    skipped = SkipReport(folder, process_index=jax.process_index(), anew=True)

    def corpus_of(section: Mapping[str, Any], own_split: str) -> Corpus:
        if manifest is not None:
            corpus: Corpus = ManifestCorpus(Path(manifest), section["sample_rate"], split=split)
        else:
            corpus = open_corpus(section, own_split, recognition.meta.data_dir)
        if noise_db:
            corpus = NoisyCorpus(corpus, snr_db)
        return HeardCorpus(corpus, Path(heard)) if heard else corpus

    if tasks := config["tasks"]:
        return evaluate_tasks(
            recognition,
            params,
            {task: corpus_of(*place_of(config, task, chosen)) for task in tasks},
            about={**scored_of, "checkpoint": checkpoint, "step": step},
            folder=folder,
            title=f"{Path(workdir).name}: {name}",
            skipped=skipped,
        )
    corpus = corpus_of(config["corpus"], chosen)
    if hosts.is_first():
        skipped.add(corpus.problems)
    hypotheses, seconds = recognition.recognize(
        params, corpus, report=lambda loaded: skipped.add(loaded.problems)
    )
    scores = score(corpus.utterances, hypotheses, recognition.normalize)
    if hosts.is_first():
        skipped.add(
            Problem(one.id, "it has no transcript to be scored against")
            for one in corpus.utterances
            if one.text is None
        )
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
        scored=recognition.scored,
    )
    summary |= {**kept_in(params), **scored_of, "checkpoint": checkpoint}
    summary["skipped"] = len(corpus.utterances) + len(corpus.problems) - len(scores)
    if hosts.is_first():
        write_evaluation(folder, scores, summary)
    pictures = pictures_of(recognition, dequantized(params), corpus, scores)
    if hosts.is_first():
        write_report(
            folder,
            scores,
            summary,
            title=f"{Path(workdir).name}: {name}",
            pictures=pictures,
        )
        _print(scores, summary, folder)
    return summary


def _name_of(manifest: Path, split: str | None) -> str:
    """Of a manifest's evaluation: by its folder, by itself where its name is no usual one, and by
    the split of it that is scored."""
    names = ["manifest", manifest.name if manifest.is_dir() else manifest.parent.name]
    if not manifest.is_dir() and manifest.stem != "manifest":
        names.append(manifest.stem)
    return "-".join([*names, *([split] if split else [])])


def _slug(decoding: str) -> str:
    """ "ctc_beam:beam_size=8,lexicon=a/b.txt" -> "ctc_beam-beam_size=8-lexicon=b.txt-3f2a1c"

    A lexicon is known by what is in it: others have the same name.
    """
    name, _, settings = decoding.partition(":")
    parts = [name]
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        if key == "lexicon":
            digest = hashlib.sha256(Path(value).read_bytes()).hexdigest()[:6]
            setting = f"{key}={Path(value).name}-{digest}"
        parts.append(setting)
    return "-".join(parts)


def _parse_ratios(given: Sequence[str]) -> tuple[float, float]:
    try:
        low, high = map(float, given)
        if not math.isfinite(low + high):
            raise ValueError
    except ValueError:
        raise UserError(
            f"--noise_db={','.join(given)}: expected the lowest and highest ratio in dB, such as "
            f"0,10"
        ) from None
    return low, high


def transcribe_files(
    workdir: str,
    paths: Sequence[str],
    *,
    checkpoint: str,
    decoding: str | None,
    tasks: Sequence[str] = (),
    weights: str = "float32",
) -> list[dict[str, Any]]:
    """What is said in each recording, {"path", "text"}, or {"path", TASK: answer, ...}.

    tasks:   of a model of several; all of them if none are given.
    weights: as of `evaluate_workdir`.
    Raises UserError naming a recording that cannot be transcribed, or a task that is not there.
    """
    if not paths:
        raise UserError("no recordings given: name at least one audio file after the flags")
    recognition, params, _ = load(workdir, checkpoint, decoding)
    params = with_weights(recognition, params, weights)
    config = recognition.meta.config
    if config["model"].get("reads") == "transcript":
        raise UserError(
            f"--workdir={workdir} holds a model that reads transcripts (config.model.reads) and "
            f"hears no recording: give one that hears, or score it with launch.evaluate"
        )
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
            raise UserError(f"{problems[0].id}: {problems[0].reason}")
        for one, answer in zip(said, answers, strict=True):
            one[name] = answer
    return said


def _print(scores: Sequence[UtteranceScore], summary: Mapping[str, Any], folder: Path) -> None:
    print()
    for number in np.linspace(0, len(scores) - 1, SHOWN_SAMPLES).astype(int):
        shown = scores[number]
        print(f"{shown.id}\n  reference   {shown.reference}\n  recognised  {shown.hypothesis}")
    print(
        f"\n{summary['scored']} error rate {100 * summary['wer']:.2f} % "
        f"[{100 * summary['wer_low']:.2f}, {100 * summary['wer_high']:.2f}] "
        f"on {summary['words']} {summary['scored']}s of {summary['utterances']} utterances, "
        f"{summary['skipped']} left out "
        f"({summary['substitutions']} substitutions, {summary['deletions']} deletions, "
        f"{summary['insertions']} insertions); character error rate {100 * summary['cer']:.2f} %; "
        f"normaliser {summary['normalizer']}, {summary['decoding']}, step {summary['step']}\n"
        f"{summary['weights']} weights of {summary['parameter_bytes'] / 1e6:.1f} MB, "
        f"{summary['audio_seconds'] / summary['seconds']:.0f} seconds of audio a second, "
        f"compilation included\n"
        f"report: {folder / 'report.html'}"
    )
