"""Errors of units that were learned without any transcript."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from jasr.decoding.ctc_greedy import ctc_greedy
from jasr.decoding.hypotheses import Hypotheses
from jasr.evaluation.recognition import recognize, score
from jasr.experiment.data import build_targets, eval_plan
from jasr.experiment.evaluators.run import Figures, Run
from jasr.pipeline.loader import load_all
from jasr.text.normalizer import normalizer
from jasr.training.state import TrainState
from jasr.types import Batch


@dataclasses.dataclass(frozen=True)
class Unsupervised:
    """Character error rate of generated units, "unit_error_rate"; spaces are left out of both.

    Only reported: no transcript has a part in training or in which checkpoint is best, unless
    config.train.best_by says so. "unit_usage" is the share of units ever generated, and
    "units_unused" that of the others: the best checkpoint is the one with the lowest figure.
    """

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        config, tokenizer = run.meta.config, run.meta.tokenizer
        assert tokenizer is not None, "what is generated are its units"
        normalize = normalizer(config["text"]["normalizer"])
        targets = build_targets(run.meta)
        plan = eval_plan(
            config["evaluation"],
            run.corpus,
            targets,
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
            batches = load_all(run.corpus, plan, targets, share=run.placement.row_share)
            hypotheses, _ = recognize(
                state.params,
                batches,
                decode=decode,
                place=run.placement.shard_batch,
                read=lambda found: tokenizer.decode(found[0].tokens),
                num_utterances=len(run.corpus),
                report=run.report,
            )
            scores = score(run.corpus.utterances, hypotheses, without_spaces)
            errors = sum(one.characters.errors for one in scores)
            used = {unit for one in scores for unit in one.hypothesis}
            usage = len(used) / max(1, tokenizer.vocab_size - 4)
            return {
                "unit_error_rate": errors / sum(one.characters.length for one in scores),
                "unit_usage": usage,
                "units_unused": 1 - usage,
            }

        return evaluate
