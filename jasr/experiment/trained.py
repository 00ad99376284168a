"""A trained recogniser: loaded from its workdir, or written as a workdir of its own."""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jasr.errors import UserError, nearest
from jasr.experiment.adapt import adapt
from jasr.experiment.recognition import METHODS, Recognition
from jasr.experiment.workdir import Meta, claim
from jasr.models.adapted import merged
from jasr.models.int8 import quantized
from jasr.sharding.mesh import TooFewDevices
from jasr.sharding.placement import Placement
from jasr.training.checkpoint import Checkpoints, has_finished, open_checkpoints
from jasr.training.state import TrainState, logical_axes

WEIGHTS = ("float32", "int8")


def load(
    workdir: str, checkpoint: str, decoding: str | None, data_dir: str | None = None
) -> tuple[Recognition, Any, int]:
    """The recogniser of a workdir's checkpoint, its parameters and their step.

    decoding: NAME[:KEY=NUMBER,...], instead of config.decoding; of ctc_beam, lexicon=FILE too.
    data_dir: where prepared corpora lie now, if not where training found them.
    Raises UserError where there is no such checkpoint.
    """
    with contextlib.closing(open_checkpoints(workdir)) as checkpoints:
        step = checkpoints.find(checkpoint)
        meta = Meta.from_dict(checkpoints.read_meta(step))
        meta = dataclasses.replace(meta, data_dir=data_dir or meta.data_dir)
        placement = _placement(meta.config["mesh"])
        recognition = Recognition.build(meta, placement, parse_decoding(decoding))
        return recognition, load_params(checkpoints, step, recognition), step


def load_params(checkpoints: Checkpoints, step: int, recognition: Recognition) -> Any:
    """The recogniser's parameters; low-rank changes are added to what they change."""
    if not recognition.meta.config["lora"]:
        return checkpoints.restore_params(step, recognition.parameter_shardings())
    adapted, base, _ = adapt(recognition.model, recognition.meta, recognition.placement)
    changes = checkpoints.restore_params(step, recognition.placement.replicated)
    return jax.jit(
        functools.partial(merged, adapted), out_shardings=recognition.parameter_shardings()
    )(base, changes)


def with_weights(recognition: Recognition, params: Any, weights: str) -> Any:
    """The parameters as they are to be kept: "float32", or "int8" (`jasr.models.int8`)."""
    if weights not in WEIGHTS:
        raise UserError(f"--weights={weights} is unknown: {nearest(weights, WEIGHTS)}")
    if weights == "float32":
        return params
    axes = logical_axes(recognition.boxed_params())
    return jax.jit(functools.partial(quantized, axes=axes))(params)


def write_workdir(output: str, meta: Meta, params: Any, step: int) -> None:
    """Writes parameters as a workdir to evaluate, to start from or to learn from.

    Raises UserError where `output` holds a training already.
    """
    if has_finished(Path(output)):
        raise UserError(f"--output={output} holds a training already: give another folder")
    claim(Path(output), meta.config, resuming=False)
    state = TrainState(
        step=np.int32(step), nonfinite=np.int32(0), seed=np.uint32(0), params=params, opt_state={}
    )
    with contextlib.closing(Checkpoints(Path(output))) as checkpoints:
        checkpoints.save(state, dataclasses.replace(meta, base=None).to_dict())


def merge_workdir(workdir: str, output: str, *, checkpoint: str) -> str:
    """Writes a training with low-rank changes as one without, its parameters alone; says where.

    Raises UserError where there is nothing to merge, or where `output` holds a training already.
    """
    recognition, params, step = load(workdir, checkpoint, None)
    meta = recognition.meta
    if not meta.config["lora"]:
        raise UserError(f"--workdir={workdir} holds no low-rank changes: there is nothing to merge")
    config = {**meta.config, "lora": {}}
    write_workdir(output, dataclasses.replace(meta, config=config), params, step)
    return f"merged step {step} of {workdir} into {output}"


def parse_decoding(text: str | None) -> dict[str, Any] | None:
    """ "attention_beam:beam_size=8" -> {"name": "attention_beam", "beam_size": 8}"""
    if text is None:
        return None
    name, _, settings = text.partition(":")
    if name not in METHODS:
        raise UserError(f"--decoding={text}: {name!r} is unknown: {nearest(name, METHODS)}")
    parsed: dict[str, Any] = {"name": name}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        if key == "lexicon":
            if not value:
                raise UserError(f"--decoding={text}: lexicon= names no file of words")
            parsed[key] = value
            continue
        try:
            parsed[key] = float(value) if "." in value else int(value)
        except ValueError:
            raise UserError(
                f"--decoding={text}: {setting!r} must be KEY=NUMBER, such as beam_size=8"
            ) from None
    return parsed


def _placement(config: Mapping[str, Any]) -> Placement:
    """That of the training, or where its devices are not at hand, rows split over all there are."""
    try:
        return Placement.from_config(config)
    except TooFewDevices:
        return Placement.from_config({"preset": "data_parallel", "data": 0})
