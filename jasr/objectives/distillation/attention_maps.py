"""Where a teacher's layers look."""

import dataclasses

import jax.numpy as jnp

from jasr.errors import UserError
from jasr.objectives.objective import Terms, read_output, sum_over_real
from jasr.types import Batch, Outputs

# Added to weights, some of which are 0, before their logarithm is taken.
SMALLEST = 1e-8


@dataclasses.dataclass(frozen=True)
class AttentionMaps:
    """KL(teacher || student) of where each frame attends to, heads averaged, as there may not be as
    many; the mean over the matched layers, counted per frame; needs no text.

    Wang et al. 2020, "MiniLM: deep self-attention distillation", equation 4.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        student = read_output(outputs, "student/attention", "attention_maps")
        teacher = read_output(outputs, "teacher/attention", "attention_maps")
        q_BTPT, p_BTPT = student.values, teacher.values
        if q_BTPT.shape != p_BTPT.shape:
            raise UserError(
                f"objective 'attention_maps' compares maps of {q_BTPT.shape[1]} frames with maps "
                f"of {p_BTPT.shape[1]}: give student and teacher a stem of the same stride"
            )
        log_ratio_BTPT = jnp.log(p_BTPT + SMALLEST) - jnp.log(q_BTPT + SMALLEST)
        loss_BT = jnp.mean(jnp.sum(p_BTPT * log_ratio_BTPT, axis=-1), axis=-1)
        return Terms(loss=sum_over_real(loss_BT, student, batch))
