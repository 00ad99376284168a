import unicodedata

import pytest

from jasr.errors import UserError
from jasr.text.normalizer import normalizer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("Well-known; it's 5 o\u2019clock!", "well known it's 5 o'clock"),
        ("'tis the dogs' 'bone'", "tis the dogs bone"),
        ("a''b don't-stop", "a b don't stop"),
        ("\ufb01ne \u2167 \uff21\uff22", "fine viii ab"),
        ("  tab\tand\nnewline\u00a0here ", "tab and newline here"),
        ("snake_case $5 + 3%", "snake case 5 3"),
        ("CAFÉ cafe\u0301", "café café"),
        ("soft\u00adhyphen", "softhyphen"),
        ("हिन्दी में", "हिन्दी में"),
        ("...", ""),
    ],
)
def test_basic_v1(text, expected):
    assert normalizer("basic-v1")(text) == expected


def test_basic_v1_is_idempotent_over_two_planes():
    normalize = normalizer("basic-v1")
    for start in range(0, 0x20000, 4096):
        text = "x".join(map(chr, range(start, start + 4096)))
        once = normalize(text)
        assert normalize(once) == once


def test_basic_v1_leaves_no_punctuation_or_capitals():
    every = " ".join(map(chr, range(0x10000)))
    categories = {unicodedata.category(c) for c in normalizer("basic-v1")(every) if c != "'"}
    assert not {c for c in categories if c[0] in "PS"}


def test_verbatim_v1_collapses_white_space_alone():
    assert normalizer("verbatim-v1")(" It's\t\u2019Tis,  OK! ") == "It's \u2019Tis, OK!"


def test_unknown_name_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'basic-v1'"):
        normalizer("basic-v2")
