"""A student that begins as its teacher: some of its layers, and of their width as much as fits."""

import contextlib
import dataclasses
import json
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax.traverse_util import unflatten_dict
from ml_collections import ConfigDict

from jasr.errors import UserError
from jasr.experiment.recognition import Recognition
from jasr.experiment.trained import write_workdir
from jasr.experiment.warm_start import must_mean_the_same
from jasr.experiment.workdir import Meta
from jasr.models.distillation.narrowing import narrowed
from jasr.sharding.placement import Placement
from jasr.training.checkpoint import open_checkpoints
from jasr.training.state import logical_axes
from jasr.types import path_of


def make_student(
    workdir: str,
    config: ConfigDict,
    output: str,
    *,
    checkpoint: str,
    layers: str,
    decoder_layers: str,
    units: str,
) -> str:
    """Writes the model of a config, its parameters made of a trained one's, as a workdir to start
    from (config.init.workdir); says what it wrote.

    layers: of the teacher's encoder: "uniform", "first", "last" or numbers, counted from 1;
            decoder_layers: of its decoder.
    units:  "select" or "average", where the student is narrower.

    Raises UserError for a student that its teacher has no parameters for.
    """
    described = json.loads(json.dumps(config.to_dict()))
    with contextlib.closing(open_checkpoints(workdir)) as checkpoints:
        step = checkpoints.find(checkpoint)
        teacher = Meta.from_dict(checkpoints.read_meta(step))
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        params = checkpoints.restore_params(step, here)
    if teacher.config["model"]["name"] != described["model"]["name"]:
        raise UserError(
            f"--workdir={workdir} holds a {teacher.config['model']['name']}, and the student is a "
            f"{described['model']['name']}: give a teacher of its kind"
        )
    if teacher.config["lora"]:
        raise UserError(f"--workdir={workdir} holds low-rank changes: run launch.merge first")
    kept = {key: described[key] for key in ("model", "decoding", "mesh")}
    meta = dataclasses.replace(
        teacher, config={**teacher.config, **kept, "teacher": {}}, teachers=(), lessons=""
    )
    student = Recognition.build(meta, Placement.from_config(kept["mesh"]))
    boxed = student.boxed_params()
    there = {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    must_mean_the_same(f"--workdir={workdir}", teacher.config, meta.config, there)
    axes = logical_axes(boxed)
    found: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(nn.unbox(boxed)):
        name = path_of(path)
        if name not in there or there[name].ndim != leaf.ndim:
            raise UserError(
                f"the student has {name} {leaf.shape}, and its teacher, {workdir}, has nothing of "
                f"the kind: let config.model differ in sizes alone"
            )
        values = np.asarray(there[name])
        found[name] = narrowed(
            values,
            name,
            axes[name],
            leaf.shape,
            units=units,
            layers=decoder_layers if name.startswith("decoder/") else layers,
        )
    write_workdir(output, meta, unflatten_dict(found, sep="/"), 0)
    size = sum(leaf.size for leaf in found.values()) / 1e6
    return f"wrote a student of {size:.2f} M parameters to {output}, from step {step} of {workdir}"
