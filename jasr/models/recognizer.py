"""A speech recogniser: one encoder, with a CTC head, an autoregressive decoder, or both.

audio ──▶ log-mel ──▶ SpecAugment ──▶ stem ──▶ span mask ──▶ layers ──┬──▶ CTC head ──▶ "ctc"
                                                                      └──▶ decoder  ──▶ "decoder"
text  ──▶ [start] + text ──▶ token embedding ──────────────────────────────────┘
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from jasr.errors import UserError
from jasr.layers.linear import Linear
from jasr.layers.token_embedding import TokenEmbedding
from jasr.models.encoder import Encoder
from jasr.models.mask_embedding import MaskEmbedding
from jasr.models.shifted import shifted
from jasr.models.transformer_decoder import DecoderCache, TransformerDecoder
from jasr.types import Batch, Factored, Outputs, Padded, example_keys


class Recognizer(nn.Module):
    """Transcribes recordings.

    log_mel:         (audio [B, samples]) -> features [B, frames, num_mels].
    spec_augment:    (features, keys [B]) -> features, in training; None for none.
    span_mask:       (real frames [B, T], keys [B]) -> which of the stem's frames to mask, in
                     training; None for none.
    ctc:             whether there is a CTC head over the vocabulary.
    tied_embeddings: whether the decoder's output layer is its token embedding.
    start_id:        the token that the decoder reads first.
    """

    vocab_size: int
    log_mel: Callable[[Padded], Padded]
    encoder: Encoder
    decoder: TransformerDecoder | None = None
    spec_augment: Callable[[Padded, jax.Array], Padded] | None = None
    span_mask: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    ctc: bool = True
    tied_embeddings: bool = True
    start_id: int = 1

    def setup(self) -> None:
        if not self.ctc and self.decoder is None:
            raise UserError("model: neither ctc nor decoder is set; a recogniser needs one of them")
        if self.ctc:
            self.ctc_head = Linear(
                (self.vocab_size,),
                ("embed",),
                ("vocab",),
                dtype=self.encoder.dtype,
                out_dtype="float32",
            )
        if self.span_mask is not None:
            self.mask_embedding = MaskEmbedding()
        if self.decoder is not None:
            self.token_embedding = TokenEmbedding(
                self.vocab_size, self.decoder.embed_dim, self.tied_embeddings, self.decoder.dtype
            )

    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """What the heads make of a batch; logits are float32.

        "encoder": [B, T, embed_dim]
        "ctc":     logits [B, T, vocab], if there is a CTC head.
        "decoder": logits [B, 1 + tokens, vocab], if there is a decoder: position i, having read
                   the start and i tokens of the text, predicts token i, and the end after them.
        "decoder_factors": the same, `Factored`; of the two, what nobody reads is not computed.

        In training it draws from the streams "dropout" and "augment"; an example's augmentation
        depends on its id alone.
        """
        features = self.log_mel(batch.audio)
        if train and self.spec_augment is not None:
            features = self.spec_augment(features, self._keys(batch))
        frames = self.encoder.embed(features)
        if self.span_mask is not None:
            hidden_BT = jnp.zeros_like(frames.mask)
            if train:
                hidden_BT = self.span_mask(frames.mask, self._keys(batch))
            frames = self.mask_embedding(frames, hidden_BT)
        encoded = self.encoder.contextualize(frames, train=train)
        outputs = {"encoder": encoded}
        if self.ctc:
            outputs["ctc"] = self.ctc_logits(encoded)
        if self.decoder is not None:
            read = shifted(batch, self.start_id)
            x_BTE = self.decoder(self.token_embedding(read.values), encoded, train=train)
            outputs["decoder"] = Padded(self.token_embedding.logits(x_BTE), read.mask)
            states_BTF, vocabulary_VF = self.token_embedding.factors(x_BTE)
            outputs["decoder_factors"] = Factored(states_BTF, read.mask, vocabulary_VF)
        return outputs

    def _keys(self, batch: Batch) -> Key[Array, " batch"]:
        """A key of each example, at each call another."""
        return example_keys(self.make_rng("augment"), batch)

    def encode(self, audio: Padded) -> Padded:
        """The encoder's frames of a recording, [B, T, embed_dim]."""
        return self.encoder(self.log_mel(audio), train=False)

    def ctc_logits(self, encoded: Padded) -> Padded:
        """The CTC head's logits, [B, T, vocab]; UserError if there is no such head."""
        if not self.ctc:
            raise UserError("model: it has no CTC head (ctc is False); decode with its decoder")
        return Padded(self.ctc_head(encoded.values), encoded.mask)

    def start_cache(self, encoded: Padded, *, beam_size: int, max_tokens: int) -> DecoderCache:
        """The decoder's cache before it reads anything, with room for `max_tokens` tokens.

        Raises UserError if there is no decoder, or if it cannot read so many.
        """
        return self._decoder().start_cache(encoded, beam_size=beam_size, max_tokens=max_tokens)

    def decode_step(
        self, tokens: Int[Array, "batch beams"], cache: DecoderCache
    ) -> tuple[Float[Array, "batch beams vocab"], DecoderCache]:
        """Reads one token per beam and predicts the next."""
        x_BKE, cache = self._decoder().step(self.token_embedding(tokens), cache)
        return self.token_embedding.logits(x_BKE), cache

    def _decoder(self) -> TransformerDecoder:
        if self.decoder is None:
            raise UserError("model: it has no decoder; decode with its CTC head")
        return self.decoder
