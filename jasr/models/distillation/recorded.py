"""A lesson that was computed before, kept in few bytes.

Lesson ──▶ record ──▶ {"ctc/log_probs", "ctc/ids", "states", ...} ──▶ recorded ──▶ Lesson
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jasr.models.distillation.teacher import LOGITS, Lesson

LOG_PROBS, IDS = "log_probs", "ids"
# Of a probability, so that its logarithm is finite.
LEAST = 1e-6


def record(lesson: Lesson, *, top_k: int) -> dict[str, Array]:
    """What is kept of a lesson: float16, and of each distribution its `top_k` likeliest tokens.

    top_k: 0 for all.
    """
    kept: dict[str, Any] = {}
    for name, logits in lesson.logits.items():
        log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
        if 0 < top_k < log_probs.shape[-1]:
            log_probs, kept[f"{name}/{IDS}"] = jax.lax.top_k(log_probs, top_k)
        kept[f"{name}/{LOG_PROBS}"] = log_probs.astype(jnp.float16)
    for name in ("states", "attention"):
        if getattr(lesson, name) is not None:
            kept[name] = getattr(lesson, name).astype(jnp.float16)
    return kept


def recorded(kept: Mapping[str, Any], *, vocab_size: int) -> Lesson:
    """The lesson again, float32: what the likeliest tokens leave is shared out among the others."""
    logits = {}
    for name in LOGITS:
        if f"{name}/{LOG_PROBS}" in kept:
            log_probs = kept[f"{name}/{LOG_PROBS}"].astype(jnp.float32)
            ids = kept.get(f"{name}/{IDS}")
            logits[name] = log_probs if ids is None else _spread(log_probs, ids, vocab_size)
    states, attention = (
        kept[name].astype(jnp.float32) if name in kept else None for name in ("states", "attention")
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
