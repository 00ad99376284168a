"""Masked prediction on speech.

audio ──▶ log-mel ──▶ spans masked ──▶ stem ──▶ spans masked ──▶ layers ──▶ heads ──▶ "HEAD/..."
              └── what the heads make targets of
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from jasr.errors import UserError
from jasr.layers.collections import read_collection
from jasr.layers.subsampling import stem_stride
from jasr.models.encoder import Encoder
from jasr.models.mask_embedding import MaskEmbedding
from jasr.models.pretraining.head import MaskedFrames
from jasr.models.pretraining.span_mask import SpanMask
from jasr.types import Batch, Outputs, Padded, example_keys


class MaskedSpeech(nn.Module):
    """An encoder that sees recordings with spans masked out, and heads over its frames.

    log_mel:       (audio [B, samples]) -> features [B, frames, num_mels].
    mask_features: whether what lies behind a masked frame is zero in the features already, where
                   BEST-RQ has noise; if the frames of a stem overlap, those beside a span tell of
                   it otherwise. wav2vec 2.0, whose frames overlap by a fifth, masks frames alone.
    heads:         by name; a head's outputs are called NAME/OUTPUT.
    """

    log_mel: Callable[[Padded], Padded]
    encoder: Encoder
    span_mask: SpanMask
    heads: Mapping[str, nn.Module]
    mask_features: bool = True

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """What the heads make of a batch, and

        "encoder": [B, T, embed_dim], of the recordings with spans masked.
        "masked":  bool [B, T], the frames that were; masked in validation as in training.

        It draws from the streams "augment", where an example's draws depend on its id alone, and
        in training "dropout".
        """
        features = self.log_mel(batch.audio)
        frames = self.encoder.embed(features)
        # A shape without draws, to initialise and to count.
        key = self.make_rng("augment") if self.has_rng("augment") else jax.random.key(0)
        keys_B2 = jax.vmap(jax.random.split)(example_keys(key, batch))
        masked_BT = self.span_mask(frames.mask, keys_B2[:, 0])
        heard = frames
        if self.mask_features:
            stride = stem_stride(self.encoder.stem)
            heard = self.encoder.embed(without(features, masked_BT, stride))
        visible = MaskEmbedding(name="mask_embedding")(heard, masked_BT)
        encoded = self.encoder.contextualize(visible, train=train)
        seen = MaskedFrames(
            features=features,
            frames=frames,
            encoded=encoded,
            masked=masked_BT,
            keys=keys_B2[:, 1],
            teacher_states=lambda: self._teacher_states(features),
        )
        outputs = {"encoder": encoded, "masked": Padded(masked_BT, frames.mask)}
        for name, head in self.heads.items():
            found = head(seen, batch, train=train)
            outputs |= {f"{name}/{output}": value for output, value in found.items()}
        return outputs

    def _teacher_states(self, features: Padded) -> Float[Array, "layers batch frames embed"]:
        """Of each layer of the encoder of averaged parameters, which sees everything."""
        teacher = self.encoder.clone(parent=None, name=None)
        averaged = read_collection(self, "average")
        if not averaged and not self.is_initializing():
            raise UserError(
                "model: a head learns from the average of the parameters, and there is none: set "
                "config.optimizer.average"
            )
        params = averaged["encoder"] if averaged else self.encoder.variables["params"]
        return jax.lax.stop_gradient(layer_outputs(teacher, params, features).values)


def without(features: Padded, masked: Bool[Array, "batch frames"], stride: int) -> Padded:
    """Features [B, stride x T, num_mels] with zeros behind the masked frames of a stem."""
    size = features.values.shape[1]
    behind_BF = jnp.repeat(masked, stride, axis=1)
    behind_BF = jnp.pad(behind_BF, ((0, 0), (0, max(0, size - behind_BF.shape[1]))))[:, :size]
    return Padded(jnp.where(behind_BF[..., None], 0, features.values), features.mask)


def layer_outputs(encoder: Encoder, params: Mapping, features: Padded) -> Padded:
    """What each layer of an encoder makes of features, without dropout.

    values: [layers, B, T, embed_dim]; mask: [B, T], one for all layers.
    """
    encoded, seen = encoder.apply(
        {"params": params}, features, train=False, mutable=["intermediates"]
    )
    return Padded(seen["intermediates"]["layers"]["output"][0], encoded.mask)
