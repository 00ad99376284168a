"""A teacher's CTC alignments of a text, all of them."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jasr.objectives.ctc import is_feasible
from jasr.objectives.distillation.divergence import same_shape
from jasr.objectives.objective import Terms, read_output, read_target
from jasr.types import Batch, Outputs, Padded, Sum


@dataclasses.dataclass(frozen=True)
class CTCPathDistillation:
    """KL(teacher's paths of the text || student's paths), counted per target token.

    Sequence by sequence and not frame by frame: every path through the lattice counts as much as
    the teacher believes in it, given the text; where the teacher is unsure when a unit was said,
    the student may be too. A path's probability is a product over frames, so the sum over paths is
    one over frames, of the lattice's occupancies. Utterances are left out as by `CTC`.

    Graves et al. 2006, "Connectionist temporal classification", equation 14, for the occupancies;
    Huang et al. 2018, "Knowledge distillation for sequence model", for the idea.
    """

    output: str = "ctc"
    teacher: str = "teacher/ctc"
    target: str = "text"
    blank_id: int = 0

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        student = read_output(outputs, self.output, "ctc_path_distillation")
        teacher = read_output(outputs, self.teacher, "ctc_path_distillation")
        same_shape(student, teacher, "ctc_path_distillation")
        target = read_target(batch, self.target, "ctc_path_distillation")
        log_p_BTV, log_q_BTV = (
            jax.nn.log_softmax(logits.values.astype(jnp.float32)) for logits in (teacher, student)
        )
        occupancy_BTV, negative_log_likelihood_B = self._lattice(
            Padded(log_p_BTV, student.mask), target
        )
        difference_BT = jnp.sum(occupancy_BTV * (log_p_BTV - log_q_BTV), axis=-1)
        counted_B = is_feasible(student, target) & batch.example_mask
        divergence_B = jnp.sum(jnp.where(student.mask, difference_BT, 0), axis=1)
        loss_B = jnp.where(counted_B, divergence_B + negative_log_likelihood_B, 0)
        tokens_B = jnp.where(counted_B, target.lengths(), 0)
        return Terms(loss=Sum(jnp.sum(loss_B), jnp.sum(tokens_B, dtype=jnp.float32)))

    def _lattice(
        self, log_probs: Padded, target: Padded
    ) -> tuple[Float[Array, "batch frames units"], Float[Array, " batch"]]:
        """How likely each unit is at each frame given the text, and -log p(text)."""

        def total(logits_BTV: Array) -> tuple[Array, Array]:
            loss_B = optax.ctc_loss(
                logits_BTV,
                (~log_probs.mask).astype(jnp.float32),
                target.values,
                (~target.mask).astype(jnp.float32),
                blank_id=self.blank_id,
            )
            return jnp.sum(loss_B), loss_B

        # The gradient by logits is what is likely without the text, less what is likely with it.
        gradient, loss_B = jax.grad(total, has_aux=True)(log_probs.values)
        occupancy_BTV = jnp.exp(log_probs.values) - gradient
        return jax.lax.stop_gradient((occupancy_BTV, loss_B))
