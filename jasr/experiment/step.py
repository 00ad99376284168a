"""config.train, config.optimizer, config.objective: the compiled training step and its state."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax

from jasr.errors import UserError, nearest
from jasr.experiment.construct import construct, construct_named
from jasr.experiment.objective import build_objective
from jasr.sharding.compile import Compiled
from jasr.sharding.placement import Placement
from jasr.sharding.pmap import pmap_step, rows_of_devices
from jasr.training.average import Average
from jasr.training.balancing.balancer import Balancer
from jasr.training.balancing.grad_norm import GradNorm
from jasr.training.balancing.pcgrad import PCGrad
from jasr.training.balancing.uncertainty import Uncertainty
from jasr.training.flops import matmul_flops
from jasr.training.measure import measure, variables_of
from jasr.training.optimizer import LearningRate, Optimizer
from jasr.training.state import (
    TrainState,
    abstract_params,
    abstract_state,
    create_state,
    initializer,
    logical_axes,
    start_from,
)
from jasr.training.step import train_step
from jasr.types import Batch

BALANCERS = {"uncertainty": Uncertainty, "grad_norm": GradNorm, "pcgrad": PCGrad}


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """The step of a config, on a placement.

    take:     (state, batch, frozen) -> (state, metrics), pure.
    compiled: (state, batch) -> the same, compiled for each shape of batch.
    measured: (state, batch) -> raw terms, of a batch that nothing is learned from; compiled too.
    abstract: shapes, dtypes and shardings of the state.
    learner:  the part of the model that gradients go through.
    weights:  step -> the weight of each objective.
    axes:     the logical axes of each parameter, by its path.
    create:   seed -> the first state; start_from: the same with given parameters.
    """

    take: Callable[..., Any]
    compiled: Compiled
    measured: Compiled
    abstract: TrainState
    create: Callable[[int], TrainState]
    start_from: Callable[[Any, int], TrainState]
    learning_rate: LearningRate
    model: nn.Module
    learner: nn.Module
    weights: Callable[[Any], dict[str, Any]]
    frozen: Mapping[str, Any]
    axes: Mapping[str, tuple[str, ...]]

    @classmethod
    def build(
        cls,
        config: Mapping[str, Any],
        model: nn.Module,
        first: Batch,
        placement: Placement,
        frozen: Mapping[str, Any] = MappingProxyType({}),
        learner: nn.Module | None = None,
    ) -> "TrainingStep":
        """first: any batch that the model takes, or its shapes; raises UserError.

        frozen:  collections of variables that the model reads and nothing changes.
        learner: the part of the model that gradients go through, with its parameters' paths; all
                 of it if not given.
        """
        initialize = initializer(model, first)
        boxed = abstract_params(initialize)
        described = build_optimizer(config["optimizer"], num_steps=config["train"]["num_steps"])
        optimizer = described.build(nn.unbox(boxed), nn.get_partition_spec(boxed))
        objective = build_objective(config["objective"], tuple(config["tasks"]))
        balancer = build_balancer(config)
        balance = balancer.init(len(objective.terms)) if balancer else ()
        abstract = abstract_state(
            boxed,
            optimizer,
            placement,
            params_dtype=config["optimizer"]["params_dtype"],
            balance=balance,
        )
        take = functools.partial(
            train_step,
            model=model,
            objective=objective,
            optimizer=optimizer,
            balancer=balancer,
            microbatches=config["train"]["microbatches"],
            is_frozen=described.is_frozen(nn.unbox(boxed)),
        )
        return cls(
            take=take,
            compiled=_compiled(
                config["train"]["compiler"], take, abstract, placement, dict(frozen)
            ),
            measured=Compiled(
                jax.jit(
                    functools.partial(measure, model=model, objective=objective),
                    out_shardings=placement.replicated,
                ),
                "measurement",
                dict(frozen),
                place=placement.shard_batch,
                tracing=placement.active,
            ),
            abstract=abstract,
            create=lambda seed: create_state(
                initialize, optimizer, abstract, seed=seed, balance=balance
            ),
            learning_rate=described.learning_rate,
            model=model,
            learner=learner or model,
            weights=objective.weights,
            frozen=frozen,
            axes=logical_axes(boxed),
            start_from=lambda params, seed: start_from(
                params, optimizer, abstract, seed=seed, balance=balance
            ),
        )

    def model_flops(self, batch: Batch) -> int:
        """FLOPs that one step on a batch (or its shapes) asks for.

        A pass forward through all of the model; one back, twice as much, through what learns.
        """
        forward = self._forward_flops(self.model, batch)
        whole = self.learner is self.model
        learning = forward if whole else self._forward_flops(self.learner, batch)
        if front_end := getattr(self.learner, "log_mel", None):
            learning -= matmul_flops(front_end, batch.audio)
        return forward + 2 * learning

    def _forward_flops(self, part: nn.Module, batch: Batch) -> int:
        apply = functools.partial(part.apply, train=False, rngs={"augment": jax.random.key(0)})
        return matmul_flops(apply, variables_of(self.abstract, self.frozen), batch)


def build_balancer(config: Mapping[str, Any]) -> Balancer | None:
    """The balancer of config.balancer; None where it is empty."""
    section = config["balancer"]
    return construct_named(BALANCERS, section, "config.balancer") if section else None


def build_optimizer(
    config: Mapping[str, Any], *, num_steps: int, where: str = "config.optimizer"
) -> Optimizer:
    """The optimizer of config.optimizer, and those of its groups.

    A group has a key `parameters`, a regular expression, and the keys in which it differs.
    """
    section = dict(config)
    groups = section.pop("groups")
    learning_rate = construct(
        LearningRate, section["learning_rate"], f"{where}.learning_rate", num_steps=num_steps
    )
    average = section.pop("average")
    if average:
        section["average"] = construct(Average, average, f"{where}.average")
    of_groups = {}
    for name, group in groups.items():
        differing = {key: value for key, value in group.items() if key != "parameters"}
        if "parameters" not in group:
            raise UserError(f"{where}.groups.{name} lacks the key 'parameters': which it moves")
        rate = {**section["learning_rate"], **differing.pop("learning_rate", {})}
        of_groups[group["parameters"]] = build_optimizer(
            {**section, **differing, "learning_rate": rate, "average": {}, "groups": {}},
            num_steps=num_steps,
            where=f"{where}.groups.{name}",
        )
    section["learning_rate"] = learning_rate
    given = {key: section.pop(key) for key in ("learning_rate", "average") if key in section}
    optimizer: Optimizer = construct(Optimizer, section, where, groups=of_groups, **given)
    return optimizer


def _compiled(
    compiler: str,
    take: Callable[..., Any],
    abstract: TrainState,
    placement: Placement,
    frozen: Mapping[str, Any],
) -> Compiled:
    def step(state: TrainState, frozen: Any, batch: Batch, **of_pmap: Any) -> Any:
        return take(state, batch, frozen=frozen, **of_pmap)

    if compiler == "jit":
        placed = jax.tree.map(lambda leaf: leaf.sharding, abstract)
        jitted = jax.jit(step, donate_argnums=0, out_shardings=(placed, placement.replicated))
        return Compiled(
            jitted,
            "train step",
            frozen,
            place=placement.shard_batch,
            tracing=placement.active,
        )
    if compiler == "pmap":
        place = functools.partial(rows_of_devices, placement)
        return Compiled(pmap_step(step, placement), "train step", frozen, place=place)
    raise UserError(
        f"config.train.compiler {compiler!r} is unknown: {nearest(compiler, ('jit', 'pmap'))}"
    )
