"""What a teacher's layers make of a recording."""

import dataclasses

import jax.numpy as jnp
import optax
from jaxtyping import Array

from jasr.layers.choices import choose
from jasr.layers.unit import unit
from jasr.objectives.objective import Terms, read_output, sum_over_real
from jasr.types import Batch, Outputs


@dataclasses.dataclass(frozen=True)
class HiddenStates:
    """The distance between a student's projected frames and a teacher's, the mean over the matched
    layers, counted per frame; needs no text.

    distance: "squared", the mean over features, of the teacher's frames brought to mean 0 and
              variance 1; or "cosine", one less the cosine.

    Romero et al. 2015, "FitNets: hints for thin deep nets", equation 3; Sanh et al. 2019,
    "DistilBERT", section 3, for the cosine.
    """

    distance: str = "squared"

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        distance = choose(DISTANCES, self.distance, key="distance")
        student = read_output(outputs, "student/projected", "hidden_states")
        teacher = read_output(outputs, "teacher/states", "hidden_states")
        loss_BT = jnp.mean(distance(student.values, teacher.values), axis=-1)
        return Terms(loss=sum_over_real(loss_BT, student, batch))


def _squared(student: Array, teacher: Array) -> Array:
    mean = jnp.mean(teacher, axis=-1, keepdims=True)
    deviation = jnp.std(teacher, axis=-1, keepdims=True)
    scaled = (teacher - mean) / (deviation + 1e-5)
    return jnp.mean(optax.losses.squared_error(student, scaled), axis=-1)


def _cosine(student: Array, teacher: Array) -> Array:
    return 1 - jnp.sum(unit(student) * unit(teacher), axis=-1)


DISTANCES = {"squared": _squared, "cosine": _cosine}
