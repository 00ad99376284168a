"""Stems: how many frames come out, which of them are real, and what they see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jasr.layers.subsampling import STEMS, ConvStack1d
from jasr.types import Padded

STRIDES = {"whisper": 2, "conv1d_4x": 4, "conv2d_4x": 4, "conv1d_8x": 8}


@pytest.mark.parametrize("name", sorted(STRIDES))
def test_a_short_recording_comes_out_as_if_alone(name):
    stem = STEMS[name](embed_dim=6, dtype="float32")
    apply = jax.jit(stem.apply)
    values = jax.random.normal(jax.random.key(0), (3, 21, 5))
    padded = Padded(values, jnp.arange(21) < jnp.array([[21], [13], [1]]))
    variables = nn.unbox(jax.jit(stem.init)(jax.random.key(1), padded))
    out = apply(variables, padded)
    assert out.lengths().tolist() == [-(-n // STRIDES[name]) for n in (21, 13, 1)]
    assert out.values.shape[:2] == out.mask.shape

    for row, length in ((1, 13), (2, 1)):
        alone = Padded(values[row : row + 1, :length], jnp.ones((1, length), bool))
        expected = apply(variables, alone).values[0]
        np.testing.assert_allclose(out.values[row, : len(expected)], expected, atol=1e-5)


def test_a_short_waveform_comes_out_as_if_alone():
    stem = STEMS["wav2vec2"](embed_dim=6, channels=8)
    lengths = (1999, 1200, 399)
    values = jax.random.normal(jax.random.key(0), (3, 1999, 1))
    padded = Padded(values, jnp.arange(1999) < jnp.array(lengths)[:, None])
    variables = nn.unbox(stem.init(jax.random.key(1), padded))
    out = stem.apply(variables, padded)
    # A frame sees 400 samples, and the next begins 320 later.
    assert out.lengths().tolist() == [5, 3, 0]
    alone = Padded(values[1:2, :1200], jnp.ones((1, 1200), bool))
    expected = stem.apply(variables, alone).values[0]
    np.testing.assert_allclose(out.values[1, :3], expected, atol=1e-5)


def test_every_stem_is_tried():
    assert set(STEMS) == {*STRIDES, "wav2vec2"}


def test_convolution_is_that_of_torch():
    torch = pytest.importorskip("torch")
    stem = ConvStack1d((2,), 6)
    values = jax.random.normal(jax.random.key(0), (2, 9, 5))
    padded = Padded(values, jnp.ones((2, 9), bool))
    params = nn.unbox(stem.init(jax.random.key(1), padded))["params"]
    kernel, bias = (np.asarray(params["conv_0"][name]) for name in ("kernel", "bias"))
    expected = torch.nn.functional.conv1d(
        torch.from_numpy(np.array(values)).transpose(1, 2),
        torch.from_numpy(kernel.transpose(2, 1, 0).copy()),
        torch.from_numpy(bias.copy()),
        stride=2,
        padding=1,
    )
    expected = torch.nn.functional.gelu(expected).transpose(1, 2)
    result = stem.apply({"params": params}, padded).values
    np.testing.assert_allclose(result, expected, atol=1e-5)
