"""The teachers that config.teacher names: trained models, frozen, that a recogniser learns from."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from jasr.errors import UserError
from jasr.experiment.construct import construct
from jasr.experiment.model import build_encoder, build_log_mel
from jasr.experiment.pin import Pin
from jasr.experiment.recognition import Recognition
from jasr.experiment.teacher_config import TeacherConfig
from jasr.experiment.trained import load_params
from jasr.experiment.workdir import Meta
from jasr.models.distillation.taught import Taught, uniform_pairs
from jasr.models.distillation.teacher import ListeningTeacher, RecognizingTeacher, Teacher
from jasr.models.pretraining.clusters import Clusters
from jasr.models.pretraining.units import Units
from jasr.models.recognizer import Recognizer
from jasr.sharding import hosts
from jasr.sharding.placement import Placement
from jasr.sharding.presets import PRESETS
from jasr.training.checkpoint import open_checkpoints
from jasr.training.state import abstract_params, initializer
from jasr.types import Padded

# Objectives of layers of the student and of the teacher that are matched.
OF_LAYERS = {"hidden_states", "frame_relations", "attention_maps"}


@dataclasses.dataclass(frozen=True)
class Found:
    """A teacher, the checkpoint that its parameters are of, and where they will lie.

    shapes:  of the parameters, with dtypes and shardings.
    restore: reads them as they were saved.
    """

    teacher: Teacher
    pin: Pin
    shapes: Any
    restore: Callable[[], Any]

    def load(self) -> Any:
        """The parameters, of the dtype and in the places that `shapes` says."""
        restored = flatten_dict(self.restore(), sep="/")
        return unflatten_dict(
            {
                path: restored[path].astype(leaf.dtype)
                for path, leaf in flatten_dict(self.shapes, sep="/").items()
            },
            sep="/",
        )


def teacher_tokenizer(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """That of the first teacher that has one, as it was saved; None where none has."""
    for workdir in construct(TeacherConfig, config["teacher"], "config.teacher").workdirs:
        with contextlib.closing(open_checkpoints(workdir, "config.teacher.workdir")) as checkpoints:
            saved = checkpoints.read_meta(checkpoints.find("last"))["tokenizer"]
            if saved is not None:
                return dict(saved)
    return None


def taught(
    student: nn.Module, meta: Meta, placement: Placement, clusters: Clusters | None
) -> tuple[Taught, dict[str, Found], Meta]:
    """The student beside its teachers, their parameters to be loaded as the collection "teacher",
    and the meta that says which checkpoints they are of.

    Raises UserError for a teacher that cannot teach this student.
    """
    config = meta.config
    chosen = TeacherConfig.parse(config)
    if not isinstance(student, Recognizer):
        raise UserError(
            f"config.teacher teaches a recognizer, and config.model.name is "
            f"{config['model']['name']!r}"
        )
    objectives = {part.get("name") for part in config["objective"].values()}
    before: Sequence[Pin | None] = meta.teachers or [None] * len(chosen.workdirs)
    found = [
        _find(workdir, pin, chosen, meta, placement)
        for workdir, pin in zip(chosen.workdirs, before, strict=True)
    ]
    # A teacher that is still in training has another best and last a moment later.
    steps = " ".join(f"{one.pin.step:012d}" for one in found)
    hosts.must_agree(steps, "the checkpoint of config.teacher.workdir")
    teachers: tuple[Teacher, ...] = tuple(one.teacher for one in found)
    if chosen.average:
        teachers = (RecognizingTeacher(student),)
    codebook = None
    if chosen.codebook:
        if clusters is None:
            raise UserError("config.teacher.codebook predicts config.clusters, and it is empty")
        codebook = construct(Units, chosen.codebook, "config.teacher.codebook", clusters=clusters)
    model = Taught(
        student,
        teachers=teachers,
        weights=tuple(map(float, chosen.weights)) or (1.0,) * len(teachers),
        pairs=_pairs(chosen.pairs, student, teachers) if objectives & OF_LAYERS else (),
        projects="hidden_states" in objectives,
        attention="attention_maps" in objectives,
        codebook=codebook,
        shares_encoder=chosen.shares_encoder,
        parts=chosen.parts,
    )
    numbered = {str(number): one for number, one in enumerate(found)}
    return model, numbered, dataclasses.replace(meta, teachers=tuple(one.pin for one in found))


def _find(
    workdir: str, before: Pin | None, chosen: TeacherConfig, student: Meta, placement: Placement
) -> Found:
    with contextlib.closing(open_checkpoints(workdir, "config.teacher.workdir")) as checkpoints:
        pin = Pin.of(checkpoints, chosen.checkpoint, before)
        meta = Meta.from_dict(checkpoints.read_meta(pin.step))
    rates = [one.config["corpus"]["sample_rate"] for one in (meta, student)]
    if rates[0] != rates[1]:
        raise UserError(
            f"config.teacher.workdir {workdir} hears {rates[0]} Hz, and config.corpus.sample_rate "
            f"is {rates[1]}: give a teacher of the same rate"
        )
    model = {**meta.config["model"], "dtype": chosen.dtype or meta.config["model"]["dtype"]}
    meta = dataclasses.replace(meta, config={**meta.config, "model": model})
    rules = PRESETS[chosen.preset] if chosen.preset else placement.rules
    own = Placement(placement.mesh, rules)
    dtype = jnp.dtype(chosen.dtype or "float32")
    if model["name"] == "masked_speech":
        listener = ListeningTeacher(
            build_log_mel(model["log_mel"], meta.statistics), build_encoder(model)
        )
        boxed = {"encoder": _boxed_encoder(listener, rates[0])}
        shardings = own.parameters(boxed)
        restore = functools.partial(_restore, workdir, pin.step, shardings)
        return Found(listener, pin, _placed(boxed, shardings, dtype), restore)
    if model["name"] != "recognizer":
        raise UserError(
            f"config.teacher.workdir {workdir} holds a {model['name']}, which hears no speech: "
            f"give a recognizer, or a masked_speech for its layers' states"
        )
    _must_speak_alike(workdir, meta, student)
    recognition = Recognition.build(meta, own)
    placed = _placed(recognition.boxed_params(), recognition.parameter_shardings(), dtype)
    if chosen.shares_encoder:
        _must_have_one_encoder(workdir, pin.step, meta, student)
        del placed["encoder"]
    restore = functools.partial(_restore_recognizer, workdir, pin.step, recognition)
    return Found(RecognizingTeacher(recognition.model), pin, placed, restore)


def _placed(boxed: Any, shardings: Any, dtype: Any) -> Any:
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=sharding),
        nn.unbox(boxed),
        shardings,
    )


def _boxed_encoder(listener: ListeningTeacher, sample_rate: int) -> Any:
    second = Padded(jnp.zeros((1, sample_rate)), jnp.ones((1, sample_rate), bool))
    features: Any = jax.eval_shape(listener.log_mel, second)
    return abstract_params(initializer(listener.encoder, features))


def _restore(workdir: str, step: int, shardings: Any) -> Any:
    with contextlib.closing(open_checkpoints(workdir, "config.teacher.workdir")) as checkpoints:
        return checkpoints.restore_params(step, shardings)


def _restore_recognizer(workdir: str, step: int, recognition: Recognition) -> Any:
    with contextlib.closing(open_checkpoints(workdir, "config.teacher.workdir")) as checkpoints:
        return load_params(checkpoints, step, recognition)


def _must_speak_alike(workdir: str, teacher: Meta, student: Meta) -> None:
    assert teacher.tokenizer is not None, "a recogniser has one"
    if student.tokenizer is None or teacher.tokenizer.to_dict() != student.tokenizer.to_dict():
        raise UserError(
            f"config.teacher.workdir {workdir} has other tokens than the student: set "
            f"config.text.tokenizer to 'teacher', or learn from what it writes (launch.label)"
        )
    # The student's may come from a config module, with tuples where what was saved has lists.
    if teacher.config["tasks"] != json.loads(json.dumps(student.config["tasks"])):
        raise UserError(f"config.teacher.workdir {workdir} does not have the student's tasks")


def _must_have_one_encoder(workdir: str, step: int, teacher: Meta, student: Meta) -> None:
    """What the student starts from has the teacher's encoder, which it keeps, being frozen."""
    for part in ("encoder", "log_mel"):
        own = json.loads(json.dumps(student.config["model"][part]))
        if own != teacher.config["model"][part]:
            raise UserError(
                f"config.teacher.shares_encoder: config.model.{part} is not that of {workdir}"
            )
    if student.teachers:
        return  # it has begun, and what it started from may be gone
    init = student.config["init"]
    with (
        contextlib.closing(open_checkpoints(workdir, "config.teacher.workdir")) as one,
        contextlib.closing(open_checkpoints(init["workdir"], "config.init.workdir")) as other,
    ):
        start = other.find(init["checkpoint"])
        if one.fingerprint(step, "encoder") != other.fingerprint(start, "encoder"):
            raise UserError(
                f"config.teacher.shares_encoder: the encoder of step {start} of {init['workdir']} "
                f"(config.init.workdir) is not that of step {step} of {workdir}: start from the "
                f"teacher itself, or from what launch.student made of it"
            )


def _pairs(
    given: Sequence[Sequence[int]], student: Recognizer, teachers: Sequence[Teacher]
) -> tuple[tuple[int, int], ...]:
    if not teachers:
        return ()
    here, there = student.encoder.num_layers, teachers[0].encoder.num_layers
    for pair in given:
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not 1 <= pair[0] <= here or not 1 <= pair[1] <= there:
            raise UserError(
                f"config.teacher.pairs has {pair}: expected pairs of a layer of the student, 1 to "
                f"{here}, and one of the teacher, 1 to {there}"
            )
    return tuple((a, b) for a, b in given) or uniform_pairs(here, there)
