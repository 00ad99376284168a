"""A student made of its teacher: which layers, which units, and that they fit each other."""

import numpy as np
import pytest

from jasr.errors import UserError
from jasr.models.distillation.narrowing import choose_layers, narrowed

RNG = np.random.default_rng(0)


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
    narrow_in = narrowed(into, ("mlp", "embed"), (6, 4), units="select", layers="uniform")
    narrow_out = narrowed(out, ("embed", "mlp"), (4, 6), units="select", layers="uniform")
    kept = [0, 2, 5, 7]
    np.testing.assert_array_equal(narrow_in, into[:, kept])
    np.testing.assert_array_equal(narrow_out, out[kept])


def test_what_is_averaged_reads_what_it_read():
    """Where a teacher's neighbours are equal, the student's maps give just what its do."""
    x = np.repeat(RNG.normal(size=4), 2)
    read = RNG.normal(size=(8, 5))
    narrow = narrowed(read, ("embed", "mlp"), (4, 5), units="average", layers="uniform")
    np.testing.assert_allclose(x[::2] @ narrow, x @ read)
    written = np.repeat(RNG.normal(size=(5, 4)), 2, axis=1)
    narrow = narrowed(written, ("mlp", "embed"), (5, 4), units="average", layers="uniform")
    np.testing.assert_allclose(narrow, written[:, ::2])
    scale = np.repeat(RNG.normal(size=4), 2)
    narrow = narrowed(scale, ("embed",), (4,), units="average", layers="uniform")
    np.testing.assert_allclose(narrow, scale[::2])


def test_layers_and_heads_of_a_stack():
    kernel = RNG.normal(size=(4, 6, 4, 2))
    axes = ("layers", "embed", "heads", "head_dim")
    found = narrowed(kernel, axes, (2, 6, 2, 2), units="select", layers="last")
    np.testing.assert_array_equal(found, kernel[2:, :, [0, 3]])


def test_what_cannot_be_made_is_named():
    kernel = RNG.normal(size=(6, 8))
    with pytest.raises(UserError, match="wider than its teacher's 6"):
        narrowed(kernel, ("embed", "mlp"), (7, 8), units="select", layers="first")
    with pytest.raises(UserError, match="does not divide its teacher's 6"):
        narrowed(kernel, ("embed", "mlp"), (4, 8), units="average", layers="first")
    with pytest.raises(UserError, match="choose select or average"):
        narrowed(kernel, ("embed", "mlp"), (3, 8), units="mean", layers="first")
    with pytest.raises(UserError, match="deeper than its teacher"):
        narrowed(
            RNG.normal(size=(2, 3)), ("layers", "embed"), (3, 3), units="select", layers="first"
        )
