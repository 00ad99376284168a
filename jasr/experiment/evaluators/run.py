"""What an evaluator is given, and what it gives.

names(config) ──▶ of its figures, before anything is trained
prepare(run)  ──▶ evaluate(state) ──▶ figures
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from jasr.corpora.corpus import Corpus
from jasr.experiment.step import TrainingStep
from jasr.experiment.workdir import Meta
from jasr.pipeline.loader import LoadedBatch
from jasr.sharding.placement import Placement
from jasr.training.state import TrainState

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
