"""Decoding methods as configuration: each turns a model and a batch into hypotheses.

A method is called as `method(model, variables, batch)`, where `model` has the methods of a
recogniser that it needs:

    encode(batch: Batch) -> encoded                                all
    ctc_logits(encoded) -> Padded                                  CTC
    start_cache(encoded, beam_size=, max_tokens=) -> cache         attention
    decode_step(tokens_BK, cache) -> (logits_BKV, cache)           attention

Its `confidence` in a hypothesis is from 0 to 1, comparable between methods and lengths.
The call is one compiled program per method, model and shape of the batch. Rows that only
fill the batch are not searched.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jasr.decoding.beam_search import beam_search, length_divisor
from jasr.decoding.ctc_beam import ctc_beam
from jasr.decoding.ctc_greedy import ctc_greedy
from jasr.decoding.greedy_search import greedy_search
from jasr.decoding.hypotheses import Hypotheses, Hypothesis
from jasr.decoding.lexicon import Lexicon
from jasr.decoding.phrase_rule import PhraseRule
from jasr.errors import UserError
from jasr.types import Batch, Padded

compiled = partial(jax.jit, static_argnames=("self", "model"))


class _ByProbability:
    """Scores its hypotheses by their log-probabilities."""

    def confidence(self, found: Hypothesis) -> float:
        return _per_token(found.score, found)


@dataclass(frozen=True)
class CTCGreedy(_ByProbability):
    """Best path of the CTC head."""

    blank_id: int = 0

    @property
    def name(self) -> str:
        return "ctc-greedy"

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        return ctc_greedy(_ctc_logits(model, variables, batch), blank_id=self.blank_id)


@dataclass(frozen=True, kw_only=True)
class CTCBeam(_ByProbability):
    """Prefix beam search with the CTC head.

    beam_size:      prefixes followed at once.
    num_hypotheses: how many are wanted, at most `beam_size`.
    lexicon:        the words that may be written; None for any.
    """

    blank_id: int = 0
    beam_size: int = 16
    num_hypotheses: int = 1
    lexicon: Lexicon | None = None

    def __post_init__(self) -> None:
        _at_least(self, 1, "num_hypotheses")
        _at_least(self, self.num_hypotheses, "beam_size")

    @property
    def name(self) -> str:
        words = [f"lexicon of {self.lexicon.num_words} words"] if self.lexicon else []
        return _name("ctc-beam", str(self.beam_size), *words)

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        return ctc_beam(
            _ctc_logits(model, variables, batch),
            blank_id=self.blank_id,
            beam_size=self.beam_size,
            num_hypotheses=self.num_hypotheses,
            lexicon=self.lexicon,
        )


def _ctc_logits(model: nn.Module, variables: Any, batch: Batch) -> Padded:
    encoded = model.apply(variables, batch, method="encode")
    logits: Any = model.apply(variables, encoded, method="ctc_logits")
    return logits


@dataclass(frozen=True, kw_only=True)
class _Attention(_ByProbability):
    """What every search with the autoregressive decoder is told.

    start_id, end_id:      the tokens around a transcript.
    blank_id:              never written, nor is the start; None where the decoder's
                           vocabulary has no blank.
    no_repeat_ngram:       n of the n-grams that a transcript may hold once; 0 allows all.
    max_tokens_per_second: bounds the length of a transcript by its recording's, so that a
                           search that does not find the end stops.
    max_tokens:            bounds it for any recording, as the decoder's positions do; the
                           decoder reads at most one token more, the start.
    sample_rate:           of the batch's audio, Hz.
    rule:                  which tokens may follow which; None for any.
    """

    start_id: int = 1
    end_id: int = 2
    blank_id: int | None = 0
    no_repeat_ngram: int = 0
    max_tokens_per_second: float = 40.0
    max_tokens: int = 1024
    sample_rate: int = 16_000
    rule: PhraseRule | None = None

    def __post_init__(self) -> None:
        _at_least(self, 0, "no_repeat_ngram")
        _at_least(self, 1, "max_tokens", "sample_rate")
        if not 0 < self.max_tokens_per_second <= self.sample_rate:
            raise UserError(
                f"decoding: max_tokens_per_second is {self.max_tokens_per_second}; it must be "
                f"above 0 and at most the sample rate, {self.sample_rate}"
            )

    def guards(self) -> list[str]:
        """What the method's name says of the guards that are on."""
        ngram = [f"no_repeat_ngram={self.no_repeat_ngram}"] if self.no_repeat_ngram else []
        return [*ngram, *(["well-formed"] if self.rule else [])]

    def search_space(self, batch: Batch) -> tuple[jax.Array, dict[str, Any]]:
        """Each utterance's token limit, int32 [B], and the searches' common arguments.

        The limits depend on the recordings' real lengths alone, the room for tokens on the
        batch's shape alone.
        """
        samples_per_token = int(self.sample_rate / self.max_tokens_per_second)
        room = _ceil_divide(batch.audio.values.shape[1], samples_per_token)
        limits = _ceil_divide(batch.audio.lengths(), samples_per_token)
        searched = jnp.where(batch.example_mask, jnp.minimum(limits, self.max_tokens), 0)
        return searched, {
            "max_tokens": min(room, self.max_tokens),
            "start_id": self.start_id,
            "end_id": self.end_id,
            "suppressed": tuple(i for i in (self.blank_id, self.start_id) if i is not None),
            "no_repeat_ngram": self.no_repeat_ngram,
            "rule": self.rule,
        }


@dataclass(frozen=True, kw_only=True)
class AttentionGreedy(_Attention):
    """The decoder's likeliest token at every step."""

    @property
    def name(self) -> str:
        return _name("attention-greedy", *self.guards())

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        limits, arguments = self.search_space(batch)
        step, cache = _decoder(
            model, variables, batch, beam_size=1, max_tokens=arguments["max_tokens"]
        )
        return greedy_search(step, cache, limits, **arguments)


@dataclass(frozen=True, kw_only=True)
class AttentionBeam(_Attention):
    """Beam search with the decoder.

    beam_size:      hypotheses followed at once.
    num_hypotheses: how many finished ones are wanted, at most `beam_size`; with more of them
                    a search goes on longer.
    length_penalty: exponent of the divisor of a hypothesis's score; 0 prefers short ones.
    """

    beam_size: int = 4
    num_hypotheses: int = 1
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(self, 0, "length_penalty")
        _at_least(self, 1, "num_hypotheses")
        _at_least(self, self.num_hypotheses, "beam_size")

    @property
    def name(self) -> str:
        penalty = f"length_penalty={self.length_penalty}"
        return _name("attention-beam", str(self.beam_size), penalty, *self.guards())

    def confidence(self, found: Hypothesis) -> float:
        num_read = jnp.asarray(len(found.tokens) + 1)
        return _per_token(
            found.score * float(length_divisor(num_read, exponent=self.length_penalty)), found
        )

    @compiled
    def __call__(self, model: nn.Module, variables: Any, batch: Batch) -> Hypotheses:
        limits, arguments = self.search_space(batch)
        step, cache = _decoder(
            model, variables, batch, beam_size=self.beam_size, max_tokens=arguments["max_tokens"]
        )
        return beam_search(
            step,
            cache,
            limits,
            beam_size=self.beam_size,
            num_hypotheses=self.num_hypotheses,
            length_penalty=self.length_penalty,
            **arguments,
        )


def _decoder(
    model: nn.Module, variables: Any, batch: Batch, *, beam_size: int, max_tokens: int
) -> tuple[Any, Any]:
    """The model's step function and its cache before the first step.

    The cache has room for one token more than a transcript: the decoder reads the start too.
    """
    encoded = model.apply(variables, batch, method="encode")
    cache = model.apply(
        variables, encoded, beam_size=beam_size, max_tokens=max_tokens + 1, method="start_cache"
    )
    return partial(model.apply, variables, method="decode_step"), cache


def _per_token(log_probability: float, found: Hypothesis) -> float:
    """The geometric mean of its tokens' probabilities, end included: from 0 to 1."""
    return math.exp(log_probability / (len(found.tokens) + 1))


def _ceil_divide(value: Any, divisor: int) -> Any:
    return -(-value // divisor)


def _at_least(method: Any, least: int, *fields: str) -> None:
    for field in fields:
        if getattr(method, field) < least:
            raise UserError(
                f"decoding: {field} is {getattr(method, field)}; it must be at least {least}"
            )


def _name(method: str, *settings: str) -> str:
    return f"{method}({', '.join(settings)})" if settings else method
