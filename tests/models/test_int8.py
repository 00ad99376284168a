"""Eight-bit weights: how far they are from what they were, and what they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_models import draw, make_batch, make_recognizer, shapes

from jasr.models.int8 import Int8, dequantized, kept_in, quantized, read_axes
from jasr.training.state import logical_axes

BATCH = make_batch([64, 40], [3, 2])


@pytest.mark.parametrize(
    ("name", "axes", "read"),
    [
        ("kernel", ("layers", "embed", "heads", "head_dim"), (1,)),
        ("kernel", ("layers", "heads", "head_dim", "embed"), (1, 2)),
        ("kernel", ("layers", "mlp", "embed"), (1,)),
        ("kernel", ("embed", "vocab"), (0,)),
        ("kernel", ("kernel", "features", "embed"), (0, 1)),
        ("conv_0_kernel", ("kernel", "features", "embed"), (0, 1)),
        ("conv_0_bias", ("embed",), ()),
        ("embedding", ("vocab", "embed"), (1,)),
        ("bias", ("layers", "heads", "head_dim"), ()),
        ("scale", ("layers", "embed"), ()),
    ],
)
def test_what_a_kernel_reads(name, axes, read):
    assert read_axes(f"encoder/{name}", axes) == read


def test_every_weight_is_as_near_as_its_output_s_scale_allows():
    model = make_recognizer()
    params = draw(model, BATCH)["params"]
    small = quantized(params, logical_axes(shapes(model, BATCH)["params"]))
    flat = flatten_dict(params, sep="/")
    back = flatten_dict(dequantized(small), sep="/")
    kept = flatten_dict(
        jax.tree.map(lambda leaf: leaf, small, is_leaf=lambda leaf: isinstance(leaf, Int8)), sep="/"
    )
    assert sum(isinstance(leaf, Int8) for leaf in kept.values()) > 10
    for path, leaf in flat.items():
        if isinstance(kept[path], Int8):
            assert kept[path].values.dtype == jnp.int8
            error = np.abs(back[path] - leaf)
            assert np.all(error <= kept[path].scale / 2 + 1e-7), path
        else:
            np.testing.assert_array_equal(back[path], leaf)
    assert kept_in(small)["parameter_bytes"] < 0.45 * kept_in(params)["parameter_bytes"]


def test_a_kernel_of_zeros_stays_zero():
    zeros = {"kernel": jnp.zeros((3, 4))}
    small = quantized(zeros, {"kernel": ("embed", "mlp")})
    np.testing.assert_array_equal(dequantized(small)["kernel"], 0)
