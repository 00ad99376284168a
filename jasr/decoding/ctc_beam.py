"""CTC prefix beam search: the likeliest labellings, each summed over all its paths.

           frame          K + K x V candidates,                  K best
prefixes  ──────▶  ┬─ the same, by blank or a repeat  ─┬──▶  prefixes of a frame more
                   └─ one unit longer ─────────────────┘
                      (joined where both are one prefix)
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jasr.decoding.beams import take_beams
from jasr.decoding.ctc_greedy import pack_left
from jasr.decoding.hypotheses import Hypotheses
from jasr.decoding.lexicon import NOWHERE, Lexicon
from jasr.types import Padded

# Of two polynomial hashes, by which prefixes are told apart.
MULTIPLIERS = (1_000_003, 2_654_435_761)
SAME = -1


def ctc_beam(
    logits: Padded,
    *,
    blank_id: int,
    beam_size: int,
    num_hypotheses: int = 1,
    lexicon: Lexicon | None = None,
) -> Hypotheses:
    """The `num_hypotheses` likeliest labellings of each utterance among `beam_size` followed.

    logits: float [B, T, V], one row per encoder frame. The result holds up to T tokens; a score is
    the log-probability of the labelling, a lower bound of it where the beam left paths out.
    lexicon: the words that may be written; None for any sequence of units. Where no prefix ends
    with a whole word, the likeliest is given without the beginning of its last, with which it was
    scored.

    Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
    bi-directional recurrent DNNs", algorithm 1, with words in place of a language model.
    """
    log_probs_BTV = jax.nn.log_softmax(logits.values.astype(jnp.float32))
    start = _start(len(log_probs_BTV), beam_size, blank_id, lexicon)
    final, came = jax.lax.scan(
        partial(_advance, blank_id=blank_id, lexicon=lexicon),
        start,
        (jnp.moveaxis(log_probs_BTV, 1, 0), jnp.moveaxis(logits.mask, 1, 0)),
    )
    scores_BK = _scores(final, blank_id, lexicon)
    scores_BH, beams_BH = jax.lax.top_k(scores_BK, num_hypotheses)
    tokens_BHT, is_whole_BHT = _trace(came, beams_BH)
    written_BHT = (tokens_BHT != SAME) & is_whole_BHT & (scores_BH > -jnp.inf)[..., None]
    tokens, mask = jax.vmap(pack_left, in_axes=1, out_axes=1)(tokens_BHT, written_BHT)
    return Hypotheses(tokens=tokens, mask=mask, scores=scores_BH)


@struct.dataclass
class _Prefixes:
    """K distinct prefixes of each utterance; those of no probability are none.

    blank_BK, unit_BK: log-probability of the paths that end with a blank, and with the last unit.
    last_BK:           the last unit; the blank where nothing is written.
    hash_BK2:          of all units; before_BK2, of all but the last.
    word_BK:           the lexicon's state.
    """

    blank_BK: Any
    unit_BK: Any
    last_BK: Any
    hash_BK2: Any
    before_BK2: Any
    word_BK: Any

    def total_BK(self) -> jax.Array:
        return jnp.logaddexp(self.blank_BK, self.unit_BK)


@struct.dataclass
class _Came:
    """From which prefix of the frame before each came, and by which unit, or SAME.

    is_whole_BK: whether its last word has ended.
    """

    beam_BK: Any
    token_BK: Any
    is_whole_BK: Any


def _start(B: int, K: int, blank_id: int, lexicon: Lexicon | None) -> _Prefixes:
    is_first_K = jnp.arange(K) == 0
    return _Prefixes(
        blank_BK=jnp.broadcast_to(jnp.where(is_first_K, 0.0, -jnp.inf), (B, K)),
        unit_BK=jnp.full((B, K), -jnp.inf),
        last_BK=jnp.full((B, K), blank_id, jnp.int32),
        hash_BK2=jnp.zeros((B, K, len(MULTIPLIERS)), jnp.uint32),
        before_BK2=jnp.zeros((B, K, len(MULTIPLIERS)), jnp.uint32),
        word_BK=jnp.full((B, K), lexicon.start if lexicon else 0, jnp.int32),
    )


def _advance(
    old: _Prefixes, frame: tuple[jax.Array, jax.Array], *, blank_id: int, lexicon: Lexicon | None
) -> tuple[_Prefixes, _Came]:
    log_probs_BV, is_real_B = frame
    (B, K), V = old.last_BK.shape, log_probs_BV.shape[1]
    units_V = jnp.arange(V)
    next_BKV = lexicon.next_states(old.word_BK) if lexicon else jnp.zeros((B, K, V), jnp.int32)

    # A unit again begins anew behind a blank only.
    is_last_BKV = units_V == old.last_BK[..., None]
    before_BKV = jnp.where(is_last_BKV, old.blank_BK[..., None], old.total_BK()[..., None])
    may_BKV = (units_V != blank_id) & (next_BKV != NOWHERE)
    longer_BKV = jnp.where(may_BKV, before_BKV + log_probs_BV[:, None], -jnp.inf)
    blank_BK = old.total_BK() + log_probs_BV[:, blank_id, None]
    unit_BK = old.unit_BK + jnp.take_along_axis(log_probs_BV, old.last_BK, axis=1)
    unit_BK, longer_BKV = _joined(old, unit_BK, longer_BKV, blank_id)

    same_BK = jnp.logaddexp(blank_BK, unit_BK)
    candidates = jnp.concatenate([same_BK, longer_BKV.reshape(B, K * V)], axis=1)
    scores_BK, chosen_BK = jax.lax.top_k(candidates, K)
    is_same_BK = chosen_BK < K
    extension_BK = jnp.maximum(chosen_BK - K, 0)
    beam_BK = jnp.where(is_same_BK, chosen_BK, extension_BK // V)
    token_BK = jnp.where(is_same_BK, SAME, extension_BK % V)

    take = partial(take_beams, index=beam_BK)
    last_BK = jnp.where(is_same_BK, take(old.last_BK), token_BK)
    hash_BK2 = take(old.hash_BK2)
    number_BK = last_BK.astype(jnp.uint32) + 1
    longer_BK2 = hash_BK2 * jnp.array(MULTIPLIERS, jnp.uint32) + number_BK[..., None]
    word_BK = jnp.take_along_axis(next_BKV.reshape(B, K * V), extension_BK, axis=1)
    new = _Prefixes(
        blank_BK=jnp.where(is_same_BK, take(blank_BK), -jnp.inf),
        unit_BK=jnp.where(is_same_BK, take(unit_BK), scores_BK),
        last_BK=last_BK,
        hash_BK2=jnp.where(is_same_BK[..., None], hash_BK2, longer_BK2),
        before_BK2=jnp.where(is_same_BK[..., None], take(old.before_BK2), hash_BK2),
        word_BK=jnp.where(is_same_BK, take(old.word_BK), word_BK),
    )
    new, beam_BK, token_BK = _where(
        is_real_B,
        (new, beam_BK, token_BK),
        (old, jnp.broadcast_to(jnp.arange(K), (B, K)), jnp.full((B, K), SAME)),
    )
    return new, _Came(beam_BK, token_BK, _is_whole(new, blank_id, lexicon))


def _joined(
    old: _Prefixes, unit_BK: jax.Array, longer_BKV: jax.Array, blank_id: int
) -> tuple[jax.Array, jax.Array]:
    """Paths to a prefix that is followed already, by its last unit, are counted there alone."""
    B, K = unit_BK.shape
    is_parent_BKK = jnp.all(old.hash_BK2[:, :, None] == old.before_BK2[:, None], axis=-1)
    is_parent_BKK &= (old.last_BK != blank_id)[:, None] & (old.total_BK() > -jnp.inf)[:, None]
    last_BKK = jnp.broadcast_to(old.last_BK[:, None], (B, K, K))
    by_last_BKK = jnp.take_along_axis(longer_BKV, last_BKK, axis=2)
    joined_BK = jnp.max(jnp.where(is_parent_BKK, by_last_BKK, -jnp.inf), axis=1)
    rows, beams = jnp.arange(B)[:, None, None], jnp.arange(K)[:, None]
    longer_BKV = longer_BKV.at[rows, beams, last_BKK].min(
        jnp.where(is_parent_BKK, -jnp.inf, jnp.inf)
    )
    return jnp.logaddexp(unit_BK, joined_BK), longer_BKV


def _is_whole(prefixes: _Prefixes, blank_id: int, lexicon: Lexicon | None) -> jax.Array:
    """Whether a text may be each prefix."""
    if lexicon is None:
        return jnp.ones_like(prefixes.last_BK, bool)
    return lexicon.is_end(prefixes.word_BK) | (prefixes.last_BK == blank_id)


def _scores(final: _Prefixes, blank_id: int, lexicon: Lexicon | None) -> jax.Array:
    """Log-probabilities of the prefixes that are whole, or of the likeliest where none is."""
    scores_BK = final.total_BK()
    is_whole_BK = _is_whole(final, blank_id, lexicon) & (scores_BK > -jnp.inf)
    is_best_BK = jnp.arange(scores_BK.shape[1]) == jnp.argmax(scores_BK, axis=1, keepdims=True)
    counts_BK = jnp.where(jnp.any(is_whole_BK, axis=1, keepdims=True), is_whole_BK, is_best_BK)
    return jnp.where(counts_BK, scores_BK, -jnp.inf)


def _trace(came: _Came, beams_BH: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The unit that each frame added to the prefixes of the end, SAME where none, [B, H, T]; and
    whether a prefix was whole with it, or later."""

    def back(at: tuple[jax.Array, jax.Array], frame: _Came) -> tuple[Any, Any]:
        beams_BH, was_whole_BH = at
        before_BH, token_BH, is_whole_BH = (
            jnp.take_along_axis(values_BK, beams_BH, axis=1)
            for values_BK in (frame.beam_BK, frame.token_BK, frame.is_whole_BK)
        )
        was_whole_BH |= is_whole_BH
        return (before_BH, was_whole_BH), (token_BH, was_whole_BH)

    end = (beams_BH, jnp.zeros_like(beams_BH, bool))
    _, (tokens_TBH, is_whole_TBH) = jax.lax.scan(back, end, came, reverse=True)
    return jnp.moveaxis(tokens_TBH, 0, -1), jnp.moveaxis(is_whole_TBH, 0, -1)


def _where(is_first_B: jax.Array, first: Any, second: Any) -> Any:
    def choose(one: jax.Array, other: jax.Array) -> jax.Array:
        return jnp.where(is_first_B.reshape(-1, *(1,) * (one.ndim - 1)), one, other)

    return jax.tree.map(choose, first, second)
