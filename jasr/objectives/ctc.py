"""Connectionist temporal classification (Graves et al., 2006)."""

import dataclasses

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool

from jasr.objectives.objective import Terms, read_output, read_target
from jasr.types import Batch, Outputs, Padded, Sum


@dataclasses.dataclass(frozen=True)
class CTC:
    """-log p(target | frames), summed over all alignments; counted per target token.

    An utterance whose frames cannot hold its target has no alignment: it is left out of the
    loss and counted in the metric `infeasible`.
    """

    output: str = "ctc"
    target: str = "text"
    blank_id: int = 0

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits = read_output(outputs, self.output, "ctc")
        target = read_target(batch, self.target, "ctc")
        feasible = is_feasible(logits, target)
        loss_B = optax.ctc_loss(
            logits.values.astype(jnp.float32),
            (~logits.mask).astype(jnp.float32),
            target.values,
            (~target.mask).astype(jnp.float32),
            blank_id=self.blank_id,
        )
        counted = feasible & batch.example_mask
        tokens_B = jnp.where(counted, target.lengths(), 0)
        # float32 can put the loss of a certain utterance slightly below zero.
        loss_B = jnp.where(counted, jnp.maximum(loss_B, 0), 0)
        # Of what nobody transcribed nothing is asked.
        asked = batch.example_mask & (target.lengths() > 0)
        examples = jnp.sum(asked, dtype=jnp.float32)
        infeasible = jnp.sum(asked & ~feasible, dtype=jnp.float32)
        return Terms(
            loss=Sum(value=jnp.sum(loss_B), count=jnp.sum(tokens_B, dtype=jnp.float32)),
            metrics={"infeasible": Sum(value=infeasible, count=examples)},
        )


def is_feasible(logits: Padded, target: Padded) -> Bool[Array, " batch"]:
    """Whether the frames can hold the target: one each, and a blank between equal neighbours."""
    repeats_BL = (target.values[:, 1:] == target.values[:, :-1]) & target.mask[:, 1:]
    needed_B = target.lengths() + jnp.sum(repeats_BL, axis=-1, dtype=jnp.int32)
    return (needed_B <= logits.lengths()) & (target.lengths() > 0)
