"""A speech recogniser: one encoder, with a CTC head, an autoregressive decoder, or both.

audio ─▶ noise ─▶ log-mel ─▶ SpecAugment ─▶ stem ─▶ span mask ─▶ layers ──┬──▶ CTC head ──▶ "ctc"
                                                   ▲                      ├──▶ class heads
                                       task vector ┤                      │
                                                   ▼                      ▼
text ─▶ [start] + text ─▶ token embedding ────────────────────────▶ decoder ──▶ "decoder", tag heads
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from flax.core import FrozenDict
from jaxtyping import Array, Float, Int, Key

from jasr.errors import UserError, nearest
from jasr.layers.linear import Linear
from jasr.layers.token_embedding import TokenEmbedding
from jasr.models.class_head import ClassHead
from jasr.models.encoder import Encoder
from jasr.models.mask_embedding import MaskEmbedding
from jasr.models.shifted import shifted
from jasr.models.task_encoding import TaskEncoding
from jasr.models.transformer_decoder import DecoderCache, TransformerDecoder
from jasr.types import Batch, Encoded, Factored, Outputs, Padded, example_keys

READ = ("audio", "transcript")


@struct.dataclass
class SearchCache:
    """What a search keeps: the decoder's own cache, and the task of each utterance, or None."""

    decoder: DecoderCache
    task_ids: Any = None

    def take(self, beams_BK: Int[Array, "batch beams"]) -> "SearchCache":
        """The cache whose beam k of utterance b is this one's beam `beams_BK[b, k]`."""
        return replace(self, decoder=self.decoder.take(beams_BK))


class Recognizer(nn.Module):
    """Transcribes recordings.

    log_mel:         (audio [B, samples]) -> features [B, frames, num_mels].
    noise:           (audio, keys [B]) -> audio, in training; None for none.
    spec_augment:    (features, keys [B]) -> features, in training; None for none.
    span_mask:       (real frames [B, T], keys [B]) -> which of the stem's frames to mask, in
                     training; None for none.
    ctc:             whether there is a CTC head over the vocabulary.
    tied_embeddings: whether the decoder's output layer is its token embedding.
    start_id:        the token that the decoder reads first.
    reads:           what the encoder reads: "audio", or "transcript", the tokens of what is said.
    task_encoding:   a kind of `TaskEncoding`, by which the model is told what to say; "none".
    num_tasks:       how many tasks have a vector.
    classes:         how many classes there are of a recording, by the name of a head.
    tags:            how many tags there are of a token, by the name of a head.
    """

    vocab_size: int
    log_mel: Callable[[Padded], Padded]
    encoder: Encoder
    decoder: TransformerDecoder | None = None
    noise: Callable[[Padded, jax.Array], Padded] | None = None
    spec_augment: Callable[[Padded, jax.Array], Padded] | None = None
    span_mask: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    ctc: bool = True
    tied_embeddings: bool = True
    start_id: int = 1
    reads: str = "audio"
    task_encoding: str = "none"
    num_tasks: int = 0
    classes: Mapping[str, int] = FrozenDict({})
    tags: Mapping[str, int] = FrozenDict({})

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
        if self.reads not in READ:
            raise UserError(f"model.reads {self.reads!r} is unknown: {nearest(self.reads, READ)}")
        if self.reads == "transcript" and (
            self.decoder is None or self.decoder.embed_dim != self.encoder.embed_dim
        ):
            raise UserError(
                "model.reads 'transcript' shares the decoder's token embedding: give a decoder of "
                "the encoder's embed_dim"
            )
        if self.tags and self.decoder is None:
            raise UserError("model: tags are of the decoder's tokens, and it has no decoder")
        self.class_heads = {name: ClassHead(count) for name, count in self.classes.items()}
        self.tag_heads = {
            name: Linear((count,), ("embed",), ("features",), dtype="float32")
            for name, count in self.tags.items()
        }
        self.encoder_tasks = self._encoding(self.encoder.embed_dim)
        self.decoder_tasks = self._encoding(self.decoder.embed_dim) if self.decoder else None

    def _encoding(self, dim: int) -> TaskEncoding | None:
        if self.task_encoding == "none" or not self.num_tasks:
            return None
        return TaskEncoding(self.num_tasks, dim, self.task_encoding)

    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """What the heads make of a batch; logits are float32.

        "encoder": [B, T, embed_dim]
        "ctc":     logits [B, T, vocab], if there is a CTC head.
        "decoder": logits [B, 1 + tokens, vocab], if there is a decoder: position i, having read
                   the start and i tokens of the text, predicts token i, and the end after them.
        "decoder_factors": the same, `Factored`; of the two, what nobody reads is not computed.
        NAME of a class head: logits [B, 1, classes]; of a tag head: [B, tokens, tags], of what the
                   decoder has read up to each token.

        In training it draws from the streams "dropout" and "augment"; an example's augmentation
        depends on its id alone.
        """
        frames = self._frames(batch, train=train)
        if self.span_mask is not None:
            hidden_BT = jnp.zeros_like(frames.mask)
            if train:
                hidden_BT = self.span_mask(frames.mask, self._keys(batch))
            frames = self.mask_embedding(frames, hidden_BT)
        return self.respond(self._contextualize(frames, batch, train=train), batch, train=train)

    def respond(self, encoded: Encoded, batch: Batch, *, train: bool) -> Outputs:
        """What the heads make of the encoder's frames; as `__call__`."""
        outputs: dict[str, Padded] = {"encoder": encoded}
        if self.ctc:
            outputs["ctc"] = self.ctc_logits(encoded)
        outputs |= self.classify(encoded)
        if self.decoder is not None:
            read = shifted(batch, self.start_id)
            is_first = jnp.arange(read.values.shape[1]) == 0
            x_BTE = self.decoder(
                self._embed(read.values, encoded.task_ids, is_first=is_first),
                encoded,
                train=train,
                condition=self._condition(self.decoder_tasks, encoded.task_ids),
            )
            for name, head in self.tag_heads.items():
                outputs[name] = Padded(head(x_BTE[:, 1:]), read.mask[:, 1:])
            outputs["decoder"] = Padded(self.token_embedding.logits(x_BTE), read.mask)
            states_BTF, vocabulary_VF = self.token_embedding.factors(x_BTE)
            outputs["decoder_factors"] = Factored(states_BTF, read.mask, vocabulary_VF)
        return outputs

    def _keys(self, batch: Batch) -> Key[Array, " batch"]:
        """A key of each example, at each call another."""
        return example_keys(self.make_rng("augment"), batch)

    def encode(self, batch: Batch) -> Encoded:
        """The encoder's frames of recordings, [B, T, embed_dim], for what is asked of them."""
        return self._contextualize(self._frames(batch, train=False), batch, train=False)

    def _frames(self, batch: Batch, *, train: bool) -> Padded:
        """What the encoder's layers read, before it is known what is asked."""
        if self.reads == "transcript":
            said = batch.targets["transcript"]
            return Padded(self.token_embedding(said.values), said.mask)
        audio = batch.audio
        if train and self.noise is not None:
            audio = self.noise(audio, self._keys(batch))
        features = self.log_mel(audio)
        if train and self.spec_augment is not None:
            features = self.spec_augment(features, self._keys(batch))
        return self.encoder.embed(features)

    def _contextualize(self, frames: Padded, batch: Batch, *, train: bool) -> Encoded:
        tasks, encoding = None, self.encoder_tasks
        if encoding is not None:
            tasks = batch.targets["task"].values[:, 0]
            frames = encoding.enter(frames, tasks)
        encoded = self.encoder.contextualize(
            frames, train=train, condition=self._condition(encoding, tasks)
        )
        if encoding is not None:
            encoded = encoding.leave(encoded)
        return Encoded(encoded.values, encoded.mask, tasks)

    def _condition(
        self, encoding: TaskEncoding | None, task_ids: Int[Array, " batch"] | None
    ) -> Float[Array, "batch embed"] | None:
        return None if encoding is None or task_ids is None else encoding.condition(task_ids)

    def _embed(
        self,
        tokens: Int[Array, "batch tokens"],
        task_ids: Int[Array, " batch"] | None,
        *,
        is_first: Array,
    ) -> Float[Array, "batch tokens embed"]:
        x_BLE = self.token_embedding(tokens)
        if self.decoder_tasks is None or task_ids is None:
            return x_BLE
        return self.decoder_tasks.enter_tokens(x_BLE, task_ids, is_first=is_first)

    def classify(self, encoded: Padded) -> dict[str, Padded]:
        """Logits of each class head, [B, 1, classes]."""
        is_row_B1 = jnp.any(encoded.mask, axis=1, keepdims=True)
        return {
            name: Padded(head(encoded)[:, None], is_row_B1)
            for name, head in self.class_heads.items()
        }

    def ctc_logits(self, encoded: Padded) -> Padded:
        """The CTC head's logits, [B, T, vocab]; UserError if there is no such head."""
        if not self.ctc:
            raise UserError("model: it has no CTC head (ctc is False); decode with its decoder")
        return Padded(self.ctc_head(encoded.values), encoded.mask)

    def start_cache(self, encoded: Encoded, *, beam_size: int, max_tokens: int) -> "SearchCache":
        """The decoder's cache before it reads anything, with room for `max_tokens` tokens.

        Raises UserError if there is no decoder, or if it cannot read so many.
        """
        decoder = self._decoder()
        cache = decoder.start_cache(
            encoded,
            beam_size=beam_size,
            max_tokens=max_tokens,
            condition=self._condition(self.decoder_tasks, encoded.task_ids),
        )
        return SearchCache(cache, encoded.task_ids)

    def decode_step(
        self, tokens: Int[Array, "batch beams"], cache: "SearchCache"
    ) -> tuple[Float[Array, "batch beams vocab"], "SearchCache"]:
        """Reads one token per beam and predicts the next."""
        is_first = cache.decoder.num_read == 0
        x_BKE = self._embed(tokens, cache.task_ids, is_first=is_first)
        x_BKE, read = self._decoder().step(x_BKE, cache.decoder)
        return self.token_embedding.logits(x_BKE), replace(cache, decoder=read)

    def _decoder(self) -> TransformerDecoder:
        if self.decoder is None:
            raise UserError("model: it has no decoder; decode with its CTC head")
        return self.decoder
