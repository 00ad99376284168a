import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_tables import END, START, StepTable, transcripts

from jasr.decoding.greedy_search import greedy_search
from jasr.decoding.phrase_rule import PhraseRule

LIMITS = np.array([5, 3, 0, 1, 5, 5])


@pytest.fixture(scope="module")
def table():
    return StepTable(1, batch_size=6, vocab_size=4, max_tokens=5)


def search(table, limits, **options):
    @jax.jit
    def compiled(limits):
        return greedy_search(
            table.step,
            table.start_cache(1),
            limits,
            **{"max_tokens": 5, "start_id": START, "end_id": END} | options,
        )

    return compiled(jnp.asarray(limits, jnp.int32))


def likeliest_token_by_token(table, utterance, limit, *, suppressed=(), bigrams_once=False):
    tokens, score = (), 0.0
    while True:
        log_probs = table.log_probs(utterance, tokens)
        allowed = log_probs.copy()
        allowed[list(suppressed)] = -np.inf
        if bigrams_once:
            seen = set(itertools.pairwise(tokens))
            for v in range(len(allowed)):
                if v != END and ((*tokens[-1:], v)) in seen:
                    allowed[v] = -np.inf
        token = END if len(tokens) == limit else int(np.argmax(allowed))
        score += log_probs[token]
        if token == END:
            return score, tokens
        tokens += (token,)


@pytest.mark.parametrize("suppressed", [(), (0, START)])
@pytest.mark.parametrize("bigrams_once", [False, True])
def test_follows_the_likeliest_token(table, suppressed, bigrams_once):
    found = search(table, LIMITS, suppressed=suppressed, no_repeat_ngram=2 if bigrams_once else 0)
    for b in np.flatnonzero(LIMITS):
        [(score, tokens)] = transcripts(found, b)
        expected_score, expected = likeliest_token_by_token(
            table, b, LIMITS[b], suppressed=suppressed, bigrams_once=bigrams_once
        )
        assert tokens == expected
        np.testing.assert_allclose(score, expected_score, rtol=1e-5)


def test_row_without_a_limit_has_no_hypothesis(table):
    assert transcripts(search(table, LIMITS), 2) == []


def test_result_is_the_same_whatever_the_batch_mates(table):
    together = search(table, LIMITS)
    for rows in ([4], [5, 2, 3]):
        apart = search(table.rows(rows), LIMITS[rows])
        for whole, part in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
            np.testing.assert_array_equal(whole[np.array(rows)], part)


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_an_utterance_ends_at_its_limit_even_where_a_rule_wants_more(limit):
    """Behind a name there must be a word: one in the last place cannot have it."""
    table = StepTable(3, batch_size=40, vocab_size=6, max_tokens=4)
    rule = PhraseRule(names=(3, 4), starts=(5,), end_id=END)
    found = search(table, np.full(40, limit), max_tokens=4, suppressed=(0, START), rule=rule)
    said = [transcripts(found, number) for number in range(40)]
    assert all(len(tokens) <= limit for [(_, tokens)] in said)
    for number, [(score, tokens)] in enumerate(said):
        whole = (*tokens, END)
        expected = sum(table.log_probs(number, whole[:i])[v] for i, v in enumerate(whole))
        np.testing.assert_allclose(score, expected, rtol=1e-4)
    assert any(tokens[-1] in rule.names for [(_, tokens)] in said)
