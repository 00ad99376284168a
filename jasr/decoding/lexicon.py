"""The words that may be written, as a trie of their tokens that a compiled search walks.

start ──s──▶ . ──i──▶ . ──x──▶ (six) ──space──▶ .  ──o──▶ . ──n──▶ . ──e──▶ (one)
                                               └─ where every word behind another begins
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from jasr.errors import UserError
from jasr.text.tokenizer import Tokenizer, UnknownCharacters

NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Lexicon:
    """States after a prefix of words, and the tokens that lead from one to another.

    num_words: how many words it holds.
    arcs:      int32 [arcs], state * vocab_size + token, in ascending order.
    targets:   int32 [arcs], the state that each leads to.
    ends:      bool [states], whether a word ends there.
    start:     the state before the first token.
    follows:   int32 [vocab], from where a word ends to the next, NOWHERE if by no such token.
    """

    num_words: int
    arcs: Any
    targets: Any
    ends: Any
    start: int
    follows: Any

    def next_states(self, states_BK: Int[Array, "batch beams"]) -> Int[Array, "batch beams vocab"]:
        """Where each token leads; NOWHERE if no word goes on so, and none may begin so there."""
        vocab_size = len(self.follows)
        arcs, targets, follows_V = map(jnp.asarray, (self.arcs, self.targets, self.follows))
        wanted_BKV = states_BK[..., None] * vocab_size + jnp.arange(vocab_size)
        place_BKV = jnp.searchsorted(arcs, wanted_BKV)
        is_there_BKV = jnp.take(arcs, place_BKV, mode="clip") == wanted_BKV
        within_BKV = jnp.take(targets, place_BKV, mode="clip")
        behind_BKV = jnp.where(self.is_end(states_BK)[..., None], follows_V, NOWHERE)
        return jnp.where(is_there_BKV, within_BKV, behind_BKV)

    def is_end(self, states_BK: Int[Array, "batch beams"]) -> Bool[Array, "batch beams"]:
        """Whether a text may end in each state."""
        return jnp.asarray(self.ends)[states_BK]


def build_lexicon(words: Iterable[str], tokenizer: Tokenizer) -> tuple[Lexicon, list[str]]:
    """Of distinct words, normalised; and those with characters that the tokenizer lacks.

    Raises UserError where none is left, and for a tokenizer that spells a word by what stands
    before it.
    """
    spelt, unspelt = _spell(words, tokenizer)
    if not spelt:
        raise UserError("it has no word that the model's tokens can spell")
    gap = _gap(spelt, tokenizer)
    children: list[dict[int, int]] = [{}]
    ends = {_insert(children, (*(gap or ()), *tokens)) for tokens in spelt.values()}
    start = _insert(children, gap or ())
    if gap is not None and any(children[end].keys() & children[0].keys() for end in ends):
        raise UserError(
            "the model's tokens do not show where a word begins, so it cannot be held to words"
        )
    V = tokenizer.vocab_size
    if len(children) * V > np.iinfo(np.int32).max:
        raise UserError(f"a lexicon of {len(spelt)} words is too large for {V} tokens")
    arcs = sorted(
        (state * V + token, target)
        for state, tokens in enumerate(children)
        for token, target in tokens.items()
    )
    follows = np.full(V, NOWHERE, np.int32)
    for token, target in children[0].items() if gap is not None else ():
        follows[token] = target
    is_end = np.zeros(len(children), bool)
    is_end[[*ends]] = True
    lexicon = Lexicon(
        num_words=len(spelt),
        arcs=np.array([arc for arc, _ in arcs], np.int32),
        targets=np.array([target for _, target in arcs], np.int32),
        ends=is_end,
        start=start,
        follows=follows,
    )
    return lexicon, unspelt


def _spell(
    words: Iterable[str], tokenizer: Tokenizer
) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """The tokens of each word, and the words left."""
    spelt, unspelt = {}, []
    for word in words:
        try:
            spelt[word] = tuple(tokenizer.encode(word))
        except UnknownCharacters:
            unspelt.append(word)
    return spelt, unspelt


def _gap(spelt: Mapping[str, tuple[int, ...]], tokenizer: Tokenizer) -> tuple[int, ...] | None:
    """The tokens between two words, the same for all; None where no text has two words."""
    found = None
    for word, alone in spelt.items():
        try:
            twice = tuple(tokenizer.encode(f"{word} {word}"))
        except UnknownCharacters:
            return None
        gap = twice[len(alone) : len(twice) - len(alone)]
        if twice != (*alone, *gap, *alone) or found not in (None, gap):
            raise UserError(
                f"the model's tokens spell {word!r} by what stands before it, so it cannot be held "
                f"to words"
            )
        found = gap
    return found


def _insert(children: list[dict[int, int]], tokens: Sequence[int]) -> int:
    """The state after the tokens, made if need be."""
    state = 0
    for token in tokens:
        if token not in children[state]:
            children[state][token] = len(children)
            children.append({})
        state = children[state][token]
    return state
