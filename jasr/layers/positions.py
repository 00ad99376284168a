"""Where in the sequence something stands: absolute and relative positions of five kinds.

sinusoidal, learned ──▶ added to what enters the first layer
rotary              ──▶ queries and keys turned by their positions
relative            ──▶ a bias on attention's logits, by distance
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

from jasr.errors import UserError
from jasr.layers.choices import choose
from jasr.layers.parameter import parameter

KINDS = {kind: kind for kind in ("sinusoidal", "learned", "rotary", "relative", "none")}
NUM_BUCKETS, MAX_DISTANCE = 32, 128


@struct.dataclass
class Relations:
    """What attention is told of positions.

    rotation: cosines and sines of the queries' positions, [T, head_dim / 2] each; rotary only.
    bias:     float32 [heads, queries, keys]; relative only.
    """

    rotation: Any = None
    bias: Any = None


NO_RELATIONS = Relations()


class Positions(nn.Module):
    """Positions of one sequence for one stack of layers, which share them.

    kind:          "sinusoidal", "learned", "rotary", "relative" or "none".
    max_length:    the longest sequence; binds learned positions only.
    bidirectional: whether relative positions tell the future from the past.
    """

    kind: str
    num_heads: int
    embed_dim: int
    max_length: int
    bidirectional: bool

    def setup(self) -> None:
        kind = choose(KINDS, self.kind, key="position")
        if kind == "rotary" and (self.embed_dim // self.num_heads) % 2:
            raise UserError(
                f"position: rotary needs an even embed_dim / num_heads, not "
                f"{self.embed_dim} / {self.num_heads}"
            )
        if kind == "learned":
            self.embedding = parameter(
                self,
                "embedding",
                nn.initializers.normal(0.01),
                (self.max_length, self.embed_dim),
                ("positions", "embed"),
            )
        if kind == "relative":
            self.bias = parameter(
                self,
                "bias",
                nn.initializers.normal(0.02),
                (NUM_BUCKETS, self.num_heads),
                ("positions", "heads"),
            )

    def add(self, x: Float[Array, "batch length embed"]) -> Float[Array, "batch length embed"]:
        """x with its absolute positions, counted from 0, added.

        Raises UserError for a sequence longer than the learned positions.
        """
        length = x.shape[1]
        self.check_length(length)
        if self.kind == "learned":
            return x + self.embedding[:length].astype(x.dtype)
        if self.kind == "sinusoidal":
            return x + sinusoids(jnp.arange(length), self.embed_dim).astype(x.dtype)
        return x

    def add_at(
        self, x: Float[Array, "batch beams embed"], index: Int[Array, ""]
    ) -> Float[Array, "batch beams embed"]:
        """x with the position `index` added to every row: all of them stand there."""
        if self.kind == "learned":
            return x + self.embedding[index].astype(x.dtype)
        if self.kind == "sinusoidal":
            return x + sinusoids(index[None], self.embed_dim).astype(x.dtype)
        return x

    def relations(self, length: int) -> Relations:
        """Of every position to every other in a sequence of the given length."""
        if self.kind == "rotary":
            return Relations(rotation=self._rotation(jnp.arange(length)))
        if self.kind == "relative":
            return Relations(bias=self._bias_between_all(length))
        return NO_RELATIONS

    def relations_at(self, index: Int[Array, ""], length: int) -> Relations:
        """Of one query, at `index`, to keys 0 to length - 1."""
        if self.kind == "rotary":
            return Relations(rotation=self._rotation(index[None]))
        if self.kind == "relative":
            return Relations(bias=self._bias(jnp.arange(length) - index)[:, None])
        return NO_RELATIONS

    def check_length(self, length: int) -> None:
        """Raises UserError for a sequence longer than the learned positions."""
        if self.kind == "learned" and length > self.max_length:
            raise UserError(
                f"a sequence of {length} positions is longer than the {self.max_length} that the "
                f"model has learned; shorten it, or train with more (max_frames, max_tokens)"
            )

    def _rotation(self, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        num_pairs = self.embed_dim // self.num_heads // 2
        angles = positions[:, None] * (10_000.0 ** (-np.arange(num_pairs) / num_pairs))
        return jnp.cos(angles), jnp.sin(angles)

    def _bias(self, distances: jax.Array) -> jax.Array:
        buckets = distance_buckets(distances, bidirectional=self.bidirectional)
        return self.bias[buckets].T

    def _bias_between_all(self, length: int) -> jax.Array:
        """bias[h, i, j] of distance j - i, without looking each of them up.

        With one row of all distances, modulo `period`, repeated `length` times end to end and
        cut again one short of the period, each row starts one distance lower than the last.
        """
        period = 2 * length
        index = jnp.arange(period)
        by_distance_HP = self._bias(jnp.where(index < length, index, index - period))
        heads = self.num_heads
        rows = jnp.broadcast_to(by_distance_HP[:, None], (heads, length, period))
        flat = rows.reshape(heads, length * period)[:, : length * (period - 1)]
        return flat.reshape(heads, length, period - 1)[:, :, :length]


def sinusoids(positions: Int[Array, " length"], dim: int) -> Float[Array, "length dim"]:
    """Sines, then cosines, of the positions at wavelengths from 2 pi to 20,000 pi.

    Vaswani et al. 2017, "Attention is all you need", section 3.5, in the arrangement of Whisper.
    """
    log_step = math.log(10_000.0) / max(dim // 2 - 1, 1)
    rates = np.exp(-log_step * np.arange(dim // 2)).astype(np.float32)
    angles = positions[:, None].astype(jnp.float32) * rates
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)


def rotate(
    x: Float[Array, "batch length heads head_dim"],
    rotation: tuple[Float[Array, "length pairs"], Float[Array, "length pairs"]],
) -> Float[Array, "batch length heads head_dim"]:
    """Pairs of features turned by their positions' angles.

    Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", equation 34;
    feature i is paired with feature i + head_dim / 2.
    """
    cos, sin = (part[:, None] for part in rotation)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


def distance_buckets(distances: Int[Array, "..."], *, bidirectional: bool) -> Int[Array, "..."]:
    """Bucket of each distance (key minus query): one each when near, then log-spaced.

    Raffel et al. 2020, "Exploring the limits of transfer learning", section 2.1. With one
    direction only, all of the future falls in the bucket of distance 0.
    """
    num_buckets = NUM_BUCKETS // 2 if bidirectional else NUM_BUCKETS
    offset = jnp.where(bidirectional & (distances > 0), num_buckets, 0)
    distances = jnp.abs(distances) if bidirectional else jnp.maximum(-distances, 0)
    num_exact = num_buckets // 2
    octaves = jnp.log(jnp.maximum(distances, 1) / num_exact) / math.log(MAX_DISTANCE / num_exact)
    far = num_exact + (octaves * (num_buckets - num_exact)).astype(jnp.int32)
    near_or_far = jnp.where(distances < num_exact, distances, jnp.minimum(far, num_buckets - 1))
    return offset + near_or_far
