import math

import pytest

from jasr.text.bigrams import bigram_divergence


def test_the_same_texts_are_hardly_apart_and_others_are():
    texts = ["a b c", "b c a", "c a b"] * 200
    assert bigram_divergence(texts, texts) < 0.02
    backwards = [" ".join(reversed(text.split())) for text in texts]
    assert bigram_divergence(backwards, texts) > 1


def test_its_value_by_hand():
    # Of "a": (edge, a), (a, edge), a half each. Known are four pairs, each once more than seen.
    expected = 2 * 0.5 * math.log(0.5 / (2 / 6))
    assert bigram_divergence(["a"], ["a"]) == pytest.approx(expected)


def test_one_unit_again_and_again_is_far_from_any_text():
    texts = ["a b", "b a", "a a b"] * 50
    assert bigram_divergence(["a a a a a a"], texts) > bigram_divergence(["a b", "b a"], texts)
