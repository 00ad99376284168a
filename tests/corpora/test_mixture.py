"""Several corpora as one, and the first part of one."""

import pickle

import numpy as np
import pytest

from jasr.corpora.catalogue import open_corpus, prepare_parts
from jasr.errors import UserError

CONFIG = {
    "kind": "mixture",
    "name": "both",
    "sample_rate": 16000,
    "options": {},
    "parts": {"speech": {"passes": 2.0}, "song": {"folder": "songs"}},
}


@pytest.fixture
def prepared(make_manifest, tmp_path):
    make_manifest({"train": 4, "dev": 2}, name="speech")
    make_manifest({"train": 3, "extra": 5}, name="songs")
    assert len(list(prepare_parts(CONFIG, tmp_path, tmp_path / "data"))) == 2
    return tmp_path / "data"


def test_a_mixture_has_all_its_parts_and_their_passes(prepared):
    mixture = pickle.loads(pickle.dumps(open_corpus(CONFIG, "train", prepared)))
    assert len(mixture) == 7
    np.testing.assert_array_equal(mixture.passes_of(np.arange(7)), [2.0] * 4 + [1.0] * 3)
    np.testing.assert_array_equal(mixture.passes_of(np.array([5, 1])), [1.0, 2.0])
    alone = open_corpus(
        {**CONFIG, "kind": "manifest", "name": "song", "parts": {}}, "train", prepared
    )
    assert alone.passes_of(np.arange(3)) is None
    np.testing.assert_array_equal(mixture.read(5), alone.read(1))


def test_a_part_without_the_split_is_left_out(prepared):
    assert len(open_corpus(CONFIG, "validation", prepared)) == 2
    assert len(open_corpus(CONFIG, "train+extra", prepared)) == 12
    with pytest.raises(UserError, match=r"has no split 'elsewhere'"):
        open_corpus(CONFIG, "train+elsewhere", prepared)


def test_a_part_is_that_share_of_the_utterances(prepared):
    section = {**CONFIG, "kind": "manifest", "name": "song", "parts": {}}
    whole = open_corpus(section, "extra", prepared)
    ids = [u.id for u in whole.utterances]
    part = pickle.loads(pickle.dumps(open_corpus(section, "extra[:40%]", prepared)))
    assert part.split == "extra[0%:40%]"
    assert [u.id for u in part.utterances] == ids[:2]
    rest = open_corpus(section, "extra[40%:]", prepared)
    assert [u.id for u in rest.utterances] == ids[2:]
    np.testing.assert_array_equal(rest.read(1), whole.read(3))
    assert len(open_corpus(section, "extra[:1%]", prepared)) == 1
    assert [u.id for u in open_corpus(section, "extra[20%:60%]", prepared).utterances] == ids[1:3]
    # Cut in two, nothing is on both sides, and something on each.
    for cut in (1, 99):
        sides = [open_corpus(section, f"extra[{at}]", prepared) for at in (f":{cut}%", f"{cut}%:")]
        assert [u.id for side in sides for u in side.utterances] == ids
        assert all(map(len, sides))
    with pytest.raises(UserError, match=r"extra\[1%:2%\]' has none of the 5 utterances"):
        len(open_corpus(section, "extra[1%:2%]", prepared))
    for wrong in ("extra[2:4]", "extra[50%:10%]", "extra[:101%]"):
        with pytest.raises(UserError, match=r"expected NAME or NAME\[FROM%:TO%\]"):
            open_corpus(section, wrong, prepared)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "needs at least one part"),
        ({"speech": {"passes": 0}}, "expected a number above 0"),
        ({"speech": {"passes": 0.3}}, "in eighths"),
        ({"speech": {"pases": 1.0}}, "has no 'pases'"),
    ],
)
def test_a_mixture_that_makes_no_sense_is_refused(parts, said, prepared):
    with pytest.raises(UserError, match=said):
        open_corpus({**CONFIG, "parts": parts}, "train", prepared)
