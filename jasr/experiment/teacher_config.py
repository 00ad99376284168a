"""config.teacher: what it says, and whether it is to be heard."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from jasr.errors import UserError, nearest
from jasr.experiment.construct import construct
from jasr.experiment.objective import OF_A_TEACHER
from jasr.sharding.presets import PRESETS

DTYPES = ("", "float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """What config.teacher says.

    workdir:        of a training; several, separated by commas, teach the mean of what they say.
    checkpoint:     of each: "best", "last" or a step.
    weights:        of each in that mean; all alike if there are none.
    average:        the teacher is the student itself, of averaged parameters
                    (config.optimizer.average).
    pairs:          layers of the student and of the first teacher to match, counted from 1, where
                    an objective does; if there are none, every layer of the student with one of the
                    teacher's, evenly spaced.
    shares_encoder: the student's encoder is the teacher's, and frozen: it is gone through once, and
                    the teacher reads what the student does. config.init is to have put it there.
    parts:          in which the teachers go through a batch, one after the other.
    dtype:          "float32" or "bfloat16", if not the teachers' own.
    preset:         by which the teachers' parameters are split (config.mesh.preset), if not the
                    student's.
    lessons:        a folder that launch.teach wrote: what the teachers make of the training's
                    recordings at each of its speeds, without other augmentation, and their codes.
                    The teachers are not run then.
    codebook:       of a head that predicts config.clusters, code_dim and temperature; empty for
                    none.
    """

    workdir: str = ""
    checkpoint: str = "best"
    weights: tuple[float, ...] = ()
    average: bool = False
    pairs: tuple[tuple[int, int], ...] = ()
    shares_encoder: bool = False
    parts: int = 1
    dtype: str = ""
    preset: str = ""
    lessons: str = ""
    codebook: Any = dataclasses.field(default_factory=dict)

    @property
    def workdirs(self) -> list[str]:
        return [name.strip() for name in self.workdir.split(",") if name.strip()]

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> "TeacherConfig":
        """Raises UserError for what does not fit the rest of the config."""
        chosen = construct(cls, config["teacher"], "config.teacher")
        number = len(chosen.workdirs)
        if not number and not chosen.average and not chosen.codebook:
            raise UserError("config.teacher.workdir is empty: give the workdir of a training")
        if chosen.average and number:
            raise UserError("config.teacher: give workdir, or average, and not both")
        if chosen.average and not config["optimizer"]["average"]:
            raise UserError("config.teacher.average needs config.optimizer.average")
        if chosen.weights and (len(chosen.weights) != number or min(chosen.weights) <= 0):
            raise UserError(
                f"config.teacher.weights is {chosen.weights}: expected {number} numbers above 0"
            )
        for key, choices in (("dtype", DTYPES), ("preset", ("", *PRESETS))):
            if getattr(chosen, key) not in choices:
                raise UserError(
                    f"config.teacher.{key} {getattr(chosen, key)!r} is unknown: "
                    f"{nearest(getattr(chosen, key), choices)}"
                )
        if config["lora"]:
            raise UserError("config.lora and config.teacher do not go together: merge first")
        if not isinstance(chosen.parts, int) or chosen.parts < 1:
            raise UserError(f"config.teacher.parts is {chosen.parts}: expected 1 or more")
        if chosen.shares_encoder:
            _encoder_must_be_frozen(config)
        if chosen.lessons and (chosen.average or chosen.shares_encoder):
            raise UserError(
                "config.teacher.lessons holds what other models heard: it does not go with average "
                "or shares_encoder, whose teachers read what the student makes"
            )
        return chosen


def has_teacher(config: Mapping[str, Any]) -> bool:
    """Whether an objective learns from a teacher."""
    return any(part.get("name") in OF_A_TEACHER for part in config["objective"].values())


def row_parts(config: Mapping[str, Any]) -> int:
    """In how many equal parts a batch's rows must be divisible: microbatches, and the teachers'."""
    return int(config["train"]["microbatches"]) * teacher_parts(config)


def teacher_parts(config: Mapping[str, Any]) -> int:
    """In how many parts the teachers go through a batch; 1 without."""
    return TeacherConfig.parse(config).parts if has_teacher(config) else 1


def _encoder_must_be_frozen(config: Mapping[str, Any]) -> None:
    frozen = config["optimizer"]["frozen"]
    if not any(re.search(pattern, "encoder/") for pattern in frozen):
        raise UserError(
            "config.teacher.shares_encoder needs a frozen encoder: put '^encoder/' into "
            "config.optimizer.frozen"
        )
    if not config["init"]["workdir"]:
        raise UserError(
            "config.teacher.shares_encoder: give config.init.workdir, whose encoder is the "
            "teacher's, such as the teacher itself or what launch.student made of it"
        )
