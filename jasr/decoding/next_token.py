"""Which token may come next, and how likely it is: the rules every search shares."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jasr.decoding.phrase_rule import PhraseRule


def next_log_probs(
    logits_BKV: Float[Array, "batch beams vocab"],
    tokens_BKN: Int[Array, "batch beams tokens"],
    num_tokens: Int[Array, ""],
    *,
    token_limits_B: Int[Array, " batch"],
    end_id: int,
    suppressed: tuple[int, ...],
    no_repeat_ngram: int,
    rule: PhraseRule | None = None,
) -> Float[Array, "batch beams vocab"]:
    """Float32 log-probability of each continuation, -inf for those that the rules forbid.

    The first `num_tokens` of `tokens_BKN` are what each beam holds. Forbidden are the
    `suppressed` ids; a token that would complete an n-gram the beam already holds, with n =
    `no_repeat_ngram` (0: none); and what `rule` does not allow. Once an utterance is at its limit
    it ends, whatever these say, for else there would be no way to go on.
    What remains is not renormalised: a score stays the model's own log-probability.
    """
    all_BKV = jax.nn.log_softmax(logits_BKV.astype(jnp.float32))
    log_probs_BKV = all_BKV
    if suppressed:
        log_probs_BKV = log_probs_BKV.at[..., jnp.array(suppressed)].set(-jnp.inf)
    if 0 < no_repeat_ngram <= tokens_BKN.shape[-1]:
        log_probs_BKV = _forbid_repeats(log_probs_BKV, tokens_BKN, num_tokens, n=no_repeat_ngram)
    if rule is not None:
        allowed_BKV = rule.allowed(tokens_BKN, num_tokens, log_probs_BKV.shape[-1])
        log_probs_BKV = jnp.where(allowed_BKV, log_probs_BKV, -jnp.inf)
    at_limit_B11 = (num_tokens >= token_limits_B)[:, None, None]
    is_end_V = jnp.arange(log_probs_BKV.shape[-1]) == end_id
    end_BKV = jnp.where(is_end_V, all_BKV, -jnp.inf)
    return jnp.where(at_limit_B11, end_BKV, log_probs_BKV)


def _forbid_repeats(
    log_probs_BKV: jax.Array, tokens_BKN: jax.Array, num_tokens: jax.Array, *, n: int
) -> jax.Array:
    """-inf for each token that followed an earlier copy of a beam's last n - 1 tokens.

    All windows of the buffer are compared at once, so the shapes do not depend on how many
    tokens there are; a window counts only if the token behind it has been written.
    """
    num_windows = tokens_BKN.shape[-1] - n + 1
    repeats_BKW = jnp.arange(num_windows) + n - 1 < num_tokens
    for back in range(1, n):
        last_BK1 = jnp.take(tokens_BKN, num_tokens - back, axis=-1, mode="clip")[..., None]
        offset = n - 1 - back
        repeats_BKW &= tokens_BKN[..., offset : offset + num_windows] == last_BK1
    followers_BKW = tokens_BKN[..., n - 1 :]
    B, K, vocab_size = log_probs_BKV.shape
    forbidden_BKW = jnp.where(repeats_BKW, followers_BKW, vocab_size)
    rows_B11, beams_1K1 = jnp.arange(B)[:, None, None], jnp.arange(K)[None, :, None]
    return log_probs_BKV.at[rows_B11, beams_1K1, forbidden_BKW].set(-jnp.inf, mode="drop")
