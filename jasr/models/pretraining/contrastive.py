"""A learned quantiser, and the masked frame's code among distractors."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from jasr.errors import UserError
from jasr.layers.collections import read_collection
from jasr.layers.linear import Linear, layer_norm
from jasr.layers.parameter import parameter
from jasr.models.pretraining.head import MaskedFrames
from jasr.models.pretraining.span_mask import draw_distractors
from jasr.types import Batch, Outputs, Padded


class Contrastive(nn.Module):
    """Quantises the stem's frames with a product of codebooks, and draws distractors.

    num_groups, num_codes: codebooks, and codes in each.
    code_dim:              of all groups' codes side by side.
    dim:                   of what is compared.
    num_distractors:       other masked frames of the utterance, for each masked frame.
    temperature, final_temperature, decay: of the Gumbel softmax at the first step, at least, and
                           the factor on it from step to step.

    Baevski et al. 2020, "wav2vec 2.0", section 2 and equation 1.
    """

    num_groups: int = 2
    num_codes: int = 320
    code_dim: int = 256
    dim: int = 256
    num_distractors: int = 100
    temperature: float = 2.0
    final_temperature: float = 0.5
    decay: float = 0.999995

    @nn.compact
    def __call__(self, seen: MaskedFrames, batch: Batch, *, train: bool) -> Outputs:
        """What `ContrastiveLoss` and `CodeDiversity` read, float32 where not said otherwise:

        "context", "quantized": [B, T, dim]
        "distractors":          int32 [B, T, num_distractors], places of frames
        "code_logits":          [B, T, groups, codes]
        "codes":                int32 [B, T, groups]
        """
        del batch
        encoded = seen.encoded
        keys_B2 = jax.vmap(jax.random.split)(seen.keys)
        frames_BTE = layer_norm(dtype="float32", name="frames_norm")(seen.frames.values)
        # Wide, as the authors' own: else what is added to choose by drowns them.
        logits_BTGV = Linear(
            (self.num_groups, self.num_codes),
            ("embed",),
            ("heads", "vocab"),
            dtype="float32",
            std=1.0,
            name="code_logits",
        )(frames_BTE)
        codes_BTG, quantized_BTD = self._quantize(logits_BTGV, keys_B2[:, 0], train=train)
        values = {
            "context": self._linear((self.dim,), ("features",), "project_context")(encoded.values),
            "quantized": quantized_BTD,
            "distractors": draw_distractors(seen.masked, keys_B2[:, 1], self.num_distractors),
            "code_logits": logits_BTGV,
            "codes": codes_BTG,
        }
        return {name: Padded(value, encoded.mask) for name, value in values.items()}

    def _linear(
        self, features: tuple[int, ...], axes: tuple[str, ...], name: str, in_axis: str = "embed"
    ) -> Linear:
        return Linear(features, (in_axis,), axes, dtype="float32", name=name)

    def _quantize(
        self,
        logits_BTGV: Float[Array, "batch frames groups codes"],
        keys_B: Key[Array, " batch"],
        *,
        train: bool,
    ) -> tuple[Int[Array, "batch frames groups"], Float[Array, "batch frames dim"]]:
        """The code of each group, drawn in training, else the likeliest; and all codes, projected.

        The gradient goes through the softmax that they are drawn from.
        """
        if self.code_dim % self.num_groups:
            raise UserError(
                f"contrastive: code_dim {self.code_dim} does not divide into {self.num_groups} "
                f"groups; choose a multiple"
            )
        codes_GVC = parameter(
            self,
            "codes",
            nn.initializers.uniform(1.0),
            (self.num_groups, self.num_codes, self.code_dim // self.num_groups),
            ("heads", "vocab", "head_dim"),
        )
        if train:
            shape = logits_BTGV.shape[1:]
            noise_BTGV = jax.vmap(lambda key: jax.random.gumbel(key, shape))(keys_B)
            logits_BTGV = (logits_BTGV + noise_BTGV) / self._temperature()
        ids_BTG = jnp.argmax(logits_BTGV, axis=-1)
        hard_BTGV = jax.nn.one_hot(ids_BTG, self.num_codes)
        if train:
            soft_BTGV = jax.nn.softmax(logits_BTGV)
            hard_BTGV += soft_BTGV - jax.lax.stop_gradient(soft_BTGV)
        chosen_BTGC = jnp.einsum("btgv,gvc->btgc", hard_BTGV, codes_GVC)
        flat_BTC = chosen_BTGC.reshape(*chosen_BTGC.shape[:2], -1)
        project = self._linear((self.dim,), ("features",), "project_quantized", "head_dim")
        return ids_BTG, project(flat_BTC)

    def _temperature(self) -> Float[Array, ""]:
        step = read_collection(self, "progress").get("step", 0)
        return jnp.maximum(self.temperature * self.decay**step, self.final_temperature)
