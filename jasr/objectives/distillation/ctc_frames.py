"""A teacher's CTC posteriors, frame by frame."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.objectives.distillation.divergence import (
    check_temperature,
    same_shape,
    softened_divergence,
)
from jasr.objectives.objective import Terms, read_output
from jasr.types import Batch, Outputs, Padded, Sum


@dataclasses.dataclass(frozen=True)
class CTCFrameDistillation:
    """T² KL(teacher || student) of the units of a frame, counted per frame; needs no text.

    CTC says each unit in a frame or two, and a student that says the same a frame later would be
    wrong in both. So frames may be left out in which the teacher says nothing, and the student may
    be late or early:

    blank_threshold: frames where the teacher's blank is likelier than that weigh nothing; 1: none.
    max_shift:       by how many frames a student's utterance may be moved as a whole to where it
                     fits best.
    temperature:     a number or a schedule.

    Takashima, Li and Kawai 2018, "An investigation of a knowledge distillation method for CTC
    acoustic models"; Kurata and Audhkhasi 2019, "Guiding CTC posterior spike timings for improved
    posterior fusion and knowledge distillation".
    """

    output: str = "ctc"
    teacher: str = "teacher/ctc"
    blank_id: int = 0
    blank_threshold: float = 1.0
    max_shift: int = 0
    temperature: float | Array = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature, "ctc_frame_distillation")
        if self.max_shift < 0 or not 0 < self.blank_threshold <= 1:
            raise UserError(
                f"objective 'ctc_frame_distillation': expected max_shift of 0 or more and "
                f"0 < blank_threshold <= 1, found {self.max_shift} and {self.blank_threshold}"
            )

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        student = read_output(outputs, self.output, "ctc_frame_distillation")
        teacher = read_output(outputs, self.teacher, "ctc_frame_distillation")
        same_shape(student, teacher, "ctc_frame_distillation")
        real_BT = student.mask & batch.example_mask[:, None]
        blank_BT = jax.nn.softmax(teacher.values.astype(jnp.float32))[..., self.blank_id]
        weighed_BT = real_BT & (blank_BT <= self.blank_threshold)

        def loss_of(shift: int) -> Float[Array, " batch"]:
            moved_BTV = _moved(student, shift)
            loss_BT = softened_divergence(moved_BTV, teacher.values, self.temperature)
            return jnp.sum(jnp.where(weighed_BT, loss_BT, 0), axis=1)

        losses_SB = jnp.stack([loss_of(s) for s in range(-self.max_shift, self.max_shift + 1)])
        count = jnp.sum(real_BT, dtype=jnp.float32)
        return Terms(
            loss=Sum(jnp.sum(jnp.min(losses_SB, axis=0)), count),
            metrics={"weighed": Sum(jnp.sum(weighed_BT, dtype=jnp.float32), count)},
        )


def _moved(frames: Padded, shift: int) -> Float[Array, "batch frames classes"]:
    """At frame t what is at t + shift, or at the first or last real frame beyond them."""
    last_B1 = jnp.maximum(frames.lengths() - 1, 0)[:, None]
    place_BT = jnp.clip(jnp.arange(frames.mask.shape[1]) + shift, 0, last_B1)
    return jnp.take_along_axis(frames.values, place_BT[..., None], axis=1)
