import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jasr.audio.spec_augment import SpecAugment
from jasr.errors import UserError
from jasr.types import Padded

NUM_BANDS = 30


def features(lengths, num_frames):
    """Rows far from each other and from 0, with no value near the row's mean."""
    shape = (len(lengths), num_frames, NUM_BANDS)
    values = np.arange(1, len(lengths) + 1)[:, None, None] * 10 + np.random.default_rng(0).choice(
        [-1.0, 1.0], shape
    )
    mask = np.arange(num_frames) < np.asarray(lengths)[:, None]
    return Padded(jnp.asarray(values * mask[..., None], jnp.float32), jnp.asarray(mask))


def row_keys(num_rows, seed=0):
    return jax.random.split(jax.random.key(seed), num_rows)


def changed(augment, before, keys):
    after = jax.jit(augment)(before, keys)
    np.testing.assert_array_equal(after.mask, before.mask)
    return np.asarray(after.values != before.values)


def runs(flags):
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags, [0]])))
    return edges[1::2] - edges[::2]


def test_time_masks_are_whole_frames_of_bounded_width():
    augment = SpecAugment(
        time_masks=1,
        max_time_fraction=0.5,
        max_time_frames=12,
        frequency_masks=0,
        max_frequency_bins=0,
    )
    lengths = [100, 10] * 1000
    masked = changed(augment, features(lengths, 100), row_keys(len(lengths)))
    assert (masked.all(axis=2) == masked.any(axis=2)).all()
    widths = [runs(frames) for frames in masked.any(axis=2)]
    assert max(map(len, widths)) == 1
    assert max(max(w, default=0) for w in widths[::2]) == 12
    assert max(max(w, default=0) for w in widths[1::2]) == 5
    assert min(map(len, widths)) == 0
    assert masked[::2].any(axis=(0, 2)).all(), "every frame can be masked"


def test_frequency_masks_are_whole_bands_of_bounded_width():
    augment = SpecAugment(
        time_masks=0,
        max_time_fraction=0.0,
        max_time_frames=0,
        frequency_masks=2,
        max_frequency_bins=7,
    )
    masked = changed(augment, features([9] * 300, 9), row_keys(300))
    assert (masked.all(axis=1) == masked.any(axis=1)).all()
    counts = masked.any(axis=1).sum(axis=1)
    assert counts.min() == 0
    assert 7 < counts.max() <= 14
    assert masked.any(axis=(0, 1)).all(), "every band can be masked"


def test_masked_values_are_the_utterances_mean():
    before = features([40, 25], 40)
    after = jax.jit(SpecAugment())(before, row_keys(2, seed=3))
    for row, length in enumerate([40, 25]):
        real = before.values[row, :length]
        masked = after.values[row] != before.values[row]
        assert masked.any()
        np.testing.assert_allclose(after.values[row][masked], real.mean(), rtol=1e-5)


def test_padding_and_filler_rows_stay_as_they_are():
    before = features([40, 13, 0], 60)
    after = jax.jit(SpecAugment(max_time_fraction=1.0))(before, row_keys(3))
    assert jnp.isfinite(after.values).all()
    np.testing.assert_array_equal(after.values[~before.mask], 0)


def test_draws_depend_on_the_key_and_the_length_alone():
    augment = SpecAugment(max_time_fraction=0.5)
    short, long = features([40, 30], 40), features([40, 30, 90], 90)
    long = Padded(long.values.at[:2, :40].set(short.values), long.mask)
    keys = row_keys(3)
    alone = jax.jit(augment)(short, keys[:2])
    together = jax.jit(augment)(long, keys)
    np.testing.assert_allclose(together.values[:2, :40], alone.values, rtol=1e-5)
    swapped = jax.jit(augment)(Padded(short.values[::-1], short.mask[::-1]), keys[:2][::-1])
    np.testing.assert_allclose(swapped.values[::-1], alone.values, rtol=1e-5)


def test_other_keys_draw_other_masks():
    before = features([50, 50], 50)
    before = Padded(before.values.at[1].set(before.values[0]), before.mask)
    masked = changed(SpecAugment(), before, row_keys(2))
    assert (masked[0] != masked[1]).any()


@pytest.mark.parametrize("wrong", [{"time_masks": -1}, {"max_time_fraction": 1.5}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        SpecAugment(**wrong)
