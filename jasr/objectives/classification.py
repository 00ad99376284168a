"""Cross-entropy of classes and tags."""

import dataclasses

import jax.numpy as jnp

from jasr.objectives.cross_entropy import token_losses
from jasr.objectives.objective import Terms, read_output
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class Classification:
    """-log p(class), counted per place that has one: a recording, or a token.

    head: name of the output [batch, places, classes] and of the target [batch, places].
    """

    head: str
    label_smoothing: float = 0.0

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits = read_output(outputs, self.head, "classification")
        target = batch.targets[self.head]
        real_BL = target.mask & batch.example_mask[:, None]
        loss_BL, right_BL = token_losses(logits.values, target.values, self.label_smoothing)
        count = jnp.sum(real_BL, dtype=jnp.float32)
        right = jnp.sum(right_BL & real_BL, dtype=jnp.float32)
        return Terms(
            loss=Sum(value=jnp.sum(jnp.where(real_BL, loss_BL, 0)), count=count),
            metrics={"accuracy": Sum(value=right, count=count)},
        )
