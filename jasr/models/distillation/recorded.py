"""A lesson that was computed before, kept in few bytes.

Lesson ──▶ record ──▶ {"ctc/log_probs", "ctc/ids", "states/6", ...} ──▶ recorded ──▶ Lesson
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jasr.models.distillation.teacher import LOGITS, Lesson

LOG_PROBS, IDS = "log_probs", "ids"
# Of each layer an array of its own, with its number behind the name.
OF_LAYERS = ("states", "attention")
# Of a probability, so that its logarithm is finite.
LEAST = 1e-6


def record(lesson: Lesson, layers: Sequence[int], *, top_k: int) -> dict[str, Array]:
    """What is kept of a lesson: float16, and of each distribution its `top_k` likeliest tokens.

    layers: the numbers of those that the lesson is of.
    top_k:  0 for all.
    """
    kept: dict[str, Any] = {}
    for name, logits in lesson.logits.items():
        log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
        if 0 < top_k < log_probs.shape[-1]:
            log_probs, kept[f"{name}/{IDS}"] = jax.lax.top_k(log_probs, top_k)
        kept[f"{name}/{LOG_PROBS}"] = log_probs.astype(jnp.float16)
    for name in OF_LAYERS:
        if (of_layers := getattr(lesson, name)) is not None:
            for place, layer in enumerate(layers):
                kept[f"{name}/{layer}"] = of_layers[:, :, place].astype(jnp.float16)
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
            logits[name] = log_probs if ids is None else _spread(log_probs, ids, vocab_size)
    states, attention = (
        jnp.stack([kept[f"{name}/{layer}"].astype(jnp.float32) for layer in layers], axis=2)
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
