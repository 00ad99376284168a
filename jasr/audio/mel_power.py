"""Power of a waveform in mel bands: framing, Fourier transform and filter bank.

Everything is a matrix product, so that it runs on the same units as the model, splits over
devices along the batch, and has gradients. The window and the transform are symmetric, so each
frame x of N samples is folded twice before the products, which makes them 4 times smaller:

    a = x[n]   b = x[N/2 - n]   c = x[N/2 + n]   d = x[N - n]        for n = 0 ... N/4
    E = w[n] (a + d)    F = w[N/2 - n] (b + c)
    G = w[n] (a - d)    H = w[N/2 - n] (b - c)

    even k:  Re X[k] = (E + F) cos(2 pi k n / N)     Im X[k] = -(G - H) sin(2 pi k n / N)
    odd k:   Re X[k] = (E - F) cos(2 pi k n / N)     Im X[k] = -(G + H) sin(2 pi k n / N)

which follows from cos and sin at N/2 - n and N - n being those at n up to a sign.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# More frames than this, over the batch, are taken in chunks of so many of each recording: fresh
# memory for large intermediate results costs a CPU more than the arithmetic, and an accelerator
# has better use for its memory.
FRAMES_AT_ONCE = 8192
CHUNK_FRAMES = 512


class MelBands(NamedTuple):
    """Mel bands over frames of window_length samples, every hop_length samples.

    sample_rate, low_hz, high_hz in Hz; window_length a multiple of 4.
    """

    sample_rate: int
    window_length: int
    hop_length: int
    num_mels: int
    low_hz: float
    high_hz: float


def mel_power(
    wave: Float[Array, "batch samples"], bands: MelBands, *, num_frames: int
) -> Float[Array, "batch {num_frames} {bands.num_mels}"]:
    """Power in each mel band of the frames wave[t * hop_length :][:window_length].

    Periodic Hann window, squared magnitude, Slaney mel filters of unit area: the conventions of
    librosa.feature.melspectrogram with center=False. The wave is taken as zero after its end.
    Float32 throughout, also where the device multiplies in less by default.
    """
    if wave.shape[0] * num_frames <= FRAMES_AT_ONCE:
        return _mel_power(_spanning(wave, bands, num_frames), bands, num_frames)
    num_chunks = -(-num_frames // CHUNK_FRAMES)
    size = -(-num_frames // num_chunks)
    wave_BS = _spanning(wave, bands, num_chunks * size)

    def add_chunk(number: Int[Array, ""], power_BTM: Float[Array, "batch frames mels"]):
        start = number * size
        chunk_BS = jax.lax.dynamic_slice_in_dim(
            wave_BS, start * bands.hop_length, _span(bands, size), axis=1
        )
        chunk_BTM = _mel_power(chunk_BS, bands, size)
        return jax.lax.dynamic_update_slice_in_dim(power_BTM, chunk_BTM, start, axis=1)

    shape = (len(wave_BS), num_chunks * size, bands.num_mels)
    empty_BTM = jnp.zeros_like(wave_BS, shape=shape)
    return jax.lax.fori_loop(0, num_chunks, add_chunk, empty_BTM)[:, :num_frames]


def _mel_power(
    wave_BS: Float[Array, "batch samples"], bands: MelBands, num_frames: int
) -> Float[Array, "batch {num_frames} mels"]:
    """mel_power of a wave that spans just the frames."""
    fold = _folded_transform(bands)
    quarter = bands.window_length // 4
    blocks_BUH = wave_BS.reshape(len(wave_BS), -1, bands.hop_length)

    def quarters(number: int) -> Float[Array, "batch frames n"]:
        return _samples(blocks_BUH, number * quarter, quarter + 1, num_frames)

    a_BTN, b_BTN = quarters(0), quarters(1)[..., ::-1]
    c_BTN, d_BTN = quarters(2), quarters(3)[..., ::-1]
    e_BTN, f_BTN = fold.outer_window * (a_BTN + d_BTN), fold.inner_window * (b_BTN + c_BTN)
    g_BTN, h_BTN = fold.outer_window * (a_BTN - d_BTN), fold.inner_window * (b_BTN - c_BTN)
    even_BTK = (
        _product(e_BTN + f_BTN, fold.even_cosines) ** 2
        + _product(g_BTN - h_BTN, fold.even_sines) ** 2
    )
    odd_BTK = (
        _product(e_BTN - f_BTN, fold.odd_cosines) ** 2
        + _product(g_BTN + h_BTN, fold.odd_sines) ** 2
    )
    return _product(jnp.concatenate([even_BTK, odd_BTK], axis=-1), fold.filters)


def _span(bands: MelBands, num_frames: int) -> int:
    """Samples in whole hops that frames reach over, up to the last one's mirror sample d[0]."""
    return (num_frames + bands.window_length // bands.hop_length) * bands.hop_length


def _spanning(
    wave_BS: Float[Array, "batch samples"], bands: MelBands, num_frames: int
) -> Float[Array, "batch span"]:
    """The wave cut or continued with zeros to what the frames span."""
    span = _span(bands, num_frames)
    return jnp.pad(wave_BS[:, :span], ((0, 0), (0, max(span - wave_BS.shape[1], 0))))


def _samples(
    blocks_BUH: Float[Array, "batch blocks hop"], start: int, count: int, num_frames: int
) -> Float[Array, "batch frames count"]:
    """Samples start ... start + count - 1 of every frame, sliced out of the blocks it spans."""
    hop_length = blocks_BUH.shape[-1]
    parts = []
    while count > 0:
        block, offset = divmod(start, hop_length)
        size = min(count, hop_length - offset)
        parts.append(blocks_BUH[:, block : block + num_frames, offset : offset + size])
        start, count = start + size, count - size
    return jnp.concatenate(parts, axis=-1)


def _product(
    x_BTN: Float[Array, "batch frames n"], matrix: Float[np.ndarray, "n k"]
) -> Float[Array, "batch frames k"]:
    return jnp.matmul(x_BTN, matrix, precision=jax.lax.Precision.HIGHEST)


class _FoldedTransform(NamedTuple):
    outer_window: Float[np.ndarray, " n"]
    inner_window: Float[np.ndarray, " n"]
    even_cosines: Float[np.ndarray, "n even"]
    even_sines: Float[np.ndarray, "n even"]
    odd_cosines: Float[np.ndarray, "n odd"]
    odd_sines: Float[np.ndarray, "n odd"]
    filters: Float[np.ndarray, "even+odd mels"]


@lru_cache
def _folded_transform(bands: MelBands) -> _FoldedTransform:
    """The constants, for those frequencies alone that a mel band looks at."""
    # Imported at first use: librosa brings numba, which takes a second.
    import librosa.filters

    filters_KM = librosa.filters.mel(
        sr=bands.sample_rate,
        n_fft=bands.window_length,
        n_mels=bands.num_mels,
        fmin=bands.low_hz,
        fmax=bands.high_hz,
    ).T
    used = np.flatnonzero(filters_KM.any(axis=1))
    even, odd = used[used % 2 == 0], used[used % 2 == 1]

    n = np.arange(bands.window_length // 4 + 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(bands.window_length) / bands.window_length)
    # At both ends of the fold two of the four samples are the same one.
    weight = np.where((n == 0) | (n == n[-1]), 0.5, 1.0)[:, None]
    even_angles, odd_angles = (
        2 * np.pi / bands.window_length * np.outer(n, k) for k in (even, odd)
    )
    constants = _FoldedTransform(
        outer_window=window[n],
        inner_window=window[bands.window_length // 2 - n],
        even_cosines=weight * np.cos(even_angles),
        even_sines=weight * np.sin(even_angles),
        odd_cosines=weight * np.cos(odd_angles),
        odd_sines=weight * np.sin(odd_angles),
        filters=filters_KM[np.concatenate([even, odd])],
    )
    return _FoldedTransform(*(constant.astype(np.float32) for constant in constants))
