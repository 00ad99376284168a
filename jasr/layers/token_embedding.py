"""Token ids in, vectors out; vectors in, logits out."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jasr.layers.linear import Linear
from jasr.layers.parameter import parameter


class TokenEmbedding(nn.Module):
    """A vector per token, and a decoder's output layer.

    tied: whether the output layer is the same matrix, as in Press & Wolf 2017, "Using the output
          embedding to improve language models", section 3; if not, it has its own, with a bias.
    """

    vocab_size: int
    embed_dim: int
    tied: bool = True
    dtype: str = "float32"

    def setup(self) -> None:
        self.embedding = parameter(
            self,
            "embedding",
            nn.initializers.normal(self.embed_dim**-0.5),
            (self.vocab_size, self.embed_dim),
            ("vocab", "embed"),
        )
        if not self.tied:
            self.output = Linear(
                (self.vocab_size,), ("embed",), ("vocab",), dtype=self.dtype, out_dtype="float32"
            )

    def __call__(self, tokens: Int[Array, "batch length"]) -> Float[Array, "batch length embed"]:
        """Vectors of the tokens, in `dtype`."""
        return jnp.take(self.embedding, tokens, axis=0, mode="clip").astype(self.dtype)

    def factors(self, x: Float[Array, "batch length embed"]) -> tuple[Array, Array]:
        """[B, L, F] and [V, F] in `dtype`, whose product the logits are; after `logits`."""
        x = x.astype(self.dtype)
        if self.tied:
            return x, self.embedding.astype(self.dtype)
        layer = nn.unbox(self.output.variables["params"])
        factors_VF = jnp.concatenate([layer["kernel"], layer["bias"][None]]).T.astype(self.dtype)
        ones = jnp.ones((*x.shape[:-1], 1), x.dtype)
        return jnp.concatenate([x, ones], axis=-1), factors_VF

    def logits(self, x: Float[Array, "batch length embed"]) -> Float[Array, "batch length vocab"]:
        """Float32 logits of every token."""
        if not self.tied:
            return self.output(x)
        return jax.lax.dot_general(
            x.astype(self.dtype),
            self.embedding.astype(self.dtype),
            (((2,), (1,)), ((), ())),
            preferred_element_type=jnp.float32,
        )
