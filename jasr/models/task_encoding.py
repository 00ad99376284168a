"""How a model is told what it is to say of a recording: a learned vector for each task.

add      the vector is added to every frame, and to every token
prefix   the vector is a frame before the frames, and the token before the tokens
film     every layer scales and shifts what it gives, by the vector
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jasr.errors import UserError, nearest
from jasr.layers.parameter import parameter
from jasr.types import Padded

KINDS = ("add", "prefix", "film")
# A table of vectors that are looked up, as those of positions are.
AXES = ("positions", "embed")


class TaskEncoding(nn.Module):
    """The tasks' vectors on one side of a model, its encoder's or its decoder's.

    kind: a key of the picture above; with "film" the layers are to be given `condition`.
    """

    num_tasks: int
    dim: int
    kind: str = "add"

    def setup(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"task_encoding {self.kind!r} is unknown: {nearest(self.kind, KINDS)}")
        self.vectors = parameter(
            self, "vectors", nn.initializers.normal(0.3), (self.num_tasks, self.dim), AXES
        )

    def of(self, task_ids: Int[Array, " batch"]) -> Float[Array, "batch embed"]:
        """The vector of each row's task."""
        return self.vectors[task_ids]

    def condition(self, task_ids: Int[Array, " batch"]) -> Float[Array, "batch embed"] | None:
        """What every layer is to be modulated by; None where layers are left alone."""
        return self.of(task_ids) if self.kind == "film" else None

    def enter(self, frames: Padded, task_ids: Int[Array, " batch"]) -> Padded:
        """What the encoder's layers see of frames [B, T, E]; [B, 1 + T, E] with a prefix."""
        vector_B1E = self.of(task_ids)[:, None].astype(frames.values.dtype)
        if self.kind == "add":
            return Padded(frames.values + vector_B1E, frames.mask)
        if self.kind == "prefix":
            is_row_B1 = jnp.any(frames.mask, axis=1, keepdims=True)
            return Padded(
                jnp.concatenate([vector_B1E, frames.values], axis=1),
                jnp.concatenate([is_row_B1, frames.mask], axis=1),
            )
        return frames

    def leave(self, frames: Padded) -> Padded:
        """The frames behind the layers, without a prefix."""
        if self.kind == "prefix":
            return Padded(frames.values[:, 1:], frames.mask[:, 1:])
        return frames

    def enter_tokens(
        self,
        x_BLE: Float[Array, "batch tokens embed"],
        task_ids: Int[Array, " batch"],
        *,
        is_first: Array,
    ) -> Float[Array, "batch tokens embed"]:
        """What the decoder's layers see of embedded tokens.

        is_first: which of them is the start token, broadcastable to [tokens].
        """
        vector_B1E = self.of(task_ids)[:, None].astype(x_BLE.dtype)
        if self.kind == "add":
            return x_BLE + vector_B1E
        if self.kind == "prefix":
            return jnp.where(jnp.atleast_1d(is_first)[:, None], vector_B1E, x_BLE)
        return x_BLE
