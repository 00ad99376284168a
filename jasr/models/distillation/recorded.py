"""A lesson that was computed before, kept in few bytes.

Lesson ──▶ record ──▶ {"ctc/log_probs", "ctc/real", "states/6", ...} ──▶ recorded ──▶ Lesson
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jasr.models.distillation.teacher import LOGITS, Lesson
from jasr.types import Padded

LOG_PROBS, IDS, REAL = "log_probs", "ids", "real"
# Of each layer an array of its own, with its number behind the name.
OF_LAYERS = ("states", "attention")
# Of a probability, so that its logarithm is finite.
LEAST = 1e-6


def record(lesson: Lesson, layers: Sequence[int], *, top_k: int) -> dict[str, Padded]:
    """What is kept of a lesson: float16, of each distribution its `top_k` likeliest tokens, and of
    each part which places or frames are real.

    layers: the numbers of those that the lesson is of.
    top_k:  0 for all.
    """
    kept: dict[str, Any] = {}
    for name, logits in lesson.logits.items():
        log_probs = jax.nn.log_softmax(logits.values.astype(jnp.float32))
        if 0 < top_k < log_probs.shape[-1]:
            log_probs, ids = jax.lax.top_k(log_probs, top_k)
            kept[f"{name}/{IDS}"] = Padded(ids, logits.mask)
        kept[f"{name}/{LOG_PROBS}"] = Padded(log_probs.astype(jnp.float16), logits.mask)
        kept[f"{name}/{REAL}"] = Padded(logits.mask, logits.mask)
    for name in OF_LAYERS:
        part: Padded | None = getattr(lesson, name)
        if part is not None:
            kept[f"{name}/{REAL}"] = Padded(part.mask, part.mask)
            for place, layer in enumerate(layers):
                of_layer = part.values[:, :, place].astype(jnp.float16)
                kept[f"{name}/{layer}"] = Padded(of_layer, part.mask)
    return kept


def recorded(kept: Mapping[str, Any], layers: Sequence[int], *, vocab_size: int) -> Lesson:
    """The lesson again, float32: what the likeliest tokens leave is shared out among the others.

    layers: the numbers of those that are wanted.
    """
    logits = {}
    for name in LOGITS:
        if f"{name}/{LOG_PROBS}" in kept:
            log_probs = kept[f"{name}/{LOG_PROBS}"].astype(jnp.float32)
            ids = kept.get(f"{name}/{IDS}")
            spread = log_probs if ids is None else _spread(log_probs, ids, vocab_size)
            logits[name] = Padded(spread, kept[f"{name}/{REAL}"])
    states, attention = (
        Padded(
            jnp.stack([kept[f"{name}/{layer}"].astype(jnp.float32) for layer in layers], axis=2),
            kept[f"{name}/{REAL}"],
        )
        if layers and f"{name}/{layers[0]}" in kept
        else None
        for name in OF_LAYERS
    )
    return Lesson(logits, states, attention)


def _spread(
    log_probs: Float[Array, "batch places likeliest"],
    ids: Int[Array, "batch places likeliest"],
    vocab_size: int,
) -> Float[Array, "batch places {vocab_size}"]:
    left = jnp.maximum(1 - jnp.sum(jnp.exp(log_probs), axis=-1, keepdims=True), LEAST)
    others = jnp.log(left / (vocab_size - ids.shape[-1]))
    everywhere = jnp.broadcast_to(others, (*ids.shape[:-1], vocab_size))
    return jnp.put_along_axis(everywhere, ids, log_probs, axis=-1, inplace=False)
