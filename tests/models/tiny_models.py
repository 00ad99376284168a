"""Tiny recognisers and batches."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.types import Batch, Padded

HOP, NUM_MELS, VOCAB_SIZE = 4, 8, 11


@dataclass(frozen=True)
class Frames:
    """A front end as simple as can be: a frame is the mean and the samples of one hop."""

    def __call__(self, audio: Padded) -> Padded:
        blocks = audio.values.reshape(len(audio.values), -1, HOP)
        return Padded(jnp.tile(blocks, NUM_MELS // HOP), audio.mask[:, ::HOP])


def make_batch(num_frames, num_tokens, *, seed=0, frames=None, tokens=None, ids=None):
    """A batch of noise; recordings of `num_frames` frames each, padded with more noise."""
    rng = np.random.default_rng(seed)
    frames, tokens = frames or max(num_frames), tokens or max(num_tokens)
    audio = rng.normal(size=(len(num_frames), 128 * HOP)).astype(np.float32)[:, : frames * HOP]
    text = rng.integers(3, VOCAB_SIZE, (len(num_frames), 16)).astype(np.int32)[:, :tokens]
    num_frames, num_tokens = np.array(num_frames), np.array(num_tokens)
    return Batch(
        audio=Padded(jnp.array(audio), jnp.arange(frames * HOP) < num_frames[:, None] * HOP),
        targets={"text": Padded(jnp.array(text), jnp.arange(tokens) < num_tokens[:, None])},
        example_mask=jnp.array(num_frames > 0),
        example_ids=jnp.arange(len(num_frames), dtype=jnp.uint32) if ids is None else ids,
    )


def make_recognizer(*, encoder=None, decoder=None, encoder_class=TransformerEncoder, **fields):
    sizes = {"num_layers": 2, "embed_dim": 16, "num_heads": 2, "mlp_dim": 24}
    return Recognizer(
        vocab_size=VOCAB_SIZE,
        log_mel=Frames(),
        encoder=encoder_class(**sizes, **(encoder or {})),
        decoder=TransformerDecoder(**sizes, **(decoder or {})),
        **fields,
    )


def init(model, batch):
    return jax.jit(lambda key: model.init(key, batch, train=False))(jax.random.key(0))
