"""The contrastive loss of wav2vec 2.0, and the diversity of its codes."""

import dataclasses

import jax
import jax.numpy as jnp

from jasr.layers.unit import unit
from jasr.objectives.objective import Terms, read_output
from jasr.objectives.perplexity import perplexity
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class ContrastiveLoss:
    """-log of the softmax over cosines with the frame's code and its distractors' codes.

    Counted per masked frame; an utterance with one masked frame has no distractors and does not
    count. A distractor with the frame's own code is left out of the softmax. Metric `accuracy`:
    frames nearer to their own code than to any distractor's, where one differs.
    Baevski et al. 2020, "wav2vec 2.0", equation 3.
    """

    head: str
    temperature: float = 0.1

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        context, quantized, codes_BTG, distractors = (
            read_output(outputs, f"{self.head}/{name}", "contrastive").values
            for name in ("context", "quantized", "codes", "distractors")
        )
        masked_BT = read_output(outputs, "masked", "contrastive").values
        masked_BT &= batch.example_mask[:, None]
        masked_BT &= jnp.sum(masked_BT, axis=1, keepdims=True) > 1
        context_BTD, code_BTD = unit(context), unit(quantized)
        # All pairs of an utterance in one product, and then those that were drawn.
        cosine_BTS = jnp.einsum("btd,bsd->bts", context_BTD, code_BTD)
        same_BTS = jnp.all(codes_BTG[:, :, None] == codes_BTG[:, None], axis=-1)
        own_BT = jnp.einsum("btd,btd->bt", context_BTD, code_BTD)
        drawn_BTK = jnp.take_along_axis(cosine_BTS, distractors, axis=2)
        drawn_BTK = jnp.where(
            jnp.take_along_axis(same_BTS, distractors, axis=2), -jnp.inf, drawn_BTK
        )
        logits_BTK = jnp.concatenate([own_BT[..., None], drawn_BTK], axis=2) / self.temperature
        loss_BT = -jax.nn.log_softmax(logits_BTK)[..., 0]
        # With one code for all frames there would be nothing to mistake it for.
        differ_BT = jnp.any(jnp.isfinite(drawn_BTK), axis=2)
        correct_BT = jnp.all(own_BT[..., None] > drawn_BTK, axis=2) & differ_BT
        return Terms(
            loss=Sum.of(loss_BT, masked_BT), metrics={"accuracy": Sum.of(correct_BT, masked_BT)}
        )


@dataclasses.dataclass(frozen=True)
class CodeDiversity:
    """How far masked frames are from using all codes: (codes - perplexity) / codes, each frame.

    Counted per masked frame. The perplexity is that of the mean distribution over the rows seen
    at once, so microbatches change it. Metrics: `perplexity`, and `code_perplexity`, of the
    likeliest codes alone.
    Baevski et al. 2020, "wav2vec 2.0", equation 4, as the authors' and transformers' code has it.
    """

    head: str

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits_BTGV = read_output(outputs, f"{self.head}/code_logits", "code_diversity").values
        masked_BT = read_output(outputs, "masked", "code_diversity").values
        masked_BT &= batch.example_mask[:, None]
        count = jnp.sum(masked_BT, dtype=jnp.float32)
        probabilities_BTGV = jax.nn.softmax(logits_BTGV)
        total_GV = jnp.sum(probabilities_BTGV, axis=(0, 1), where=masked_BT[..., None, None])
        used = jnp.sum(perplexity(total_GV))
        codes = total_GV.size
        likeliest_BTGV = jax.nn.one_hot(jnp.argmax(logits_BTGV, axis=-1), logits_BTGV.shape[-1])
        chosen_GV = jnp.sum(likeliest_BTGV, axis=(0, 1), where=masked_BT[..., None, None])
        one = jnp.ones((), jnp.float32)
        return Terms(
            loss=Sum(count * (codes - used) / codes, count),
            metrics={
                "perplexity": Sum(used, one),
                "code_perplexity": Sum(jnp.sum(perplexity(chosen_GV)), one),
            },
        )
