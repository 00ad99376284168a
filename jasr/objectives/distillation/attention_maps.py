"""Where a teacher's layers look."""

import dataclasses

import jax.numpy as jnp

from jasr.errors import UserError
from jasr.objectives.distillation.hidden_states import sum_over_frames
from jasr.objectives.objective import Terms, read_output
from jasr.types import Batch, Outputs

# Where the weights of frames are 0, their logarithm is not asked for.
SMALLEST = 1e-8


@dataclasses.dataclass(frozen=True)
class AttentionMaps:
    """KL(teacher || student) of where each frame attends to, heads averaged; the mean over the
    matched layers, counted per frame; needs no text.

    Jiao et al. 2020, "TinyBERT", section 3.1; Wang et al. 2020, "MiniLM", equation 4.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        student = read_output(outputs, "student/attention", "attention_maps")
        teacher = read_output(outputs, "teacher/attention", "attention_maps")
        q_BTPT, p_BTPT = (jnp.mean(maps.values, axis=3) for maps in (student, teacher))
        if q_BTPT.shape != p_BTPT.shape:
            raise UserError(
                f"objective 'attention_maps' compares maps of {q_BTPT.shape[1]} frames with maps "
                f"of {p_BTPT.shape[1]}: give student and teacher a stem of the same stride"
            )
        ratio_BTPT = jnp.maximum(p_BTPT, SMALLEST) / jnp.maximum(q_BTPT, SMALLEST)
        loss_BT = jnp.mean(jnp.sum(p_BTPT * jnp.log(ratio_BTPT), axis=-1), axis=-1)
        return Terms(loss=sum_over_frames(loss_BT, student, batch))
