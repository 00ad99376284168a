"""A student made of its teacher: which layers, which units, and that they fit each other."""

import numpy as np
import pytest

from jasr.errors import UserError
from jasr.models.distillation.narrowing import choose_layers, narrowed

RNG = np.random.default_rng(0)
SELECT, AVERAGE = ({"units": units, "layers": "uniform"} for units in ("select", "average"))


@pytest.mark.parametrize(
    ("how", "chosen"),
    [("uniform", [0, 4, 7]), ("first", [0, 1, 2]), ("last", [5, 6, 7]), ("1,3,8", [0, 2, 7])],
)
def test_layers(how, chosen):
    assert choose_layers(how, 8, 3) == chosen


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("1,2", "expected 3 of the layers 1 to 8"),
        ("1,2,9", "expected 3 of the layers 1 to 8"),
        ("1,x,3", "expected numbers"),
        ("middle", "there is no 'middle'"),
    ],
)
def test_layers_that_are_not_there(how, message):
    with pytest.raises(UserError, match=message):
        choose_layers(how, 8, 3)


def test_what_is_selected_is_the_same_features_everywhere():
    """A narrow map of narrow features is the wide map's, cut: x[s] W[s, t] = (x masked W)[t]."""
    into, out = RNG.normal(size=(6, 8)), RNG.normal(size=(8, 6))
    narrow_in = narrowed(into, "kernel", ("mlp", "embed"), (6, 4), **SELECT)
    narrow_out = narrowed(out, "kernel", ("embed", "mlp"), (4, 6), **SELECT)
    kept = [0, 2, 5, 7]
    np.testing.assert_array_equal(narrow_in, into[:, kept])
    np.testing.assert_array_equal(narrow_out, out[kept])


@pytest.mark.parametrize("groups", [(2, 2, 2, 2), (2, 1, 2, 1, 2)])
def test_what_is_averaged_reads_what_it_read(groups):
    """Where a teacher's neighbours are equal, the student's maps give just what its do."""
    few = RNG.normal(size=len(groups))
    x = np.repeat(few, groups)
    read = RNG.normal(size=(8, 5))
    narrow = narrowed(read, "kernel", ("embed", "mlp"), (len(groups), 5), **AVERAGE)
    np.testing.assert_allclose(few @ narrow, x @ read)
    bias = np.repeat(few, groups)
    np.testing.assert_allclose(narrowed(bias, "bias", ("embed",), (len(groups),), **AVERAGE), few)


def test_what_is_averaged_is_written_once():
    written = np.repeat(RNG.normal(size=(5, 4)), 2, axis=1)
    narrow = narrowed(
        written, "kernel", ("mlp", "embed"), (5, 4), units="average", layers="uniform"
    )
    np.testing.assert_allclose(narrow, written[:, ::2])
    scale = np.repeat(RNG.normal(size=4), 2)
    narrow = narrowed(scale, "scale", ("embed",), (4,), **AVERAGE)
    np.testing.assert_allclose(narrow, scale[::2])


def test_layers_and_heads_of_a_stack():
    kernel = RNG.normal(size=(4, 6, 4, 2))
    axes = ("layers", "embed", "heads", "head_dim")
    found = narrowed(kernel, "kernel", axes, (2, 6, 2, 2), units="select", layers="last")
    np.testing.assert_array_equal(found, kernel[2:, :, [0, 3]])


def test_what_cannot_be_made_is_named():
    kernel = RNG.normal(size=(6, 8))
    with pytest.raises(UserError, match="wider than its teacher's 6"):
        narrowed(kernel, "kernel", ("embed", "mlp"), (7, 8), units="select", layers="first")
    with pytest.raises(UserError, match="--units=mean is unknown"):
        narrowed(kernel, "kernel", ("embed", "mlp"), (3, 8), units="mean", layers="first")
    with pytest.raises(UserError, match="deeper than its teacher"):
        narrowed(RNG.normal(size=(2, 3)), "scale", ("layers", "embed"), (3, 3), **SELECT)


def test_a_head_that_writes_tokens_reads_and_their_table_does_not():
    x = np.repeat(RNG.normal(size=3), 2)
    head = RNG.normal(size=(6, 5))
    narrow = narrowed(head, "ctc_head/kernel", ("embed", "vocab"), (3, 5), **AVERAGE)
    np.testing.assert_allclose(x[::2] @ narrow, x @ head)
    table = RNG.normal(size=(5, 6))
    narrow = narrowed(table, "t/embedding", ("vocab", "embed"), (5, 3), **AVERAGE)
    np.testing.assert_allclose(narrow, (table[:, ::2] + table[:, 1::2]) / 2)
    bias = RNG.normal(size=(1, 4, 2))
    narrow = narrowed(bias, "query/bias", ("layers", "heads", "head_dim"), (1, 2, 2), **AVERAGE)
    np.testing.assert_allclose(narrow, (bias[:, ::2] + bias[:, 1::2]) / 2)


def test_positions_taps_and_pairs_keep_their_meaning():
    table = RNG.normal(size=(8, 3))
    narrow = narrowed(table, "embedding", ("positions", "embed"), (4, 3), **SELECT)
    np.testing.assert_array_equal(narrow, table[:4])
    taps = RNG.normal(size=(7, 3))
    narrow = narrowed(taps, "kernel", ("kernel", "mlp"), (3, 3), **AVERAGE)
    np.testing.assert_array_equal(narrow, taps[2:5])
    heads = RNG.normal(size=(5, 1, 8))
    narrow = narrowed(heads, "kernel", ("embed", "heads", "head_dim"), (5, 1, 4), **SELECT)
    np.testing.assert_array_equal(narrow, heads[:, :, [0, 3, 4, 7]])
