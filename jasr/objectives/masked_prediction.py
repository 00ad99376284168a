"""Cross-entropy of the codes of masked frames."""

import dataclasses

import jax.numpy as jnp
import optax
from jaxtyping import Array

from jasr.objectives.objective import Terms, read_output
from jasr.objectives.perplexity import perplexity
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class MaskedPrediction:
    """-log p(code | the frames not masked), counted per masked frame and codebook.

    head:  whose logits [B, T, ..., codes] and codes [B, T, ...] it reads.

    Metrics: `accuracy` at masked frames, `accuracy_unmasked` at the others, and `perplexity`, how
    many codes of a codebook the batch's frames use, as if used equally; the mean over codebooks.
    Hsu et al. 2021, "HuBERT", equation 1 with alpha = 1.
    """

    head: str

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits = read_output(outputs, f"{self.head}/logits", "masked_prediction").values
        codes = read_output(outputs, f"{self.head}/codes", "masked_prediction")
        masked = read_output(outputs, "masked", "masked_prediction").values
        real = _over_codebooks(codes.mask & batch.example_mask[:, None], codes.values)
        masked = _over_codebooks(masked, codes.values) & real
        loss = optax.losses.softmax_cross_entropy_with_integer_labels(logits, codes.values)
        correct = jnp.argmax(logits, axis=-1) == codes.values
        use = _use(codes.values, real, num_codes=logits.shape[-1])
        one = jnp.ones((), jnp.float32)
        return Terms(
            loss=Sum.of(loss, masked),
            metrics={
                "accuracy": Sum.of(correct, masked),
                "accuracy_unmasked": Sum.of(correct, real & ~masked),
                "perplexity": Sum(jnp.mean(perplexity(use)), one),
            },
        )


def _use(codes: Array, real: Array, *, num_codes: int) -> Array:
    """How often each code of each codebook is used, [codebooks, codes]."""
    codes_NG = codes.reshape(codes.shape[0] * codes.shape[1], -1)
    books_G = jnp.arange(codes_NG.shape[1])
    counted_NG = real.reshape(codes_NG.shape).astype(jnp.float32)
    return jnp.zeros((len(books_G), num_codes)).at[books_G, codes_NG].add(counted_NG)


def _over_codebooks(mask: Array, codes: Array) -> Array:
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (codes.ndim - 2)), codes.shape)
