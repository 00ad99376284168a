"""Cross-entropy that never holds the logits of all tokens, for large vocabularies."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.objectives.cross_entropy import append_end, token_losses
from jasr.objectives.objective import Terms, read_output, read_target
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class ChunkedCrossEntropy:
    """What `CrossEntropy` measures, from the decoder's logits before they are multiplied out.

    The logits of some tokens of every utterance are made at a time, and made again for the
    gradient: [B, tokens_at_once, vocab] in memory instead of [B, tokens, vocab].
    """

    output: str = "decoder_factors"
    target: str = "text"
    end_id: int = 2
    label_smoothing: float = 0.0
    tokens_at_once: int = 32

    def __post_init__(self) -> None:
        if self.tokens_at_once < 1:
            raise UserError(
                f"chunked_cross_entropy tokens_at_once is {self.tokens_at_once}: expected 1 or more"
            )

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        factors: Any = read_output(outputs, self.output, "chunked_cross_entropy")
        target = append_end(read_target(batch, self.target, "chunked_cross_entropy"), self.end_id)
        real_BL = target.mask & batch.example_mask[:, None]

        @jax.checkpoint
        def add(sums: tuple[Array, Array], chunk: tuple[Array, Array, Array]):
            x_BCF, labels_BC, real_BC = chunk
            logits_BCV = jnp.einsum(
                "bcf,vf->bcv", x_BCF, factors.vocabulary, preferred_element_type=jnp.float32
            )
            loss_BC, correct_BC = token_losses(logits_BCV, labels_BC, self.label_smoothing)
            loss, correct = sums
            loss += jnp.sum(jnp.where(real_BC, loss_BC, 0))
            return (loss, correct + jnp.sum(correct_BC & real_BC, dtype=jnp.float32)), None

        zero = jnp.zeros((), jnp.float32)
        chunks = tuple(self._chunks(x) for x in (factors.values, target.values, real_BL))
        (loss, correct), _ = jax.lax.scan(add, (zero, zero), chunks)
        count = jnp.sum(real_BL, dtype=jnp.float32)
        return Terms(
            loss=Sum(value=loss, count=count),
            metrics={"accuracy": Sum(value=correct, count=count)},
        )

    def _chunks(self, x: Float[Array, "batch tokens ..."] | Array) -> Array:
        """[B, L, ...] -> [chunks, B, tokens_at_once, ...], zeros after the end."""
        size = min(self.tokens_at_once, x.shape[1])
        missing = -x.shape[1] % size
        x = jnp.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2))
        return jnp.moveaxis(x.reshape(len(x), -1, size, *x.shape[2:]), 1, 0)
