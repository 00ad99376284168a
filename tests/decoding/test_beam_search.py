import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_tables import END, START, StepTable, transcripts

from jasr.decoding.beam_search import beam_search, length_divisor

VOCAB, LENGTH = 4, 4
EVERYTHING = VOCAB**LENGTH


def search(table, limits, **options):
    options = {"beam_size": 4, "max_tokens": LENGTH} | options

    @jax.jit
    def compiled(limits):
        cache = table.start_cache(options["beam_size"])
        return beam_search(table.step, cache, limits, start_id=START, end_id=END, **options)

    return compiled(jnp.asarray(limits, jnp.int32))


@pytest.fixture(scope="module")
def table():
    return StepTable(0, batch_size=6, vocab_size=VOCAB, max_tokens=LENGTH)


def assert_same(found, expected):
    assert [tokens for _, tokens in found] == [tokens for _, tokens in expected]
    np.testing.assert_allclose([s for s, _ in found], [s for s, _ in expected], rtol=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("num_hypotheses", [1, 7])
def test_beam_that_holds_everything_finds_the_exact_best(table, length_penalty, num_hypotheses):
    limits = [4, 3, 2, 1, 4, 4]
    found = search(
        table,
        limits,
        beam_size=EVERYTHING,
        num_hypotheses=num_hypotheses,
        length_penalty=length_penalty,
    )
    for b, limit in enumerate(limits):
        everything = table.all_transcripts(b, limit=limit, length_penalty=length_penalty)
        assert_same(transcripts(found, b), everything[:num_hypotheses])


def test_long_search_over_two_units_is_exact():
    table = StepTable(3, batch_size=2, vocab_size=3, max_tokens=7)
    found = search(table, [7, 6], beam_size=2**8, max_tokens=7, num_hypotheses=5)
    for b, limit in enumerate([7, 6]):
        assert_same(
            transcripts(found, b), table.all_transcripts(b, limit=limit, length_penalty=1.0)[:5]
        )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_repetition_guard_forbids_exactly_the_repeated_ngrams(table, n):
    rules = {"no_repeat_ngram": n, "suppressed": (START,)}
    found = search(table, [4] * 6, beam_size=EVERYTHING, num_hypotheses=100, **rules)
    for b in range(6):
        everything = table.all_transcripts(b, limit=4, length_penalty=1.0, **rules)
        assert_same(transcripts(found, b), everything[:100])


def test_narrow_beam_reports_true_scores_in_order_and_never_beats_the_exact_best(table):
    found = search(table, [4] * 6, beam_size=3, num_hypotheses=3)
    for b in range(6):
        everything = table.all_transcripts(b, limit=4, length_penalty=1.0)
        true_scores = {tokens: score for score, tokens in everything}
        hypotheses = transcripts(found, b)
        assert len({tokens for _, tokens in hypotheses}) == len(hypotheses) == 3
        scores = [score for score, _ in hypotheses]
        np.testing.assert_allclose(scores, [true_scores[t] for _, t in hypotheses], rtol=1e-5)
        assert scores == sorted(scores, reverse=True)
        assert scores[0] <= everything[0][0] + 1e-5


def test_result_is_the_same_whatever_the_batch_mates(table):
    limits = np.array([4, 1, 0, 3, 2, 4])
    together = search(table, limits, num_hypotheses=3)
    for rows in ([3], [5, 2, 1]):
        apart = search(table.rows(rows), limits[rows], num_hypotheses=3)
        for place, row in enumerate(rows):
            for whole, part in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
                np.testing.assert_array_equal(whole[row], part[place])


def test_room_for_more_tokens_changes_nothing(table):
    exact, roomy = search(table, [4] * 6), search(table, [4] * 6, max_tokens=9)
    assert not np.any(roomy.mask[:, :, LENGTH:])
    np.testing.assert_array_equal(exact.tokens, roomy.tokens[:, :, :LENGTH])
    np.testing.assert_array_equal(exact.scores, roomy.scores)


class CountedSteps:
    """A step function that ends at once or never, and counts how often it was called."""

    def __init__(self, end_logits):
        self.calls = 0
        self.end_logits = np.asarray(end_logits, np.float32)

    def step(self, tokens_BK, cache):
        jax.debug.callback(self.count)
        B, K = tokens_BK.shape
        logits_BKV = jnp.zeros((B, K, VOCAB)).at[:, :, END].set(self.end_logits[:, None])
        return logits_BKV, cache

    def count(self):
        self.calls += 1

    def calls_of_a_search(self, limits, **options):
        cache = StepTable(0, batch_size=len(limits), vocab_size=2, max_tokens=1).start_cache(4)
        found = beam_search(
            self.step,
            cache,
            jnp.asarray(limits, jnp.int32),
            beam_size=4,
            max_tokens=50,
            start_id=START,
            end_id=END,
            **options,
        )
        jax.block_until_ready(found)
        jax.effects_barrier()
        return self.calls, found


def test_search_stops_when_no_live_beam_can_win():
    certain_end = CountedSteps([20.0, 20.0])
    calls, found = certain_end.calls_of_a_search([50, 30])
    assert calls == 1
    assert transcripts(found, 0)[0][1] == ()


def test_search_goes_on_while_more_hypotheses_are_wanted():
    calls, found = CountedSteps([5.0]).calls_of_a_search([50], num_hypotheses=3)
    assert 1 < calls < 10
    assert len(transcripts(found, 0)) == 3


def test_search_without_an_end_stops_at_each_utterances_limit():
    calls, found = CountedSteps([-20.0, -20.0]).calls_of_a_search([6, 3])
    assert calls == 7
    assert [len(transcripts(found, b)[0][1]) for b in (0, 1)] == [6, 3]


def test_rows_that_fill_the_batch_are_not_searched():
    calls, found = CountedSteps([0.0, 0.0]).calls_of_a_search([0, 0])
    assert calls == 0
    assert transcripts(found, 0) == transcripts(found, 1) == []
    assert not np.any(found.mask)


def test_length_divisor_follows_its_equation():
    lengths = jnp.array([1, 7, 19])
    np.testing.assert_allclose(length_divisor(lengths, exponent=1.0), [1, 2, 4], rtol=1e-6)
    np.testing.assert_allclose(length_divisor(lengths, exponent=0.5), [1, 2**0.5, 2], rtol=1e-6)
    np.testing.assert_allclose(length_divisor(lengths, exponent=0.0), [1, 1, 1])
