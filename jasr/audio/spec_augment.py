"""SpecAugment: bands of time and of frequency are masked out (Park et al. 2019)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jasr.errors import UserError
from jasr.types import Padded


@dataclass(frozen=True)
class SpecAugment:
    """Masks time and frequency bands of each utterance with its mean; no time warping.

    The width of each mask is drawn uniformly from 0 to its maximum, then its place from where
    it fits; masks may overlap.

    max_time_fraction:  widest time mask, as a fraction of the utterance's frames.
    max_time_frames:    widest time mask, in frames; the lower of the two bounds holds.
    max_frequency_bins: widest frequency mask, in mel bands.
    """

    time_masks: int = 2
    max_time_fraction: float = 0.1
    max_time_frames: int = 40
    frequency_masks: int = 2
    max_frequency_bins: int = 20

    def __post_init__(self):
        counts = (
            self.time_masks,
            self.max_time_frames,
            self.frequency_masks,
            self.max_frequency_bins,
        )
        if min(counts) < 0 or not 0 <= self.max_time_fraction <= 1:
            raise UserError(
                f"{self}: expected counts of 0 or more, and max_time_fraction from 0 to 1"
            )

    def __call__(self, features: Padded, keys: Key[Array, " batch"]) -> Padded:
        """features: [B, T, bands], real frames first; the same shape, and padding stays as it is.

        What is masked in an utterance depends on its key and its own length alone.
        """
        _, num_frames, num_bands = features.values.shape
        masked_BTM = jax.vmap(self._draw, in_axes=(0, 0, None, None))(
            keys, features.lengths(), num_frames, num_bands
        )
        real_BT1 = features.mask[..., None]
        mean_B11 = _mean(features.values, real_BT1)
        values = jnp.where(masked_BTM & real_BT1, mean_B11, features.values)
        return Padded(values, features.mask)

    def _draw(
        self, key: Key[Array, ""], length: Int[Array, ""], num_frames: int, num_bands: int
    ) -> Bool[Array, "frames bands"]:
        # One draw for all masks: the generator is most of what this costs to compile.
        uniform = jax.random.uniform(key, (self.time_masks + self.frequency_masks, 2))
        widest = jnp.minimum(self.max_time_frames, _floor(self.max_time_fraction * length))
        in_time_T = _intervals(uniform[: self.time_masks], widest, length, num_frames)
        widest = jnp.int32(min(self.max_frequency_bins, num_bands))
        in_frequency_M = _intervals(
            uniform[self.time_masks :], widest, jnp.int32(num_bands), num_bands
        )
        return in_time_T[:, None] | in_frequency_M


def _intervals(
    uniform_N2: Float[Array, "intervals 2"],
    widest: Int[Array, ""],
    length: Int[Array, ""],
    size: int,
) -> Bool[Array, " {size}"]:
    """Positions in any of the intervals, each 0 to `widest` wide and below `length`.

    uniform_N2: draws from [0, 1), for the width and for the start of each.
    """
    widths_N1 = _floor(uniform_N2[:, :1] * (widest + 1))
    # Rounding can take a draw just below 1 to the bound itself: an interval then ends at it.
    widths_N1 = jnp.minimum(widths_N1, widest)
    starts_N1 = jnp.minimum(
        _floor(uniform_N2[:, 1:] * (length - widths_N1 + 1)), length - widths_N1
    )
    positions = jnp.arange(size)
    inside_NT = (starts_N1 <= positions) & (positions < starts_N1 + widths_N1)
    return jnp.any(inside_NT, axis=0)


def _floor(x: Float[Array, "..."]) -> Int[Array, "..."]:
    return jnp.floor(x).astype(jnp.int32)


def _mean(
    x_BTM: Float[Array, "batch frames bands"], real_BT1: Bool[Array, "batch frames 1"]
) -> Float[Array, "batch 1 1"]:
    total_B11 = jnp.sum(x_BTM, axis=(1, 2), keepdims=True, where=real_BT1)
    count_B11 = jnp.sum(real_BT1, axis=(1, 2), keepdims=True) * x_BTM.shape[2]
    return total_B11 / jnp.maximum(count_B11, 1)
