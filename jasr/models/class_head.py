"""What class a whole recording is of."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.layers.linear import Linear, layer_norm
from jasr.types import Padded


class ClassHead(nn.Module):
    """Logits of classes from the mean of the encoder's frames."""

    num_classes: int

    @nn.compact
    def __call__(self, encoded: Padded) -> Float[Array, "batch classes"]:
        real_BT1 = encoded.mask[..., None]
        total_BE = jnp.sum(jnp.where(real_BT1, encoded.values, 0), axis=1, dtype=jnp.float32)
        mean_BE = total_BE / jnp.maximum(jnp.sum(real_BT1, axis=1), 1)
        x_BE = layer_norm(dtype="float32", name="norm")(mean_BE)
        return Linear((self.num_classes,), ("embed",), ("features",), name="classes")(x_BE)
