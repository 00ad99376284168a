"""Search with the real recogniser: what the cached steps score is what the whole model scores."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from step_tables import END, START

from jasr.decoding.methods import AttentionBeam, AttentionGreedy
from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.types import Batch, Padded

FRAME, VOCAB, SAMPLES = 4, 12, 64
SHAPE = {"num_layers": 2, "embed_dim": 16, "num_heads": 2, "mlp_dim": 32}
BOUNDS = {"sample_rate": FRAME, "max_tokens_per_second": 0.5}


@dataclass(frozen=True)
class Frames:
    """Blocks of the waveform as features."""

    def __call__(self, audio):
        frames = audio.values.reshape(len(audio.values), -1, FRAME)
        return Padded(frames, audio.mask[:, ::FRAME])


@pytest.fixture(scope="module")
def batch():
    lengths = np.array([64, 40, 52, 0])
    mask = np.arange(SAMPLES) < lengths[:, None]
    waves = np.random.default_rng(0).normal(size=mask.shape) * mask
    return Batch(
        audio=Padded(jnp.asarray(waves, jnp.float32), jnp.asarray(mask)),
        targets={"text": Padded(jnp.zeros((4, 8), jnp.int32), jnp.zeros((4, 8), bool))},
        example_mask=jnp.asarray(lengths > 0),
        example_ids=jnp.arange(4, dtype=jnp.uint32),
    )


@pytest.fixture(scope="module")
def recognizer(batch):
    model = Recognizer(
        vocab_size=VOCAB,
        log_mel=Frames(),
        encoder=TransformerEncoder(**SHAPE),
        decoder=TransformerDecoder(**SHAPE),
    )
    init = jax.jit(lambda key: nn.unbox(model.init(key, batch, train=False)))
    # Larger weights than a fresh model's, so that its predictions are far from uniform.
    return model, jax.tree.map(lambda weights: 3.0 * weights, init(jax.random.key(0)))


@pytest.mark.parametrize(
    "method",
    [
        AttentionGreedy(**BOUNDS),
        AttentionBeam(beam_size=4, num_hypotheses=4, length_penalty=0.0, **BOUNDS),
    ],
    ids=lambda method: method.name,
)
def test_scores_are_the_whole_models(method, recognizer, batch):
    model, variables = recognizer
    found = jax.tree.map(np.asarray, method(model, variables, batch))
    whole = jax.jit(lambda text: model.apply(variables, text, train=False)["decoder"])
    lengths = found.mask.sum(axis=-1)
    assert lengths[:3, 0].max() > 2
    for place in range(found.scores.shape[1]):
        tokens, mask = found.tokens[:, place], found.mask[:, place]
        text = Padded(jnp.asarray(tokens), jnp.asarray(mask))
        read = batch.replace(targets={"text": text})
        log_probs = np.asarray(jax.nn.log_softmax(whole(read).values))
        for b in range(3):
            length = lengths[b, place]
            said = [*tokens[b, :length], END]
            expected = log_probs[b, np.arange(length + 1), said].sum()
            np.testing.assert_allclose(found.scores[b, place], expected, rtol=1e-4)
            assert not {0, START, END} & set(said[:-1])
