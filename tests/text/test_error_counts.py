import numpy as np
import pytest

from jasr.text.error_counts import (
    ErrorCounts,
    align_words,
    count_character_errors,
    count_word_errors,
    error_rate_interval,
)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b c", "a b c", ErrorCounts(length=3)),
        ("a b c", "a x c", ErrorCounts(substitutions=1, length=3)),
        ("a b c", "a c", ErrorCounts(deletions=1, length=3)),
        ("a b c", "a b b c", ErrorCounts(insertions=1, length=3)),
        ("a b c", "", ErrorCounts(deletions=3, length=3)),
        ("", "a b", ErrorCounts(insertions=2, length=0)),
        ("", "", ErrorCounts()),
        ("  a   b ", "a b", ErrorCounts(length=2)),
    ],
)
def test_word_errors(reference, hypothesis, expected):
    assert count_word_errors(reference, hypothesis) == expected


def test_character_errors_count_spaces():
    assert count_character_errors("a b", "ab") == ErrorCounts(deletions=1, length=3)
    assert count_character_errors("日本語", "日本") == ErrorCounts(deletions=1, length=3)


def edit_distance(said, heard):
    row = np.arange(len(heard) + 1)
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], best
    return row[-1]


def random_sentences(seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(list("abcd"), rng.integers(0, 12))) for _ in range(2)]


@pytest.mark.parametrize("seed", range(30))
def test_errors_are_the_edit_distance(seed):
    reference, hypothesis = random_sentences(seed)
    counts = count_word_errors(reference, hypothesis)
    said, heard = reference.split(), hypothesis.split()
    assert counts.errors == edit_distance(said, heard)
    assert counts.length == len(said)
    assert len(said) - counts.deletions + counts.insertions == len(heard)


@pytest.mark.parametrize("seed", range(30))
def test_alignment_spells_both_texts_and_agrees_with_the_counts(seed):
    reference, hypothesis = random_sentences(seed)
    steps = align_words(reference, hypothesis)
    counts = count_word_errors(reference, hypothesis)
    operations = [operation for operation, _, _ in steps]
    assert " ".join(said for _, said, _ in steps if said is not None) == reference
    assert " ".join(heard for _, _, heard in steps if heard is not None) == hypothesis
    assert operations.count("substitute") == counts.substitutions
    assert operations.count("delete") == counts.deletions
    assert operations.count("insert") == counts.insertions
    for operation, said, heard in steps:
        assert (said == heard) == (operation == "equal")


def test_counts_add_up_and_rates_are_pooled():
    total = ErrorCounts(1, 2, 3, 10) + ErrorCounts(4, 0, 0, 90)
    assert total == ErrorCounts(5, 2, 3, 100)
    assert total.rate == pytest.approx(0.1)


def test_rate_without_reference_words_is_a_number():
    assert ErrorCounts().rate == 0
    assert ErrorCounts(insertions=2).rate == 2


def test_interval_covers_the_true_rate_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        errors = rng.binomial(10, 0.2, size=60)
        counts = [ErrorCounts(substitutions=int(e), length=10) for e in errors]
        low, high = error_rate_interval(counts, resamples=300, seed=seed)
        covered += low <= 0.2 <= high
    assert 88 <= covered <= 99


def test_interval_is_reproducible_and_narrows_with_confidence():
    counts = [ErrorCounts(substitutions=i % 3, length=5 + i % 4) for i in range(50)]
    wide = error_rate_interval(counts)
    narrow = error_rate_interval(counts, confidence=0.5)
    assert wide == error_rate_interval(counts)
    assert wide[0] < narrow[0] < sum(counts, ErrorCounts()).rate < narrow[1] < wide[1]


def test_interval_of_nothing_and_of_one_utterance():
    assert error_rate_interval([]) == (0, 0)
    assert error_rate_interval([ErrorCounts(substitutions=1, length=4)]) == (0.25, 0.25)
