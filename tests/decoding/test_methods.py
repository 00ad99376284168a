import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import struct
from step_tables import transcripts

from jasr.decoding.methods import AttentionBeam, AttentionGreedy, CTCBeam, CTCGreedy
from jasr.errors import UserError
from jasr.types import Batch, Padded

SAMPLE_RATE, FRAME, VOCAB = 100, 10, 6


@struct.dataclass
class Memory:
    """Keys of the frames, held once per utterance, and the sum of what each beam has read."""

    frames: Padded
    read_BKD: jax.Array

    def take(self, beams_BK):
        return self.replace(read_BKD=jnp.take_along_axis(self.read_BKD, beams_BK[..., None], 1))


class TinyRecognizer(nn.Module):
    """Frames through one layer; a decoder that attends with the sum of the tokens read."""

    width: int = 8

    def setup(self):
        self.frontend = nn.Dense(self.width, kernel_init=nn.initializers.normal(2.0))
        self.embedding = nn.Embed(VOCAB, self.width, embedding_init=nn.initializers.normal(2.0))
        self.output = nn.Dense(VOCAB, kernel_init=nn.initializers.normal(2.0))

    def encode(self, batch):
        audio = batch.audio
        frames = audio.values.reshape(len(audio.values), -1, FRAME)
        return Padded(jnp.tanh(self.frontend(frames)), audio.mask[:, ::FRAME])

    def ctc_logits(self, encoded):
        return encoded.replace(values=self.output(encoded.values))

    def start_cache(self, encoded, *, beam_size, max_tokens):  # noqa: ARG002
        read_BKD = jnp.zeros((len(encoded.values), beam_size, self.width))
        return Memory(encoded, read_BKD)

    def decode_step(self, tokens_BK, cache):
        read_BKD = 0.9 * cache.read_BKD + self.embedding(tokens_BK)
        match_BKT = jnp.einsum("bkd,btd->bkt", read_BKD, cache.frames.values)
        match_BKT = jnp.where(cache.frames.mask[:, None], match_BKT, -jnp.inf)
        heard_BKD = jax.nn.softmax(match_BKT) @ cache.frames.values
        return self.output(jnp.tanh(heard_BKD + read_BKD)), cache.replace(read_BKD=read_BKD)

    def __call__(self, batch):
        encoded = self.encode(batch)
        cache = self.start_cache(encoded, beam_size=1, max_tokens=1)
        return self.decode_step(jnp.ones((len(encoded.values), 1), jnp.int32), cache)[0]


def make_batch(waves, *, num_samples):
    """Rows padded to `num_samples`; a wave of no samples is a row that fills the batch."""
    lengths = np.array([len(wave) for wave in waves])
    values = np.stack([np.pad(wave, (0, num_samples - len(wave))) for wave in waves])
    mask = np.arange(num_samples) < lengths[:, None]
    return Batch(
        audio=Padded(jnp.asarray(values, jnp.float32), jnp.asarray(mask)),
        targets={},
        example_mask=jnp.asarray(lengths > 0),
        example_ids=jnp.arange(len(waves), dtype=jnp.uint32),
    )


ATTENTION = {"sample_rate": SAMPLE_RATE, "max_tokens_per_second": 20.0}
METHODS = [
    CTCGreedy(),
    CTCBeam(beam_size=4, num_hypotheses=2),
    AttentionGreedy(no_repeat_ngram=2, **ATTENTION),
    AttentionBeam(beam_size=3, num_hypotheses=2, **ATTENTION),
]
by_name = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@pytest.fixture(scope="module")
def waves():
    rng = np.random.default_rng(0)
    return [rng.normal(size=length) for length in (60, 20, 40, 80, 0)]


@pytest.fixture(scope="module")
def recognizer(waves):
    model = TinyRecognizer()
    return model, model.init(jax.random.key(0), make_batch(waves, num_samples=80))


@by_name
def test_result_is_the_same_in_any_batch_and_with_more_padding(method, recognizer, waves):
    together = method(*recognizer, make_batch(waves, num_samples=80))
    for b, wave in enumerate(waves[:4]):
        apart = method(*recognizer, make_batch([waves[3 - b], wave], num_samples=100))
        here, there = transcripts(together, b), transcripts(apart, 1)
        assert [tokens for _, tokens in here] == [tokens for _, tokens in there]
        np.testing.assert_allclose([s for s, _ in here], [s for s, _ in there], rtol=1e-5)
    assert any(transcripts(together, b)[0][1] for b in range(4))


@by_name
def test_one_compilation_per_shape(method, recognizer, waves):
    compiled = type(method).__call__
    before = compiled._cache_size()
    for _ in range(2):
        for batch_size, num_samples in [(2, 60), (3, 60)]:
            method(*recognizer, make_batch(waves[:1] * batch_size, num_samples=num_samples))
    assert compiled._cache_size() == before + 2


def test_rows_that_fill_the_batch_have_no_attention_hypothesis(recognizer, waves):
    for method in METHODS[2:]:
        found = method(*recognizer, make_batch(waves, num_samples=80))
        assert transcripts(found, 4) == []
        assert not np.any(found.mask[4])


def test_transcripts_are_bounded_by_the_recordings_seconds_and_by_the_models_positions(
    recognizer, waves
):
    batch = make_batch(waves, num_samples=80)
    # Without the end token in its vocabulary, a search goes to the limit.
    bounds = {"end_id": VOCAB - 1, "sample_rate": SAMPLE_RATE, "max_tokens_per_second": 10.0}
    model, variables = recognizer
    never = jax.tree.map(lambda x: x, variables)
    never["params"]["output"]["bias"] = jnp.zeros(VOCAB).at[VOCAB - 1].set(-100.0)
    lengths = lambda found: np.sum(np.asarray(found.mask[:, 0]), axis=-1).tolist()  # noqa: E731
    assert lengths(AttentionGreedy(**bounds)(model, never, batch)) == [6, 2, 4, 8, 0]
    assert lengths(AttentionGreedy(max_tokens=3, **bounds)(model, never, batch)) == [3, 2, 3, 3, 0]
    assert lengths(AttentionBeam(length_penalty=2.0, **bounds)(model, never, batch)) == [
        6,
        2,
        4,
        8,
        0,
    ]


def test_blank_and_start_are_never_written(recognizer, waves):
    for method in METHODS[2:]:
        found = method(*recognizer, make_batch(waves, num_samples=80))
        written = np.asarray(found.tokens)[np.asarray(found.mask)]
        assert not set(written.tolist()) & {0, 1, 2}


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (CTCGreedy(), "ctc-greedy"),
        (CTCBeam(), "ctc-beam(16)"),
        (AttentionGreedy(), "attention-greedy"),
        (AttentionBeam(length_penalty=0.0), "attention-beam(4, length_penalty=0.0)"),
        (AttentionGreedy(no_repeat_ngram=3), "attention-greedy(no_repeat_ngram=3)"),
        (AttentionBeam(), "attention-beam(4, length_penalty=1.0)"),
        (
            AttentionBeam(beam_size=8, length_penalty=0.6, no_repeat_ngram=4),
            "attention-beam(8, length_penalty=0.6, no_repeat_ngram=4)",
        ),
    ],
)
def test_name_tells_how_it_was_decoded(method, name):
    assert method.name == name


@pytest.mark.parametrize(
    ("kind", "fields", "wrong"),
    [
        (CTCBeam, {"beam_size": 2, "num_hypotheses": 3}, "beam_size is 2; it must be at least 3"),
        (AttentionBeam, {"beam_size": 0}, "beam_size is 0; it must be at least 1"),
        (AttentionBeam, {"num_hypotheses": 5}, "beam_size is 4; it must be at least 5"),
        (AttentionBeam, {"length_penalty": -0.5}, "length_penalty is -0.5"),
        (AttentionGreedy, {"no_repeat_ngram": -1}, "no_repeat_ngram is -1"),
        (AttentionGreedy, {"max_tokens_per_second": 0.0}, "max_tokens_per_second is 0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(kind, fields, wrong):
    with pytest.raises(UserError, match=wrong):
        kind(**fields)
