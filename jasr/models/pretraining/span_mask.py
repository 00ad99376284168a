"""Spans of frames to mask, and other masked frames to tell a masked one from."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from jasr.errors import UserError


@dataclass(frozen=True)
class SpanMask:
    """Spans of equal length that begin at frames drawn without replacement; they may overlap.

    Of n real frames, floor(start_probability n + u) begin a span, u uniform in [0, 1), and at
    least one; every span lies within the real frames. An utterance shorter than a span has none.
    Baevski et al. 2020, "wav2vec 2.0", section 3.1.
    """

    start_probability: float = 0.065
    span_length: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.start_probability <= 1 or self.span_length < 1:
            raise UserError(
                f"{self}: expected 0 < start_probability <= 1 and span_length of 1 frame or more"
            )

    def __call__(
        self, mask: Bool[Array, "batch frames"], keys: Key[Array, " batch"]
    ) -> Bool[Array, "batch frames"]:
        """True where a frame is masked; it depends on an utterance's key and length alone.

        mask: real frames, before any padding.
        """
        lengths_B = jnp.sum(mask, axis=1, dtype=jnp.int32)
        draw = jax.vmap(self._draw, in_axes=(0, 0, None))
        return draw(keys, lengths_B, mask.shape[1])

    def _draw(
        self, key: Key[Array, ""], length: Int[Array, ""], size: int
    ) -> Bool[Array, " frames"]:
        uniform = jax.random.uniform(key, (size + 1,))
        count = jnp.floor(self.start_probability * length + uniform[0]).astype(jnp.int32)
        num_places = length - self.span_length + 1
        count = jnp.clip(count, 1, jnp.maximum(num_places, 0))
        # The starts are the places with the lowest draws; each has a rank of its own.
        draws_T = jnp.where(jnp.arange(size) < num_places, uniform[1:], 2.0)
        rank_T = jnp.zeros(size, jnp.int32).at[jnp.argsort(draws_T)].set(jnp.arange(size))
        is_start_T = (rank_T < count) & (draws_T < 2.0)
        started_T = jnp.cumsum(is_start_T)
        ended_T = jnp.pad(started_T, (self.span_length, 0))[:size]
        return started_T > ended_T


def draw_distractors(
    masked: Bool[Array, "batch frames"], keys: Key[Array, " batch"], count: int
) -> Int[Array, "batch frames count"]:
    """For each masked frame, `count` other masked frames of its utterance, with replacement.

    Places in the utterance; meaningless for frames that are not masked, and where only one is.
    Baevski et al. 2020, "wav2vec 2.0", section 3.2.
    """
    return jax.vmap(lambda row, key: _distractors(row, key, count))(masked, keys)


def _distractors(masked_T: Array, key: Key[Array, ""], count: int) -> Int[Array, "frames count"]:
    size = len(masked_T)
    rank_T1 = (jnp.cumsum(masked_T) - 1)[:, None]
    others = jnp.maximum(jnp.sum(masked_T) - 1, 1)
    uniform_TK = jax.random.uniform(key, (size, count))
    drawn_TK = jnp.minimum(jnp.floor(uniform_TK * others).astype(jnp.int32), others - 1)
    # Ranks from its own on stand for the next.
    drawn_TK += drawn_TK >= rank_T1
    place_of_rank_T = jnp.argsort(~masked_T, stable=True)
    return place_of_rank_T[jnp.minimum(drawn_TK, size - 1)]
