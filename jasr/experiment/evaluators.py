"""config.evaluators: what is asked of a model during its training; NAME -> {name, fields}."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus
from jasr.decoding.ctc_greedy import ctc_greedy
from jasr.decoding.hypotheses import Hypotheses
from jasr.errors import UserError
from jasr.evaluation.recognition import recognize, score
from jasr.evaluation.scoring import summarize
from jasr.experiment.construct import construct_named
from jasr.experiment.data import eval_plan, in_order
from jasr.experiment.probe import CTCProbe, Frames
from jasr.experiment.recognition import Recognition
from jasr.experiment.step import TrainingStep
from jasr.experiment.workdir import Meta
from jasr.pipeline.loader import LoadedBatch, load_batches
from jasr.pipeline.usable import select_audio
from jasr.sharding.placement import Placement
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import train_tokenizer
from jasr.training.state import TrainState
from jasr.types import Batch, Sum

Figures = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """The training that is evaluated.

    model, params_of: the model itself, and its parameters in a state, without what adapts it.
    corpus: the validation split. report: takes note of utterances that could not be loaded.
    """

    meta: Meta
    placement: Placement
    step: TrainingStep
    model: Any
    params_of: Callable[[TrainState], Any]
    corpus: Corpus
    data_dir: str | None
    report: Callable[[LoadedBatch], None]


@dataclasses.dataclass(frozen=True)
class Recognized:
    """Word and character error rate, "wer" and "cer", by the search of config.decoding."""

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        recognition = Recognition.build(run.meta, run.placement)

        def evaluate(state: TrainState) -> Figures:
            hypotheses, seconds = recognition.recognize(
                run.params_of(state), run.corpus, run.report
            )
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
        texts = [normalize(u.text) for split in splits for u in split.utterances if u.text]
        tokenizer = train_tokenizer("character", texts, vocab_size=0)
        frames = Frames(run.model, run.placement, self.layer)
        probe = CTCProbe(tokenizer, num_steps=self.num_steps, learning_rate=self.learning_rate)

        def evaluate(state: TrainState) -> Figures:
            train, test = (
                frames.of(run.params_of(state), corpus, tokenizer, normalize, config)
                for corpus in splits
            )
            return {"probe_cer": probe.error_rate(train, test)}

        return evaluate


@dataclasses.dataclass(frozen=True)
class Unsupervised:
    """Character error rate of generated units, "unit_error_rate"; spaces are left out of both.

    Only reported: no transcript has a part in training or in which checkpoint is best, unless
    config.train.best_by says so. "unit_usage" is the share of units ever generated.
    """

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        config, tokenizer = run.meta.config, run.meta.tokenizer
        assert tokenizer is not None, "what is generated are its units"
        normalize = normalizer(config["text"]["normalizer"])
        plan = eval_plan(
            config["evaluation"],
            run.corpus,
            tokenizer,
            normalize,
            multiple_of=run.placement.row_shards,
        )

        def generate(params: Any, batch: Batch) -> Hypotheses:
            outputs: Any = run.model.apply(
                {"params": params, **run.step.frozen}, batch, train=False
            )
            return ctc_greedy(outputs["generated"], blank_id=tokenizer.blank_id)

        def without_spaces(text: str) -> str:
            return normalize(text).replace(" ", "")

        compiled = jax.jit(generate)

        def decode(params: Any, batch: Batch) -> Hypotheses:
            with run.placement.active():
                return compiled(params, batch)

        def evaluate(state: TrainState) -> Figures:
            batches = load_batches(
                run.corpus,
                plan,
                tokenizer,
                normalize,
                start_step=0,
                stop_step=len(plan),
                share=run.placement.row_share,
            )
            hypotheses, _ = recognize(
                state.params,
                batches,
                decode=decode,
                place=run.placement.shard_batch,
                tokenizer=tokenizer,
                num_utterances=len(run.corpus),
                report=run.report,
            )
            scores = score(run.corpus.utterances, hypotheses, without_spaces)
            errors = sum(one.characters.errors for one in scores)
            used = {unit for one in scores for unit in one.hypothesis}
            return {
                "unit_error_rate": errors / sum(one.characters.length for one in scores),
                "unit_usage": len(used) / max(1, tokenizer.vocab_size - 4),
            }

        return evaluate


EVALUATORS = {
    "recognition": Recognized,
    "objective": Measured,
    "probe": Probe,
    "unsupervised": Unsupervised,
}


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
