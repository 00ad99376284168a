"""Which frames a teacher finds alike."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from jasr.layers.unit import unit
from jasr.objectives.objective import Terms, read_output, sum_over_real
from jasr.types import Batch, Outputs, Padded


@dataclasses.dataclass(frozen=True)
class FrameRelations:
    """Squared difference of the cosines between an utterance's frames, student's and teacher's.

    The mean over a frame's fellows and the matched layers, counted per frame; needs no text, and no
    projection where widths differ. After Tung and Mori 2019, "Similarity-preserving knowledge
    distillation", equation 4, within utterances, and of cosines for rows of unit length.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        student = read_output(outputs, "student/states", "frame_relations")
        teacher = read_output(outputs, "teacher/states", "frame_relations")
        difference_BPTT = _cosines(student.values) - _cosines(teacher.values)
        real_B11T = student.mask[:, None, None]
        square_BPT = jnp.sum(jnp.where(real_B11T, difference_BPTT**2, 0), axis=-1)
        fellows_B1 = jnp.maximum(student.lengths(), 1)[:, None]
        loss_BT = jnp.mean(square_BPT, axis=1) / fellows_B1
        return Terms(loss=sum_over_real(loss_BT, Padded(None, student.mask), batch))


def _cosines(
    states: Float[Array, "batch frames pairs features"],
) -> Float[Array, "batch pairs frames frames"]:
    units: Array = unit(states)
    return jnp.einsum("btpe,bspe->bpts", units, units)
