"""Classes and tags as hypotheses, so that they are predicted as texts are.

A method is called as those of `jasr.decoding.methods` are.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jasr.decoding.hypotheses import Hypotheses
from jasr.decoding.methods import compiled
from jasr.types import Batch, Padded


@dataclasses.dataclass(frozen=True)
class ClassArgmax:
    """The likeliest class by a head, as the only token of the only hypothesis."""

    head: str

    @property
    def name(self) -> str:
        return "class-argmax"

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        encoded = model.apply(variables, batch, method="encode")
        classes: Any = model.apply(variables, encoded, method="classify")
        log_probs_B1V = jax.nn.log_softmax(classes[self.head].values.astype(jnp.float32))
        return Hypotheses(
            tokens=jnp.argmax(log_probs_B1V, axis=-1).astype(jnp.int32)[:, None],
            mask=batch.example_mask[:, None, None],
            scores=jnp.max(log_probs_B1V, axis=-1),
        )


@dataclasses.dataclass(frozen=True)
class Given:
    """The batch's own text, as the only hypothesis: what a search without errors would find."""

    @property
    def name(self) -> str:
        return "given"

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        del model, variables
        text = batch.targets["text"]
        return Hypotheses(
            tokens=text.values[:, None],
            mask=text.mask[:, None],
            scores=jnp.zeros((len(text.values), 1)),
        )


@dataclasses.dataclass(frozen=True)
class TagArgmax:
    """What a search finds, as the first hypothesis, and each token's likeliest tag as the second.

    search: a method of `jasr.decoding.methods`, or `Given`.
    """

    head: str
    search: Any

    @property
    def name(self) -> str:
        return f"{self.search.name}, tag-argmax"

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        found = self.search(model, variables, batch)
        tokens_BN, mask_BN = found.tokens[:, 0], found.mask[:, 0]
        read = dataclasses.replace(
            batch, targets={**batch.targets, "text": Padded(tokens_BN, mask_BN)}
        )
        outputs: Any = model.apply(variables, read, train=False)
        tags_BN = jnp.argmax(outputs[self.head].values, axis=-1).astype(jnp.int32)
        return Hypotheses(
            tokens=jnp.stack([tokens_BN, jnp.where(mask_BN, tags_BN, 0)], axis=1),
            mask=jnp.stack([mask_BN, mask_BN], axis=1),
            scores=jnp.repeat(found.scores[:, :1], 2, axis=1),
        )
