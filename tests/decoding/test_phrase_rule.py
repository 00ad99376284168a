"""Which tokens may follow which, in a line of named phrases."""

import itertools

import jax.numpy as jnp
import numpy as np

from jasr.decoding.phrase_rule import PhraseRule

END, NAMES, STARTS, INNER, GAP = 2, (3, 4), (5, 6), 7, 8
RULE = PhraseRule(NAMES, STARTS, END, (GAP,))
VOCAB = 9


def is_well_formed(tokens):
    """As a person would say it."""
    if not tokens or tokens[0] not in NAMES or tokens[-1] in (*NAMES, GAP):
        return False
    names = [token for token in tokens if token in NAMES]
    behind = [b for a, b in itertools.pairwise(tokens) if a in NAMES]
    behind_gaps = [b for a, b in itertools.pairwise(tokens) if a == GAP]
    return (
        len(set(names)) == len(names)
        and all(token in (*STARTS, GAP) for token in behind)
        and all(token == INNER for token in behind_gaps)
    )


def can_become_well_formed(tokens):
    return not tokens or any(
        is_well_formed([*tokens, *more]) for more in ((), (STARTS[0],), (INNER,))
    )


def test_every_line_that_can_be_written_is_well_formed_and_every_other_is_not():
    room = 5
    for length in range(room):
        for tokens in itertools.product((*NAMES, *STARTS, INNER, GAP), repeat=length):
            if not can_become_well_formed(list(tokens)):
                continue
            held = jnp.array([*tokens, *[NAMES[0]] * (room - length)])[None, None]
            allowed = np.asarray(RULE.allowed(held, jnp.array(length), VOCAB))[0, 0]
            for token in (*NAMES, *STARTS, INNER, GAP):
                assert allowed[token] == can_become_well_formed([*tokens, token]), (tokens, token)
            assert allowed[END] == is_well_formed(list(tokens)), tokens
