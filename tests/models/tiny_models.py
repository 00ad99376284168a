"""Tiny recognisers and batches, and a way to compile them in little time."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.types import Batch, Padded

HOP, NUM_MELS, VOCAB_SIZE = 4, 8, 11
SIZES = {"num_layers": 2, "embed_dim": 16, "num_heads": 2, "mlp_dim": 24}


@dataclass(frozen=True)
class Frames:
    """A front end as simple as can be: a frame is the samples of one hop, twice."""

    hop_length: int = HOP

    def __call__(self, audio: Padded) -> Padded:
        blocks = audio.values.reshape(len(audio.values), -1, HOP)
        return Padded(jnp.tile(blocks, NUM_MELS // HOP), audio.mask[:, ::HOP])


def make_batch(num_frames, num_tokens, *, frames=None):
    """A batch of noise; recordings of `num_frames` frames each, padded with more noise."""
    rng = np.random.default_rng(0)
    frames, tokens = frames or max(num_frames), max(num_tokens)
    audio = rng.normal(size=(len(num_frames), 128 * HOP)).astype(np.float32)[:, : frames * HOP]
    text = rng.integers(3, VOCAB_SIZE, (len(num_frames), tokens)).astype(np.int32)
    num_frames, num_tokens = np.array(num_frames), np.array(num_tokens)
    return Batch(
        audio=Padded(jnp.array(audio), jnp.arange(frames * HOP) < num_frames[:, None] * HOP),
        targets={"text": Padded(jnp.array(text), jnp.arange(tokens) < num_tokens[:, None])},
        example_mask=jnp.array(num_frames > 0),
        example_ids=jnp.arange(len(num_frames), dtype=jnp.uint32),
    )


def make_recognizer(*, encoder=None, decoder=None, encoder_class=TransformerEncoder, **fields):
    return Recognizer(
        vocab_size=VOCAB_SIZE,
        log_mel=Frames(),
        encoder=encoder_class(**SIZES, **(encoder or {})),
        decoder=TransformerDecoder(**SIZES, **(decoder or {})),
        **fields,
    )


def shapes(model, *args):
    """The boxed shapes of a model's variables, found without compiling anything."""
    return jax.eval_shape(lambda: model.init(jax.random.key(0), *args, train=False))


def draw(model, *args):
    """Variables with no zeros among them, which `init` would leave in biases and norms."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.array(rng.normal(scale=0.3, size=leaf.shape), leaf.dtype),
        nn.unbox(shapes(model, *args)),
    )


def quick_jit(function):
    """jit for programs that run but a few times."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})
