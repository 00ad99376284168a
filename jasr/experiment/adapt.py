"""config.lora: a model whose parameters stay those of another training, with low-rank changes."""

import contextlib
import dataclasses
from pathlib import Path

import flax.linen as nn
import jax

from jasr.errors import UserError
from jasr.experiment.construct import construct
from jasr.experiment.data import build_targets, empty_batch
from jasr.experiment.pin import Pin
from jasr.experiment.shared_rows import SharedRows
from jasr.experiment.warm_start import WarmStart, any_match, must_mean_the_same
from jasr.experiment.workdir import Meta
from jasr.models.adapted import Adapted, Kernel
from jasr.sharding.placement import Placement
from jasr.training.checkpoint import open_checkpoints
from jasr.training.state import abstract_params, initializer, logical_axes

# Others read more than parameters: clusters, averages, the step.
MODELS = ("recognizer", "language_model", "masked_text")


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
    if meta.config["model"]["name"] not in MODELS:
        raise UserError(
            f"config.lora changes models of {', '.join(MODELS)}, and config.model.name is "
            f"{meta.config['model']['name']!r}: train it whole (config.lora = {{}})"
        )
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
    # From another folder than it was trained in, a relative path leads nowhere.
    workdir = init["workdir"]
    if meta.base is not None and not Path(workdir).is_dir():
        workdir = meta.base.folder
        if not Path(workdir).is_dir():
            raise UserError(
                f"of this training only low-rank changes were saved, and what they change is no "
                f"longer in {workdir}: move it back; launch.merge, while both are there, writes a "
                f"workdir that stands alone"
            )
    with contextlib.closing(open_checkpoints(workdir, "config.init.workdir")) as other:
        base_of = Pin.of(other, init["checkpoint"], meta.base)
        there = Meta.from_dict(other.read_meta(base_of.step))
        if others := SharedRows.between(there, meta, axes):
            raise UserError(
                f"config.lora changes no row of {others[0].what}, and {workdir} "
                f"(config.init.workdir) has others than this training: let them be the same "
                f"(config.text.tokenizer 'init' takes its tokens)"
            )
        start = construct(WarmStart, {**init, "checkpoint": str(base_of.step)}, "config.init")
        base = start.load(other, wanted)
    must_mean_the_same(f"config.init.workdir {workdir}", there.config, meta.config, base)
    kernels = {
        path: Kernel.of(path, leaf.shape, axes[path])
        for path, leaf in base.items()
        if any_match(chosen.parameters, path, "config.lora.parameters")
    }
    for pattern in chosen.parameters:
        if not any(any_match((pattern,), path, "config.lora.parameters") for path in kernels):
            raise UserError(
                f"config.lora.parameters: {pattern!r} matches none of what was loaded; they are "
                f"{', '.join(base)}"
            )
    new = tuple(path for path in axes if path not in base)
    adapted = Adapted(model, kernels, new, chosen.rank, chosen.alpha)
    return adapted, base, dataclasses.replace(meta, base=base_of)
