"""Generator against discriminator, and what keeps the generator from cheating."""

import dataclasses

import jax
import jax.numpy as jnp

from jasr.objectives.objective import Terms, read_output, sum_over_real
from jasr.objectives.perplexity import perplexity
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class DiscriminatorLoss:
    """-log p(text is text) - log p(what is generated is not), counted per utterance.

    Goodfellow et al. 2014, "Generative adversarial nets", equation 1. Metric `accuracy`: of both.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        real = read_output(outputs, "real_score", "discriminator")
        fake = read_output(outputs, "fake_score", "discriminator")
        loss = jax.nn.softplus(-real.values) + jax.nn.softplus(fake.values)
        correct = ((real.values > 0).astype(jnp.float32) + (fake.values < 0)) / 2
        return Terms(
            sum_over_real(loss, real, batch), {"accuracy": sum_over_real(correct, real, batch)}
        )


@dataclasses.dataclass(frozen=True)
class GeneratorLoss:
    """-log p(what is generated is text), counted per utterance; the form that does not saturate."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        score = read_output(outputs, "generator_score", "generator")
        return Terms(sum_over_real(jax.nn.softplus(-score.values), score, batch))


@dataclasses.dataclass(frozen=True)
class MeanOutput:
    """The mean of a model's output over what is real: a penalty that the model computes.

    output: "gradient_penalty" (after Gulrajani et al. 2017, "Improved training of Wasserstein
            GANs", equation 3, with a norm for each unit) or "smooth" (Baevski et al. 2021,
            "Unsupervised speech recognition", equation 4, with the mean over units for the sum).
    """

    output: str

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        found = read_output(outputs, self.output, "mean_output")
        return Terms(sum_over_real(found.values, found, batch))


@dataclasses.dataclass(frozen=True)
class UnitDiversity:
    """How far what is generated is from using all units: (units - perplexity) / units.

    first_unit: the tokens before it, such as a start, are in no text, and no unit.
    Counted per utterance; the perplexity is of the rows seen at once, so microbatches change it.
    Baevski et al. 2021, "Unsupervised speech recognition", in place of the negative entropy of
    equation 5, as the authors' program has it.
    """

    first_unit: int = 3

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        generated = read_output(outputs, "generated", "unit_diversity")
        real_BS = generated.mask & batch.example_mask[:, None]
        count = jnp.sum(batch.example_mask, dtype=jnp.float32)
        total_V = jnp.sum(jax.nn.softmax(generated.values), axis=(0, 1), where=real_BS[..., None])
        total_U = total_V[self.first_unit :]
        used, units = perplexity(total_U), total_U.size
        return Terms(
            Sum(count * (units - used) / units, count),
            {"perplexity": Sum(used, jnp.ones((), jnp.float32))},
        )
