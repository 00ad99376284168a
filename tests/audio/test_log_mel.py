import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import transformers

from jasr.audio.log_mel import LogMel, WhisperLogMel
from jasr.errors import UserError
from jasr.types import Padded

# Parity is asked for down to 70 dB below the loudest band: further down, float32 holds no
# fourth digit of a logarithm, neither here nor in another float32 Fourier transform.
AUDIBLE = 7 * np.log(10)

CONVENTIONS = {
    "none": LogMel(normalize="none"),
    "utterance": LogMel(),
    "global": LogMel(num_mels=4, normalize="global", mean=(1.0, -2.0, 0.5, 0.0), std=(2.0,) * 4),
    "8 kHz": LogMel(sample_rate=8_000, window_length=200, hop_length=80, num_mels=40),
    "whisper": WhisperLogMel(chunk_seconds=None),
    "whisper chunk": WhisperLogMel(chunk_seconds=1.0),
}


@pytest.fixture(params=CONVENTIONS.values(), ids=CONVENTIONS.keys())
def log_mel(request):
    return request.param


@pytest.mark.parametrize("num_mels", [80, 128])
def test_whisper_chunk_agrees_with_transformers(speech, pad_waves, num_mels):
    extractor = transformers.WhisperFeatureExtractor(feature_size=num_mels)
    theirs = extractor(speech, sampling_rate=16_000, return_tensors="np").input_features
    ours = jax.jit(WhisperLogMel(num_mels=num_mels))(pad_waves(speech))
    assert ours.values.shape == (3, 3000, num_mels)
    assert ours.mask.all()
    np.testing.assert_allclose(ours.values, theirs.transpose(0, 2, 1), atol=1e-4, rtol=0)


def test_whisper_chunk_cuts_and_mirrors_the_end(pad_waves):
    wave = np.random.default_rng(0).normal(size=500_000).astype(np.float32)
    extractor = transformers.WhisperFeatureExtractor()
    theirs = extractor(wave, sampling_rate=16_000, return_tensors="np").input_features
    ours = jax.jit(WhisperLogMel())(pad_waves([wave]))
    np.testing.assert_allclose(ours.values, theirs.transpose(0, 2, 1), atol=1e-4, rtol=0)


def test_whisper_of_any_length_is_the_chunks_beginning(speech, pad_waves):
    audio = pad_waves(speech)
    short = jax.jit(WhisperLogMel(chunk_seconds=None))(audio)
    chunk = jax.jit(WhisperLogMel())(audio).values[:, : short.values.shape[1]]
    expected = np.where(np.asarray(short.mask)[..., None], chunk, 0)
    np.testing.assert_allclose(short.values, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("log_mel", "options"),
    [
        (LogMel(normalize="none"), {"n_fft": 400, "hop_length": 160, "n_mels": 80}),
        (
            LogMel(
                window_length=512,
                hop_length=200,
                num_mels=40,
                low_hz=60.0,
                high_hz=7000.0,
                normalize="none",
            ),
            {"n_fft": 512, "hop_length": 200, "n_mels": 40, "fmin": 60.0, "fmax": 7000.0},
        ),
        (
            LogMel(window_length=100, hop_length=130, num_mels=10, normalize="none"),
            {"n_fft": 100, "hop_length": 130, "n_mels": 10},
        ),
    ],
)
def test_log_mel_agrees_with_librosa(speech, pad_waves, log_mel, options):
    ours = jax.jit(log_mel)(pad_waves(speech))
    for row, wave in enumerate(speech):
        num_frames = log_mel.num_frames(len(wave))
        power = librosa.feature.melspectrogram(y=wave.astype(np.float64), sr=16_000, **options)
        theirs = np.log(np.maximum(power, 1e-10)).T[:num_frames]
        error = np.abs(np.asarray(ours.values[row, :num_frames]) - theirs)
        assert ours.mask[row].sum() == num_frames
        assert error[theirs > theirs.max() - AUDIBLE].max() < 1e-4
        assert error.mean() < 2e-5


def test_utterance_normalisation(speech, pad_waves):
    plain = jax.jit(LogMel(normalize="none"))(pad_waves(speech))
    normalised = jax.jit(LogMel())(pad_waves(speech))
    for row in range(len(speech)):
        real = np.asarray(plain.values[row])[np.asarray(plain.mask[row])]
        expected = (real - real.mean(0)) / np.sqrt(real.var(0) + 1e-5)
        np.testing.assert_allclose(normalised.values[row, : len(real)], expected, atol=1e-3)


def test_global_normalisation(speech, pad_waves):
    log_mel = CONVENTIONS["global"]
    plain = jax.jit(LogMel(num_mels=4, normalize="none"))(pad_waves(speech))
    expected = (plain.values - jnp.array(log_mel.mean)) / jnp.array(log_mel.std)
    expected = jnp.where(plain.mask[..., None], expected, 0)
    np.testing.assert_allclose(jax.jit(log_mel)(pad_waves(speech)).values, expected, atol=1e-6)


def noise(num_samples, level=0.1, seed=0):
    """All bands alike, so that each is held to float32's rounding of it."""
    return level * np.random.default_rng(seed).normal(size=num_samples).astype(np.float32)


def test_padding_changes_nothing(pad_waves, log_mel):
    wave = noise(3000)
    alone = jax.jit(log_mel)(pad_waves([wave]))
    padded = jax.jit(log_mel)(pad_waves([wave], num_samples=7077, fill=np.nan))
    num_frames = alone.values.shape[1]
    np.testing.assert_allclose(padded.values[:, :num_frames], alone.values, atol=1e-5, rtol=0)
    assert not padded.values[:, num_frames:].any()
    np.testing.assert_array_equal(padded.mask[:, :num_frames], alone.mask)
    assert not padded.mask[:, num_frames:].any()


def test_batch_mates_change_nothing(pad_waves, log_mel):
    wave = noise(3000)
    quiet = pad_waves([wave, noise(4000, 1e-3, seed=1), wave[:5]])
    loud = pad_waves([wave, noise(4000, 1e3, seed=2), wave[:0]])
    first, second = (jax.jit(log_mel)(audio).values[0] for audio in (quiet, loud))
    np.testing.assert_array_equal(first, second)


def test_what_is_computed_in_chunks_agrees_with_what_is_not(pad_waves):
    log_mel = LogMel(
        sample_rate=8_000, window_length=40, hop_length=10, num_mels=4, normalize="none"
    )
    wave = noise(95_000)
    whole = jax.jit(log_mel)(pad_waves([wave])).values[0]
    assert len(whole) == 9500
    for start in (0, 40_000, 80_000):
        part = jax.jit(log_mel)(pad_waves([wave[start : start + 15_000]])).values[0]
        inner = slice(start // 10 + 2, start // 10 + 1498)
        np.testing.assert_allclose(whole[inner], part[2:1498], atol=1e-5, rtol=0)


def test_shapes_and_masks(pad_waves, log_mel):
    for num_samples in (1, log_mel.hop_length, log_mel.hop_length + 1, 1999):
        audio = pad_waves([np.ones(num_samples), np.zeros(0)], num_samples=2000)
        features = jax.jit(log_mel)(audio)
        num_frames = log_mel.num_frames(2000)
        assert features.values.shape == (2, num_frames, log_mel.num_mels)
        assert features.values.dtype == jnp.float32
        assert features.mask[0].sum() == log_mel.num_frames(num_samples)
        assert not features.mask[1].any()
        assert not features.values[1].any()


def test_a_frame_is_centred_on_its_sample(pad_waves):
    wave = np.zeros(1600, np.float32)
    wave[5 * 160] = 1.0
    power = np.exp(LogMel(normalize="none")(pad_waves([wave])).values[0]).sum(-1)
    assert power.argmax() == 5
    assert power[4] == pytest.approx(power[6], rel=1e-4)


def test_gradients_are_finite_and_stay_out_of_padding(pad_waves, log_mel):
    levels = [0.0, 1e-6, 1.0]
    waves = [noise(1500, level) for level in levels]
    audio = pad_waves([*waves, noise(0)], num_samples=2000)

    @jax.jit
    @jax.grad
    def gradient_of(values):
        features = log_mel(Padded(values, audio.mask)).values
        weights = jax.random.normal(jax.random.key(0), features.shape)
        return jnp.sum(weights * features)

    gradient = gradient_of(jnp.asarray(audio.values))
    assert jnp.isfinite(gradient).all()
    assert not gradient[~audio.mask].any()
    assert gradient[levels.index(1.0)].any()


def test_equal_settings_are_one_compilation():
    assert hash(LogMel()) == hash(LogMel())
    assert LogMel() == LogMel() != LogMel(num_mels=40)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogMel(normalize="global"), "a mean and a std above 0 for each of 80 bands"),
        (lambda: LogMel(window_length=402), "window_length is 402: expected a multiple of 4"),
        (lambda: LogMel(hop_length=0), "hop_length is 0"),
        (lambda: LogMel(high_hz=9000.0), "high_hz 9000.0: expected 0 <= low_hz < high_hz <= 8000"),
        (lambda: LogMel(low_hz=8000.0), "low_hz is 8000.0"),
        (lambda: WhisperLogMel(num_mels=40), "80 or 128 bands, found 40"),
        (lambda: WhisperLogMel(sample_rate=8_000), "16000 Hz, found 8000"),
        (lambda: WhisperLogMel(chunk_seconds=0.0), "chunk_seconds is 0.0"),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises(UserError, match=message):
        make()
