"""What the layers of an averaged teacher make of the whole recording."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from jasr.models.pretraining.head import MaskedFrames, project
from jasr.types import Batch, Outputs, Padded

EPSILON = 1e-5


class Data2Vec(nn.Module):
    """Predicts the mean of the teacher's last layers, each normalised over the utterance.

    top_layers: how many of the teacher's layers.

    Baevski et al. 2022, "data2vec", section 3.3.
    """

    top_layers: int = 4

    @nn.compact
    def __call__(self, seen: MaskedFrames, batch: Batch, *, train: bool) -> Outputs:
        """ "prediction" and "target", float32 [B, T, embed_dim]."""
        del batch, train
        encoded = seen.encoded
        projected = project(encoded, (encoded.values.shape[-1],), ("features",))
        states_LBTE = seen.teacher_states()[-self.top_layers :]
        normalize = jax.vmap(_normalize, in_axes=(0, None))
        target_BTE = jnp.mean(normalize(states_LBTE, encoded.mask), axis=0)
        return {
            "prediction": Padded(projected, encoded.mask),
            "target": Padded(jax.lax.stop_gradient(target_BTE), encoded.mask),
        }


def _normalize(
    x_BTE: Float[Array, "batch frames embed"], mask_BT: Bool[Array, "batch frames"]
) -> Float[Array, "batch frames embed"]:
    """Each feature with mean 0 and variance 1 over an utterance's real frames."""
    x_BTE, real_BT1 = x_BTE.astype(jnp.float32), mask_BT[..., None]
    count_B11 = jnp.maximum(jnp.sum(real_BT1, axis=1, keepdims=True), 1)
    mean_B1E = jnp.sum(x_BTE, axis=1, keepdims=True, where=real_BT1) / count_B11
    centred_BTE = jnp.where(real_BT1, x_BTE - mean_B1E, 0)
    variance_B1E = jnp.sum(centred_BTE**2, axis=1, keepdims=True) / count_B11
    return centred_BTE * jax.lax.rsqrt(variance_B1E + EPSILON)
