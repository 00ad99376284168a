"""A teacher's next token."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array

from jasr.objectives.cross_entropy import append_end
from jasr.objectives.distillation.divergence import (
    check_temperature,
    same_shape,
    softened_divergence,
)
from jasr.objectives.objective import Terms, read_output, read_target
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class DecoderDistillation:
    """T² KL(teacher || student) of the next token, counted per target token, end token included.

    temperature: a number or a schedule. Metric `agreement`: where both find one token likeliest.
    """

    output: str = "decoder"
    teacher: str = "teacher/decoder"
    target: str = "text"
    end_id: int = 2
    temperature: float | Array = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature, "decoder_distillation")

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        student = read_output(outputs, self.output, "decoder_distillation")
        teacher = read_output(outputs, self.teacher, "decoder_distillation")
        same_shape(student, teacher, "decoder_distillation")
        target = append_end(read_target(batch, self.target, "decoder_distillation"), self.end_id)
        real_BL = target.mask & batch.example_mask[:, None]
        loss_BL = softened_divergence(student.values, teacher.values, self.temperature)
        agree_BL = jnp.argmax(student.values, axis=-1) == jnp.argmax(teacher.values, axis=-1)
        return Terms(
            loss=Sum.of(loss_BL, real_BL), metrics={"agreement": Sum.of(agree_BL, real_BL)}
        )
