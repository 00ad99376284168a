"""Which tokens may follow which, in a line of named phrases."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jasr.decoding.phrase_rule import PhraseRule

END, NAMES, STARTS, INNER, GAP, FOREIGN = 2, (3, 4), (5, 6), 7, 8, 9
VOCAB = 10


def is_well_formed(tokens, openers):
    """As a person would say it."""
    if not tokens or tokens[0] not in NAMES or tokens[-1] in (*NAMES, GAP) or FOREIGN in tokens:
        return False
    names = [token for token in tokens if token in NAMES]
    if openers and (names[0] not in openers or set(names[1:]) & set(openers)):
        return False
    behind = [b for a, b in itertools.pairwise(tokens) if a in NAMES]
    behind_gaps = [b for a, b in itertools.pairwise(tokens) if a == GAP]
    return (
        len(set(names)) == len(names)
        and all(token in (*STARTS, GAP) for token in behind)
        and all(token == INNER for token in behind_gaps)
    )


def can_become_well_formed(tokens, openers):
    return not tokens or any(
        is_well_formed([*tokens, *more], openers) for more in ((), (STARTS[0],), (INNER,))
    )


@pytest.mark.parametrize("openers", [(), NAMES[:1], NAMES])
def test_every_line_that_can_be_written_is_well_formed_and_every_other_is_not(openers):
    rule = PhraseRule(NAMES, STARTS, END, (GAP,), openers, (FOREIGN,))
    room = 5
    for length in range(room):
        for tokens in itertools.product((*NAMES, *STARTS, INNER, GAP), repeat=length):
            if not can_become_well_formed(list(tokens), openers):
                continue
            held = jnp.array([*tokens, *[NAMES[0]] * (room - length)])[None, None]
            allowed = np.asarray(rule.allowed(held, jnp.array(length), VOCAB))[0, 0]
            for token in (*NAMES, *STARTS, INNER, GAP, FOREIGN):
                may_follow = can_become_well_formed([*tokens, token], openers)
                assert allowed[token] == may_follow, (tokens, token)
            assert allowed[END] == is_well_formed(list(tokens), openers), tokens
