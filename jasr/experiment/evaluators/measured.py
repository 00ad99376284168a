"""What the objectives say of validation."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from jasr.experiment.data import build_targets, eval_plan, in_order
from jasr.experiment.evaluators.run import Figures, Run
from jasr.experiment.teacher_config import teacher_parts
from jasr.pipeline.loader import load_all
from jasr.pipeline.usable import select_audio
from jasr.tasks.targets import NoTargets
from jasr.training.state import TrainState
from jasr.types import Sum


@dataclasses.dataclass(frozen=True)
class Measured:
    """The objectives' terms, "loss/NAME", and their weighted sum, "loss"."""

    def names(self, config: Mapping[str, Any]) -> Iterable[str]:
        return ("loss", *(f"loss/{name}" for name in config["objective"]))

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        config = run.meta.config
        targets = build_targets(run.meta)
        shards = run.placement.row_shards * teacher_parts(run.meta.config)
        if isinstance(targets, NoTargets):
            lengths = {key: config["data"][key] for key in ("min_seconds", "max_seconds")}
            selection = select_audio(run.corpus, **lengths)
            plan = in_order(config["evaluation"], selection, multiple_of=shards)
        else:
            plan = eval_plan(config["evaluation"], run.corpus, targets, multiple_of=shards)

        def evaluate(state: TrainState) -> Figures:
            batches = load_all(
                run.corpus,
                plan,
                targets,
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
