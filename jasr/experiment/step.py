"""config.train, config.optimizer, config.objective: the compiled training step and its state."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

from jasr.errors import UserError, nearest
from jasr.experiment.construct import construct
from jasr.experiment.objective import build_objective
from jasr.sharding.compile import Compiled
from jasr.sharding.placement import Placement
from jasr.sharding.pmap import pmap_step, rows_of_devices
from jasr.training.flops import matmul_flops
from jasr.training.optimizer import LearningRate, Optimizer
from jasr.training.state import TrainState, abstract_params, abstract_state, create_state
from jasr.training.step import train_step
from jasr.types import Batch


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """The step of a config, on a placement.

    take:     (state, batch) -> (state, metrics), pure.
    compiled: the same, compiled for each shape of batch.
    abstract: shapes, dtypes and shardings of the state.
    create:   seed -> the first state.
    """

    take: Callable[..., Any]
    compiled: Compiled
    abstract: TrainState
    create: Callable[[int], TrainState]
    learning_rate: LearningRate
    model: nn.Module

    @classmethod
    def build(
        cls, config: Mapping[str, Any], model: nn.Module, first: Batch, placement: Placement
    ) -> "TrainingStep":
        """first: any batch that the model takes, or its shapes; raises UserError."""
        section = dict(config["optimizer"])
        learning_rate = construct(
            LearningRate,
            section.pop("learning_rate"),
            "config.optimizer.learning_rate",
            num_steps=config["train"]["num_steps"],
        )
        boxed = abstract_params(model, first)
        optimizer = construct(
            Optimizer, section, "config.optimizer", learning_rate=learning_rate
        ).build(nn.unbox(boxed), nn.get_partition_spec(boxed))
        abstract = abstract_state(
            boxed, optimizer, placement, params_dtype=config["optimizer"]["params_dtype"]
        )
        take = functools.partial(
            train_step,
            model=model,
            objective=build_objective(config["objective"]),
            optimizer=optimizer,
            microbatches=config["train"]["microbatches"],
        )
        return cls(
            take=take,
            compiled=_compiled(config["train"]["compiler"], take, abstract, placement),
            abstract=abstract,
            create=lambda seed: create_state(model, optimizer, first, abstract, seed=seed),
            learning_rate=learning_rate,
            model=model,
        )

    def model_flops(self, batch: Batch) -> int:
        """FLOPs that one step on a batch (or its shapes) asks for."""
        forward = functools.partial(self.model.apply, train=False)
        return 3 * matmul_flops(forward, {"params": self.abstract.params}, batch)


def _compiled(
    compiler: str, take: Callable[..., Any], abstract: TrainState, placement: Placement
) -> Compiled:
    if compiler == "jit":
        placed = jax.tree.map(lambda leaf: leaf.sharding, abstract)
        jitted = jax.jit(take, donate_argnums=0, out_shardings=(placed, placement.replicated))
        return Compiled(jitted, "train step", place=placement.shard_batch, tracing=placement.active)
    if compiler == "pmap":
        place = functools.partial(rows_of_devices, placement)
        return Compiled(pmap_step(take, placement), "train step", place=place)
    raise UserError(
        f"config.train.compiler {compiler!r} is unknown: {nearest(compiler, ('jit', 'pmap'))}"
    )
