"""Follow the likeliest token until the end token: one beam, no looking back."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jasr.decoding.hypotheses import Hypotheses, Step
from jasr.decoding.next_token import next_log_probs
from jasr.decoding.phrase_rule import PhraseRule


def greedy_search(
    step: Step,
    cache: Any,
    token_limits: Int[Array, " batch"],
    *,
    max_tokens: int,
    start_id: int,
    end_id: int,
    suppressed: tuple[int, ...] = (),
    no_repeat_ngram: int = 0,
    rule: PhraseRule | None = None,
) -> Hypotheses:
    """One hypothesis per utterance, [B, 1, max_tokens]; the score is its log-probability.

    step:         (int32 [B, 1], cache) -> (logits [B, 1, V], cache); called at most
                  max_tokens + 1 times.
    token_limits: int32 in 0..max_tokens, the most tokens each utterance may have, end not
                  counted; at the limit the end is forced. 0 means no search: no hypothesis.
    suppressed, no_repeat_ngram, rule: see `next_log_probs`.
    """
    log_probs = partial(
        next_log_probs,
        token_limits_B=token_limits,
        end_id=end_id,
        suppressed=suppressed,
        no_repeat_ngram=no_repeat_ngram,
        rule=rule,
    )
    final = jax.lax.while_loop(
        lambda search: jnp.any(search.running_B),
        partial(_advance, step=step, log_probs=log_probs, end_id=end_id),
        _start(cache, token_limits, max_tokens=max_tokens, start_id=start_id),
    )
    mask_BN = jnp.arange(max_tokens) < final.lengths_B[:, None]
    return Hypotheses(final.tokens_B1N, mask_BN[:, None], final.scores_B[:, None])


@struct.dataclass
class _Search:
    num_tokens: Any  # written so far, the same for every running utterance
    running_B: Any
    last_B1: Any
    tokens_B1N: Any
    lengths_B: Any
    scores_B: Any
    cache: Any


def _start(cache: Any, token_limits: jax.Array, *, max_tokens: int, start_id: int) -> _Search:
    batch_size = len(token_limits)
    running_B = token_limits > 0
    return _Search(
        num_tokens=jnp.zeros((), jnp.int32),
        running_B=running_B,
        last_B1=jnp.full((batch_size, 1), start_id, jnp.int32),
        tokens_B1N=jnp.zeros((batch_size, 1, max_tokens), jnp.int32),
        lengths_B=jnp.zeros(batch_size, jnp.int32),
        scores_B=jnp.where(running_B, 0.0, -jnp.inf),
        cache=cache,
    )


def _advance(search: _Search, *, step: Any, log_probs: Any, end_id: int) -> _Search:
    logits_B1V, cache = step(search.last_B1, search.cache)
    log_probs_BV = log_probs(logits_B1V, search.tokens_B1N, search.num_tokens)[:, 0]
    token_B = jnp.argmax(log_probs_BV, axis=-1).astype(jnp.int32)
    gain_B = jnp.max(log_probs_BV, axis=-1)

    goes_on_B = search.running_B & (token_B != end_id)
    written_B = jnp.where(goes_on_B, token_B, 0)
    tokens_B1N = search.tokens_B1N.at[:, 0, search.num_tokens].set(written_B, mode="drop")
    return _Search(
        num_tokens=search.num_tokens + 1,
        running_B=goes_on_B,
        last_B1=token_B[:, None],
        tokens_B1N=tokens_B1N,
        lengths_B=search.lengths_B + goes_on_B,
        scores_B=search.scores_B + jnp.where(search.running_B, gain_B, 0.0),
        cache=cache,
    )
