"""Cross-entropy of a decoder's next token, with label smoothing."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jasr.objectives.objective import Terms, read_output, read_target
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
        target = append_end(read_target(batch, self.target, "cross_entropy"), self.end_id)
        return label_terms(logits, target, batch, self.label_smoothing)


def label_terms(logits: Padded, target: Padded, batch: Batch, label_smoothing: float) -> Terms:
    """The loss and "accuracy" of labels [batch, places], counted per real one."""
    real_BL = target.mask & batch.example_mask[:, None]
    loss_BL, correct_BL = token_losses(logits.values, target.values, label_smoothing)
    return Terms(loss=Sum.of(loss_BL, real_BL), metrics={"accuracy": Sum.of(correct_BL, real_BL)})


def token_losses(
    logits_BLV: Float[Array, "batch tokens vocab"],
    labels_BL: Int[Array, "batch tokens"],
    label_smoothing: float,
) -> tuple[Float[Array, "batch tokens"], Bool[Array, "batch tokens"]]:
    """Each token's smoothed loss, float32, and whether it is the likeliest.

    Without an array of smoothed labels, which would be as large as the logits.
    """
    logits_BLV = logits_BLV.astype(jnp.float32)
    loss_BL = optax.losses.softmax_cross_entropy_with_integer_labels(logits_BLV, labels_BL)
    if label_smoothing:
        uniform_BL = jax.nn.logsumexp(logits_BLV, axis=-1) - jnp.mean(logits_BLV, axis=-1)
        loss_BL = (1 - label_smoothing) * loss_BL + label_smoothing * uniform_BL
    return loss_BL, jnp.argmax(logits_BLV, axis=-1) == labels_BL


def append_end(target: Padded, end_id: int) -> Padded:
    """The target with the end token after its last real token: [batch, tokens + 1].

    Where there is no token there is no end either: nobody said what was said.
    """
    length_B1 = target.lengths()[:, None]
    values_BL = jnp.pad(target.values, ((0, 0), (0, 1)))
    position_L = jnp.arange(values_BL.shape[1])
    return Padded(
        values=jnp.where(position_L == length_B1, end_id, values_BL),
        mask=(position_L <= length_B1) & (length_B1 > 0),
    )
