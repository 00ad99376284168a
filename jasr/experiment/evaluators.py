"""config.evaluators: what is asked of a model during its training; NAME -> {name, fields}."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus
from jasr.errors import UserError
from jasr.evaluation.recognition import score
from jasr.evaluation.scoring import summarize
from jasr.experiment.construct import construct_named
from jasr.experiment.data import build_tokenizer, eval_plan, in_order
from jasr.experiment.probe import CTCProbe, Frames
from jasr.experiment.recognition import Recognition
from jasr.experiment.step import TrainingStep
from jasr.experiment.workdir import Meta
from jasr.pipeline.loader import LoadedBatch, load_batches
from jasr.pipeline.usable import select_audio
from jasr.sharding.placement import Placement
from jasr.text.normalizer import normalizer
from jasr.training.state import TrainState
from jasr.types import Sum

Figures = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """The training that is evaluated.

    corpus: the validation split. report: takes note of utterances that could not be loaded.
    """

    meta: Meta
    placement: Placement
    step: TrainingStep
    corpus: Corpus
    data_dir: str | None
    report: Callable[[LoadedBatch], None]


@dataclasses.dataclass(frozen=True)
class Recognized:
    """Word and character error rate, "wer" and "cer", by the search of config.decoding."""

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        recognition = Recognition.build(run.meta, run.placement)

        def evaluate(state: TrainState) -> Figures:
            hypotheses, seconds = recognition.recognize(state.params, run.corpus, run.report)
            summary = summarize(
                score(run.corpus.utterances, hypotheses, recognition.normalize),
                normalizer=run.meta.config["text"]["normalizer"],
                decoding=recognition.name,
                step=int(state.step),
                seconds=seconds,
            )
            return {name: summary[name] for name in ("wer", "cer")}

        return evaluate


@dataclasses.dataclass(frozen=True)
class Measured:
    """The objectives' terms, "loss/NAME", and their weighted sum, "loss"."""

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        config, tokenizer = run.meta.config, run.meta.tokenizer
        normalize = normalizer(config["text"]["normalizer"])
        shards = run.placement.row_shards
        if tokenizer is None:
            lengths = {key: config["data"][key] for key in ("min_seconds", "max_seconds")}
            selection = select_audio(run.corpus, **lengths)
            plan = in_order(config["evaluation"], selection, multiple_of=shards)
        else:
            plan = eval_plan(
                config["evaluation"], run.corpus, tokenizer, normalize, multiple_of=shards
            )

        def evaluate(state: TrainState) -> Figures:
            batches = load_batches(
                run.corpus,
                plan,
                tokenizer,
                normalize,
                start_step=0,
                stop_step=len(plan),
                num_workers=config["data"]["num_workers"],
                share=run.placement.row_share,
            )
            total: dict[str, Sum] = {}
            for loaded in batches:
                run.report(loaded)
                sums = run.step.measured(state, run.step.measured.place(loaded.batch))
                total = {n: s + total[n] for n, s in sums.items()} if total else dict(sums)
            means = {name: float(term.mean()) for name, term in jax.device_get(total).items()}
            weights = run.step.weights(state.step)
            loss = sum(float(weight) * means[name] for name, weight in weights.items())
            return {"loss": loss} | {f"loss/{name}": mean for name, mean in means.items()}

        return evaluate


@dataclasses.dataclass(frozen=True)
class Probe:
    """How well characters can be read off the frames by one linear layer: "probe_cer".

    A linear CTC head is trained on what the frozen encoder makes of some transcribed speech.

    corpus:         a corpus section of its own, prepared.
    layer:          whose output is probed, counted from 1; 0: the encoder's own.
    train, test:    splits to learn from and to score, or first parts of them.
    num_steps:      of Adam, over all of them at once.
    """

    corpus: Mapping[str, Any]
    train: str = "train"
    test: str = "validation"
    layer: int = 0
    num_steps: int = 200
    learning_rate: float = 0.02

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        config = run.meta.config
        rate = config["corpus"]["sample_rate"]
        section = {"kind": "manifest", "options": {}, "parts": {}, "sample_rate": rate}
        splits = [
            open_corpus({**section, **self.corpus}, split, run.data_dir)
            for split in (self.train, self.test)
        ]
        normalize = normalizer(config["text"]["normalizer"])
        tokenizer = build_tokenizer(
            {"tokenizer": "character", "vocab_size": 0}, splits[0], normalize
        )
        frames = Frames(run.step.model, run.placement, self.layer)
        probe = CTCProbe(tokenizer, num_steps=self.num_steps, learning_rate=self.learning_rate)

        def evaluate(state: TrainState) -> Figures:
            train, test = (
                frames.of(state.params, corpus, tokenizer, normalize, config) for corpus in splits
            )
            return {"probe_cer": probe.error_rate(train, test)}

        return evaluate


EVALUATORS = {"recognition": Recognized, "objective": Measured, "probe": Probe}


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
