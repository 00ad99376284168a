"""config.lora: a model whose parameters stay those of another training, with low-rank changes."""

import contextlib
import dataclasses
import re

import flax.linen as nn
import jax

from jasr.errors import UserError
from jasr.experiment.construct import construct
from jasr.experiment.data import build_targets, empty_batch
from jasr.experiment.warm_start import SharedTokens, WarmStart, logical_axes, token_axes
from jasr.experiment.workdir import Meta
from jasr.models.adapted import Adapted, Kernel
from jasr.sharding.placement import Placement
from jasr.training.checkpoint import open_checkpoints
from jasr.training.state import abstract_params, initializer


@dataclasses.dataclass(frozen=True)
class LowRank:
    """What config.lora says.

    parameters: regular expressions of the kernels that are changed.
    """

    parameters: tuple[str, ...]
    rank: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError(f"config.lora.rank is {self.rank}: expected 1 or more")


def adapt(
    model: nn.Module, meta: Meta, placement: Placement
) -> tuple[Adapted, dict[str, jax.Array], Meta]:
    """The model of a config that has low-rank changes, its frozen parameters by path, and the meta
    that says which they are.

    Raises UserError where there is nothing to change.
    """
    init = meta.config["init"]
    chosen = construct(LowRank, meta.config["lora"], "config.lora")
    if not init["workdir"]:
        raise UserError("config.lora changes the parameters that config.init.workdir has: give it")
    first = empty_batch(
        1, samples=meta.config["corpus"]["sample_rate"], tokens=1, targets=build_targets(meta)
    )
    boxed = abstract_params(initializer(model, first))
    wanted = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        nn.unbox(boxed),
        placement.parameters(boxed),
    )
    axes = logical_axes(boxed)
    with contextlib.closing(open_checkpoints(init["workdir"], "config.init.workdir")) as other:
        step = meta.base_step if meta.base_step is not None else other.find(init["checkpoint"])
        there = other.read_meta(step)["tokenizer"]
        start = construct(
            WarmStart,
            {**init, "checkpoint": str(step)},
            "config.init",
            vocabulary=SharedTokens.between(there, meta.tokenizer, token_axes(boxed)),
        )
        base = start.load(other, wanted)
    kernels = {
        path: Kernel.of(path, leaf.shape, axes[path])
        for path, leaf in base.items()
        if any(re.search(pattern, path) for pattern in chosen.parameters)
    }
    if not kernels:
        raise UserError(
            f"config.lora.parameters match none of what was loaded; they are {', '.join(base)}"
        )
    new = tuple(path for path in axes if path not in base)
    adapted = Adapted(model, kernels, new, chosen.rank, chosen.alpha)
    return adapted, base, dataclasses.replace(meta, base_step=step)
