"""Beam search over a step function: many hypotheses at once, the best finished ones kept.

                     step            K best that go on
    live beams  ──▶  K x V  ──▶  ┬──────────────────────▶  live beams, one token longer
                    extensions   └── ended, among the K best ──▶ finished set

The loop ends when no live beam of any utterance can still enter its finished set.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from jasr.decoding.beams import take_beams
from jasr.decoding.hypotheses import Cache, Hypotheses, Step
from jasr.decoding.next_token import next_log_probs
from jasr.decoding.phrase_rule import PhraseRule


def beam_search(
    step: Step,
    cache: Cache,
    token_limits: Int[Array, " batch"],
    *,
    beam_size: int,
    max_tokens: int,
    start_id: int,
    end_id: int,
    num_hypotheses: int = 1,
    length_penalty: float = 1.0,
    suppressed: tuple[int, ...] = (),
    no_repeat_ngram: int = 0,
    rule: PhraseRule | None = None,
) -> Hypotheses:
    """The best `num_hypotheses` found per utterance, [B, num_hypotheses, max_tokens].

    step:           (int32 [B, K], cache) -> (logits [B, K, V], cache), with K = beam_size and
                    V at least 2; called at most max_tokens + 1 times.
    cache:          has `take(beams_BK)`, which gathers beams within each utterance.
    token_limits:   int32 in 0..max_tokens, the most tokens each utterance may have, end not
                    counted; at the limit only the end may follow. 0 means no search, and no
                    hypothesis.
    length_penalty: exponent of `length_divisor`, at least 0; 0 ranks by log-probability.
    suppressed, no_repeat_ngram, rule: see `next_log_probs`.

    An ending competes like any token: it is kept only if it is among the K best extensions.
    An utterance's search reads nothing of its batch-mates', and stops by itself as soon as no
    live beam can beat the worst of its `num_hypotheses` finished ones. It is exact where
    `beam_size` is at least the number of extensions at every step.
    """
    log_probs = partial(
        next_log_probs,
        token_limits_B=token_limits,
        end_id=end_id,
        suppressed=suppressed,
        no_repeat_ngram=no_repeat_ngram,
        rule=rule,
    )
    divisor = partial(length_divisor, exponent=length_penalty)

    def advance(search: _Search) -> _Search:
        logits_BKV, cache = step(search.live.last_BK, search.live.cache)
        log_probs_BKV = log_probs(logits_BKV, search.live.tokens_BKN, search.num_tokens)
        extensions = _best_extensions(search.live.scores_BK[..., None] + log_probs_BKV)
        ended = extensions.token == end_id
        finished = _finish(search, extensions, ended, divisor(search.num_tokens + 1))
        live = _go_on(search, extensions, ended, cache)
        # A log-probability only falls, so this is the best score that a beam may still reach.
        reachable_BK = live.scores_BK / divisor(token_limits + 1)[:, None]
        hopeful_BK = reachable_BK > finished.scores_BH[:, -1:]
        live = replace(live, scores_BK=jnp.where(hopeful_BK, live.scores_BK, -jnp.inf))
        return _Search(search.num_tokens + 1, live, finished)

    final = jax.lax.while_loop(
        lambda search: jnp.any(search.live.scores_BK > -jnp.inf),
        advance,
        _start(
            cache,
            token_limits,
            beam_size=beam_size,
            num_hypotheses=num_hypotheses,
            max_tokens=max_tokens,
            start_id=start_id,
        ),
    )
    found = final.finished
    mask_BHN = jnp.arange(max_tokens) < found.lengths_BH[..., None]
    return Hypotheses(jnp.where(mask_BHN, found.tokens_BHN, 0), mask_BHN, found.scores_BH)


def length_divisor(num_tokens: Int[Array, "*batch"], *, exponent: float) -> Float[Array, "*batch"]:
    """((5 + num_tokens) / 6) ** exponent, which a log-probability is divided by.

    `num_tokens` counts the end token. Wu et al. 2016, "Google's neural machine translation
    system", equation 14, without the coverage term.
    """
    return ((5.0 + num_tokens.astype(jnp.float32)) / 6.0) ** exponent


@struct.dataclass
class _Live:
    """Beams that have not ended; a score of -inf marks a place with no beam in it."""

    last_BK: Any
    tokens_BKN: Any
    scores_BK: Any
    cache: Any


@struct.dataclass
class _Finished:
    """The best ended hypotheses so far, best first, scores normalised for length."""

    tokens_BHN: Any
    lengths_BH: Any
    scores_BH: Any


@struct.dataclass
class _Search:
    num_tokens: Any  # written so far, the same for every live beam
    live: _Live
    finished: _Finished


@struct.dataclass
class _Extensions:
    """The 2K best one-token extensions of an utterance's live beams, best first."""

    score: Any
    beam: Any
    token: Any


def _start(
    cache: Any,
    token_limits: jax.Array,
    *,
    beam_size: int,
    num_hypotheses: int,
    max_tokens: int,
    start_id: int,
) -> _Search:
    B, K, H, N = len(token_limits), beam_size, num_hypotheses, max_tokens
    # All beams are equal before the first token, so one stands for all of them.
    has_beam_BK = (token_limits > 0)[:, None] & (jnp.arange(K) == 0)
    live = _Live(
        last_BK=jnp.full((B, K), start_id, jnp.int32),
        tokens_BKN=jnp.zeros((B, K, N), jnp.int32),
        scores_BK=jnp.where(has_beam_BK, 0.0, -jnp.inf),
        cache=cache,
    )
    finished = _Finished(
        tokens_BHN=jnp.zeros((B, H, N), jnp.int32),
        lengths_BH=jnp.zeros((B, H), jnp.int32),
        scores_BH=jnp.full((B, H), -jnp.inf),
    )
    return _Search(jnp.zeros((), jnp.int32), live, finished)


def _best_extensions(scores_BKV: jax.Array) -> _Extensions:
    """Twice the beam is enough: K of them at most are endings, so K can go on."""
    B, K, V = scores_BKV.shape
    score, flat = jax.lax.top_k(scores_BKV.reshape(B, K * V), 2 * K)
    return _Extensions(score=score, beam=flat // V, token=flat % V)


def _finish(
    search: _Search, extensions: _Extensions, ended: jax.Array, divisor: jax.Array
) -> _Finished:
    """The finished set after the endings among the K best extensions have entered it."""
    old, live = search.finished, search.live
    B, K = live.scores_BK.shape
    scores_BK = jnp.where(ended, extensions.score, -jnp.inf)[:, :K] / divisor
    tokens_BKN = take_beams(live.tokens_BKN, extensions.beam[:, :K])
    lengths_BK = jnp.broadcast_to(search.num_tokens, (B, K))

    # The old ones stand first: a tie leaves the set as it was.
    all_scores = jnp.concatenate([old.scores_BH, scores_BK], axis=1)
    scores_BH, order_BH = jax.lax.top_k(all_scores, old.scores_BH.shape[1])
    lengths_BH = take_beams(jnp.concatenate([old.lengths_BH, lengths_BK], axis=1), order_BH)
    return _Finished(
        tokens_BHN=take_beams(jnp.concatenate([old.tokens_BHN, tokens_BKN], axis=1), order_BH),
        lengths_BH=jnp.where(scores_BH > -jnp.inf, lengths_BH, 0),
        scores_BH=scores_BH,
    )


def _go_on(search: _Search, extensions: _Extensions, ended: jax.Array, cache: Any) -> _Live:
    """The K best extensions that have not ended."""
    K = search.live.scores_BK.shape[1]
    scores_BK, order_BK = jax.lax.top_k(jnp.where(ended, -jnp.inf, extensions.score), K)
    beam_BK = take_beams(extensions.beam, order_BK)
    token_BK = take_beams(extensions.token, order_BK)
    tokens_BKN = take_beams(search.live.tokens_BKN, beam_BK)
    tokens_BKN = tokens_BKN.at[:, :, search.num_tokens].set(token_BK, mode="drop")
    return _Live(token_BK, tokens_BKN, scores_BK, cache.take(beam_BK))
