"""Cross-entropy of a decoder's next token, with label smoothing."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jasr.objectives.objective import Terms, read_output
from jasr.types import Batch, Outputs, Padded, Sum


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """-log p(token | tokens before it, audio), counted per target token, end token included.

    label_smoothing: the share of probability spread over the vocabulary
    (Szegedy et al., 2016, eq. 7).
    """

    output: str = "decoder"
    target: str = "text"
    end_id: int = 2
    label_smoothing: float = 0.0

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits = read_output(outputs, self.output, "cross_entropy")
        target = append_end(batch.targets[self.target], self.end_id)
        real_BL = target.mask & batch.example_mask[:, None]
        logits_BLV = logits.values.astype(jnp.float32)
        labels_BLV = optax.smooth_labels(
            jax.nn.one_hot(target.values, logits_BLV.shape[-1]), self.label_smoothing
        )
        loss_BL = optax.losses.softmax_cross_entropy(logits_BLV, labels_BLV)
        correct_BL = jnp.argmax(logits_BLV, axis=-1) == target.values
        count = jnp.sum(real_BL, dtype=jnp.float32)
        return Terms(
            loss=Sum(value=jnp.sum(jnp.where(real_BL, loss_BL, 0)), count=count),
            metrics={
                "accuracy": Sum(value=jnp.sum(correct_BL & real_BL, dtype=jnp.float32), count=count)
            },
        )


def append_end(target: Padded, end_id: int) -> Padded:
    """The target with the end token after its last real token: [batch, tokens + 1]."""
    length_B1 = target.lengths()[:, None]
    values_BL = jnp.pad(target.values, ((0, 0), (0, 1)))
    position_L = jnp.arange(values_BL.shape[1])
    return Padded(
        values=jnp.where(position_L == length_B1, end_id, values_BL),
        mask=position_L <= length_B1,
    )
