"""How far a student's distribution is from its teacher's."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.types import Padded


def softened_divergence(
    student: Float[Array, "... classes"],
    teacher: Float[Array, "... classes"],
    temperature: float | Array,
) -> Float[Array, "..."]:
    """T² KL(teacher || student), float32, of the logits of both divided by T.

    Of T² because gradients shrink by it. Hinton, Vinyals and Dean 2015, "Distilling the knowledge
    in a neural network", section 2.
    """
    log_p, log_q = (
        jax.nn.log_softmax(logits.astype(jnp.float32) / temperature)
        for logits in (teacher, student)
    )
    divergence = optax.losses.kl_divergence_with_log_targets(log_q, log_p)
    return temperature**2 * divergence


def check_temperature(temperature: float | Array, reader: str) -> None:
    """Raises UserError for what is no number above 0; traced, it was checked before."""
    is_number = isinstance(temperature, int | float)
    if not isinstance(temperature, jax.Array) and not (is_number and temperature > 0):
        raise UserError(f"objective {reader!r}: temperature is {temperature!r}: expected above 0")


def same_shape(student: Padded, teacher: Padded, reader: str) -> None:
    """Raises UserError where a teacher says something else than the student."""
    if student.values.shape != teacher.values.shape:
        raise UserError(
            f"objective {reader!r} compares a student's {student.values.shape} with a teacher's "
            f"{teacher.values.shape} [batch, places, tokens]: give both the same tokens and a stem "
            f"of the same stride"
        )
