"""The position-wise feed-forward network."""

from collections.abc import Callable
from functools import partial

import jax
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jasr.layers.choices import choose
from jasr.layers.dropout import Dropout
from jasr.layers.linear import Linear

Activation = Callable[[Array], Array]

# Computed again in the backward pass: left to itself, JAX keeps up to three arrays of the
# input's size. GELU by the error function, as in Whisper, not by its tanh approximation.
POINTWISE: dict[str, Activation] = {
    "gelu": jax.checkpoint(partial(jax.nn.gelu, approximate=False), prevent_cse=False),
    "relu": jax.nn.relu,
    "silu": jax.checkpoint(jax.nn.silu, prevent_cse=False),
}
# Multiplied by a second projection of the same input: Shazeer 2020, "GLU variants improve
# transformer", equation 6.
GATES: dict[str, Activation] = {"swiglu": POINTWISE["silu"]}


class FeedForward(nn.Module):
    """embed -> mlp -> embed with an activation between.

    activation: "gelu", "relu", "silu", or "swiglu", which has a third matrix.
    """

    mlp_dim: int
    activation: str = "gelu"
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length embed"], *, train: bool
    ) -> Float[Array, "batch length embed"]:
        activate = choose(POINTWISE | GATES, self.activation, key="activation")
        hidden = activate(checkpoint_name(self._up("up")(x), "mlp_up"))
        if self.activation in GATES:
            hidden *= checkpoint_name(self._up("gated")(x), "mlp_up")
        hidden = Dropout(self.dropout)(hidden, train=train)
        return Linear((x.shape[-1],), ("mlp",), ("embed",), dtype=self.dtype, name="down")(hidden)

    def _up(self, name: str) -> Linear:
        return Linear((self.mlp_dim,), ("embed",), ("mlp",), dtype=self.dtype, name=name)
