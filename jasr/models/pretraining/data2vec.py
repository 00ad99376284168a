"""What the layers of an averaged teacher make of the whole recording."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jasr.audio.standardize import standardize
from jasr.models.pretraining.head import MaskedFrames, project
from jasr.types import Batch, Outputs, Padded


class Data2Vec(nn.Module):
    """Predicts the mean of the teacher's last layers, each normalised over the utterance.

    top_layers: how many of the teacher's layers.

    Baevski et al. 2022, "data2vec", section 3.3, of whole layers' outputs: the paper has those of
    the feed-forward blocks, before the last residual.
    """

    top_layers: int = 4

    @nn.compact
    def __call__(self, seen: MaskedFrames, batch: Batch, *, train: bool) -> Outputs:
        """ "prediction" and "target", float32 [B, T, embed_dim]."""
        del batch, train
        encoded = seen.encoded
        projected = project(encoded, (encoded.values.shape[-1],), ("features",))
        states_LBTE = seen.teacher_states()[-self.top_layers :].astype(jnp.float32)
        standardized_LBTE = jax.vmap(standardize, in_axes=(0, None))(states_LBTE, encoded.mask)
        target_BTE = jnp.mean(standardized_LBTE, axis=0)
        return {
            "prediction": Padded(projected, encoded.mask),
            "target": Padded(jax.lax.stop_gradient(target_BTE), encoded.mask),
        }
