"""The best path through a CTC lattice: the likeliest unit of each frame, collapsed."""

import jax
import jax.numpy as jnp

from jasr.decoding.hypotheses import Hypotheses
from jasr.types import Padded


def ctc_greedy(logits: Padded, *, blank_id: int) -> Hypotheses:
    """The labelling of each utterance's likeliest CTC path, one hypothesis per utterance.

    logits: float [B, T, V], one row per encoder frame. The result holds up to T tokens;
    its score is the path's log-probability, a lower bound of the labelling's.

    Graves et al. 2006, "Connectionist temporal classification", section 3.2, best path decoding.
    """
    log_probs_BTV = jax.nn.log_softmax(logits.values.astype(jnp.float32))
    path_BT = jnp.argmax(log_probs_BTV, axis=-1).astype(jnp.int32)
    path_log_probs_BT = jnp.where(logits.mask, jnp.max(log_probs_BTV, axis=-1), 0.0)

    before_BT = jnp.pad(path_BT[:, :-1], ((0, 0), (1, 0)), constant_values=blank_id)
    starts_unit_BT = logits.mask & (path_BT != blank_id) & (path_BT != before_BT)
    tokens_BT, mask_BT = pack_left(path_BT, starts_unit_BT)
    return Hypotheses(
        tokens=tokens_BT[:, None],
        mask=mask_BT[:, None],
        scores=jnp.sum(path_log_probs_BT, axis=1)[:, None],
    )


def pack_left(values_BT: jax.Array, keep_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The kept values of each row moved to its front, zeros behind them, and their mask."""
    num_frames = values_BT.shape[1]
    place_BT = jnp.where(keep_BT, jnp.cumsum(keep_BT, axis=1) - 1, num_frames)
    rows_B1 = jnp.arange(len(values_BT))[:, None]
    packed_BT = jnp.zeros_like(values_BT).at[rows_B1, place_BT].set(values_BT, mode="drop")
    kept_B1 = jnp.sum(keep_BT, axis=1, keepdims=True)
    return packed_BT, jnp.arange(num_frames) < kept_B1
