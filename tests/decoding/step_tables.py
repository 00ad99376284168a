"""Random step functions over a tiny vocabulary, small enough to enumerate what they can say."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

START, END = 1, 2


@struct.dataclass
class PrefixCache:
    """Each beam's whole prefix as one number, which picks its row of the table."""

    prefix_BK: jax.Array

    def take(self, beams_BK):
        return PrefixCache(jnp.take_along_axis(self.prefix_BK, beams_BK, axis=1))


class StepTable:
    """Logits for every prefix of up to `max_tokens` tokens: a different one per utterance."""

    def __init__(self, seed, *, batch_size, vocab_size, max_tokens):
        rng = np.random.default_rng(seed)
        self.vocab_size, self.max_tokens = vocab_size, max_tokens
        shape = (batch_size, 2 * vocab_size ** (max_tokens + 1), vocab_size)
        self.logits = rng.normal(size=shape, scale=2.0).astype(np.float32)

    def rows(self, index):
        """The table of some of the utterances alone."""
        part = object.__new__(StepTable)
        part.vocab_size, part.max_tokens = self.vocab_size, self.max_tokens
        part.logits = self.logits[np.asarray(index)]
        return part

    def step(self, tokens_BK, cache):
        prefix_BK = cache.prefix_BK * self.vocab_size + tokens_BK
        table = jnp.asarray(self.logits)
        logits_BKV = jnp.take_along_axis(table, prefix_BK[..., None], axis=1, mode="clip")
        return logits_BKV, PrefixCache(prefix_BK)

    def start_cache(self, beam_size):
        # 0 then START gives prefix 1: a leading digit that keeps prefixes of all lengths apart.
        return PrefixCache(jnp.zeros((len(self.logits), beam_size), jnp.int32))

    def log_probs(self, utterance, tokens):
        """float64 [V] after the given tokens, by an independent path."""
        prefix = START
        for token in tokens:
            prefix = prefix * self.vocab_size + token
        logits = self.logits[utterance, prefix].astype(np.float64)
        return logits - np.log(np.sum(np.exp(logits)))

    def all_transcripts(
        self, utterance, *, limit, length_penalty, suppressed=(), no_repeat_ngram=0
    ):
        """[(score, tokens)] of everything that may be said in up to `limit` tokens, best first."""
        units = [v for v in range(self.vocab_size) if v != END and v not in suppressed]
        scored = []
        for length in range(limit + 1):
            for tokens in itertools.product(units, repeat=length):
                if no_repeat_ngram and _repeats(tokens, no_repeat_ngram):
                    continue
                whole = (*tokens, END)
                score = sum(self.log_probs(utterance, whole[:i])[v] for i, v in enumerate(whole))
                scored.append((score / ((5 + len(whole)) / 6) ** length_penalty, tokens))
        return sorted(scored, reverse=True)


def _repeats(tokens, n):
    ngrams = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
    return len(set(ngrams)) < len(ngrams)


def transcripts(hypotheses, utterance):
    """[(score, tokens)] of one utterance's hypotheses as Python values."""
    found = []
    for tokens, mask, score in zip(
        *(
            np.asarray(x[utterance])
            for x in (hypotheses.tokens, hypotheses.mask, hypotheses.scores)
        ),
        strict=True,
    ):
        if np.isfinite(score):
            found.append((float(score), tuple(tokens[mask].tolist())))
    return found
