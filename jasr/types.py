"""The words every room speaks.

    Batch ──▶ model ──▶ Outputs ──▶ objective ──▶ Sum ──▶ loss
     audio, targets      name -> Padded            value, count

One convention for length everywhere: a boolean mask, True = real.

Fields are typed Any because the same trees hold device arrays, NumPy arrays, shapes and
shardings; what they hold as arrays is in the docstrings, in jaxtyping's notation.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int


@struct.dataclass
class Padded:
    """Values of unequal length, padded to a rectangle, with the mask of what is real.

    values: Shaped[Array, "batch length ..."]
    mask:   Bool[Array, "batch length"]
    """

    values: Any
    mask: Any

    def lengths(self) -> Int[Array, " batch"]:
        """Number of real positions of each row."""
        return jnp.sum(self.mask, axis=-1, dtype=jnp.int32)


@struct.dataclass
class Factored(Padded):
    """Logits as the product of two factors, not multiplied yet.

    values:     Float[Array, "batch length features"]
    vocabulary: Float[Array, "vocab features"]
    """

    vocabulary: Any


@struct.dataclass
class Encoded(Padded):
    """What an encoder makes of recordings, and what is to be said of each.

    values:   Float[Array, "batch frames embed"]
    task_ids: Int[Array, "batch"]; None where a model does one thing alone.
    """

    task_ids: Any = None


@struct.dataclass
class Batch:
    """What a step sees of the data.

    audio:        Float[Array, "batch samples"], a waveform in [-1, 1] at the model's rate.
    targets:      name -> token ids, Int[Array, "batch tokens"], with no start or end token;
                  "text" is what is to be written, the transcript if nothing else. Where there are
                  tasks, "task" is the number of each row's, Int[Array, "batch 1"].
    example_mask: Bool[Array, "batch"], False for a row that only fills the batch; all its masks
                  are False.
    example_ids:  UInt[Array, "batch"], number of the utterance in its corpus split, or one of its
                  own for a piece of it further on. Random draws for an example are keyed by it, so
                  they do not depend on its batch-mates.
    lessons:      name -> what teachers made of each row, computed before, Shaped[Array, "batch
                  ..."] padded with zeros; empty where there are none.
    """

    audio: Padded
    targets: Mapping[str, Padded]
    example_mask: Any
    example_ids: Any
    lessons: Mapping[str, Any] = struct.field(default_factory=dict)


# What a model returns: "encoder", "ctc", "decoder", ... each with its mask.
Outputs: TypeAlias = Mapping[str, Padded]


@struct.dataclass
class Sum:
    """A sum and the number of things summed, Float[Array, ""] each: parts merge exactly."""

    value: Any
    count: Any

    @classmethod
    def of(cls, values: Any, counted: Any) -> "Sum":
        """Of an array, where a mask of its shape says so; float32."""
        return cls(
            value=jnp.sum(jnp.where(counted, values, 0), dtype=jnp.float32),
            count=jnp.sum(counted, dtype=jnp.float32),
        )

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(value=self.value + other.value, count=self.count + other.count)

    def mean(self) -> Float[Array, ""]:
        """value / count, and 0 where nothing was counted."""
        return self.value / jnp.maximum(self.count, 1)


def example_keys(key: jax.Array, batch: Batch) -> jax.Array:
    """One PRNG key per example, [batch], the same in any batch that holds the example."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, batch.example_ids)


def split_rows(tree: Any, parts: int) -> Any:
    """A batch, or whatever has a row an example, as [parts, rows / parts, ...].

    Part i takes every parts-th row from i, which leaves each device its own rows where they are
    split over devices.
    """

    def split(rows: jax.Array) -> jax.Array:
        return jnp.swapaxes(rows.reshape(-1, parts, *rows.shape[1:]), 0, 1)

    return jax.tree.map(split, tree)


def join_rows(tree: Any) -> Any:
    """What `split_rows` split, [parts, rows / parts, ...], as [rows, ...]."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:]), tree)


def path_of(path: tuple[Any, ...]) -> str:
    """A leaf's path in a tree as one string, "encoder/layers/attention/query/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
