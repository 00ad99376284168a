"""Masked prediction on text.

text ──▶ some tokens corrupted ──▶ token embedding ──▶ encoder or decoder ──▶ the tokens that were
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Int, Key

from jasr.errors import UserError
from jasr.layers.token_embedding import TokenEmbedding
from jasr.models.encoder import Encoder
from jasr.models.shifted import shifted
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.types import Batch, Outputs, Padded, example_keys

# What a chosen token becomes: this far in 1 the mask, from there to the next another token.
MASKED, OTHER = 0.8, 0.9


@dataclasses.dataclass(frozen=True)
class TokenMask:
    """Chooses tokens with a probability; of them 80 % are masked, 10 % another token, 10 % kept.

    Devlin et al. 2019, "BERT", section 3.1.
    """

    probability: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise UserError(f"{self}: expected 0 < probability <= 1")

    def __call__(
        self,
        text: Padded,
        keys: Key[Array, " batch"],
        *,
        mask_id: int,
        num_specials: int,
        size: int,
    ) -> tuple[Int[Array, "batch tokens"], Bool[Array, "batch tokens"]]:
        """The text with tokens corrupted, and which were chosen; padding never is.

        mask_id: what stands for a masked token; other tokens are num_specials to size - 1.
        """
        length = text.values.shape[1]
        uniform_B3L = jax.vmap(lambda key: jax.random.uniform(key, (length, 3)))(keys)
        choice_BL, fate_BL, other_BL = jnp.moveaxis(uniform_B3L, -1, 0)
        chosen_BL = (choice_BL < self.probability) & text.mask
        other_BL = num_specials + jnp.floor(other_BL * (size - num_specials)).astype(jnp.int32)
        fate_BL = jnp.where(chosen_BL, fate_BL, 1.0)
        corrupted_BL = jnp.where(fate_BL < OTHER, jnp.minimum(other_BL, size - 1), text.values)
        return jnp.where(fate_BL < MASKED, mask_id, corrupted_BL), chosen_BL


class MaskedText(nn.Module):
    """Predicts the tokens of a text that were corrupted.

    encoder: sees all of the corrupted text. decoder: sees what stands before a token; a
             recogniser's can start from its parameters. Either of them.
    mask_id: the token that stands for a masked one, the blank, which no text contains.
    """

    vocab_size: int
    token_mask: TokenMask
    encoder: Encoder | None = None
    decoder: TransformerDecoder | None = None
    tied_embeddings: bool = True
    start_id: int = 1
    mask_id: int = 0
    num_specials: int = 3

    def setup(self) -> None:
        if (self.encoder is None) == (self.decoder is None):
            raise UserError("masked_text: give config.model.encoder or decoder, and one of them")
        body: Any = self.encoder or self.decoder
        self.token_embedding = TokenEmbedding(
            self.vocab_size, body.embed_dim, self.tied_embeddings, body.dtype
        )

    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """ "text/logits" [B, tokens, vocab] float32, "text/codes" the tokens, "masked" the chosen.

        It draws from the stream "augment", where a text's draws depend on its id alone.
        """
        key = self.make_rng("augment") if self.has_rng("augment") else jax.random.key(0)
        text = batch.targets["text"]
        corrupted_BL, chosen_BL = self.token_mask(
            text,
            example_keys(key, batch),
            mask_id=self.mask_id,
            num_specials=self.num_specials,
            size=self.vocab_size,
        )
        if self.decoder is None:
            encoder: Any = self.encoder
            frames = Padded(self.token_embedding(corrupted_BL), text.mask)
            x_BLE = encoder.contextualize(frames, train=train).values
        else:
            targets = {"text": Padded(corrupted_BL, text.mask)}
            read = shifted(dataclasses.replace(batch, targets=targets), self.start_id)
            x_BLE = self.decoder(self.token_embedding(read.values), None, train=train)[:, :-1]
        return {
            "text/logits": Padded(self.token_embedding.logits(x_BLE), text.mask),
            "text/codes": text,
            "masked": Padded(chosen_BL, text.mask),
        }
