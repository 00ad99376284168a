"""The codes that a teacher's frames have in codebooks found beforehand."""

import dataclasses

import jax.numpy as jnp

from jasr.objectives.cross_entropy import label_terms
from jasr.objectives.objective import Terms, read_output
from jasr.types import Batch, Outputs, Padded


@dataclasses.dataclass(frozen=True)
class CodebookPrediction:
    """-log p(code), counted per frame and codebook; needs no text.

    head: whose logits [B, T, codebooks, codes] and codes [B, T, codebooks] it reads.
    Metric `accuracy`: codes found likeliest.

    Guo et al. 2023, "Predicting multi-codebook vector quantization indexes for knowledge
    distillation", section 3.
    """

    head: str = "codebook"

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits = read_output(outputs, f"{self.head}/logits", "codebook_prediction")
        codes = read_output(outputs, f"{self.head}/codes", "codebook_prediction")
        rows, frames, codebooks, size = logits.values.shape
        mask = jnp.repeat(logits.mask, codebooks, axis=1)
        places = frames * codebooks
        return label_terms(
            Padded(logits.values.reshape(rows, places, size), mask),
            Padded(codes.values.reshape(rows, places), mask),
            batch,
            0.0,
        )
