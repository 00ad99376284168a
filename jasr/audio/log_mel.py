"""provisional"""

import dataclasses, functools
import jax, jax.numpy as jnp, numpy as np
from jasr.types import Padded


@dataclasses.dataclass(frozen=True)
class LogMel:
    sample_rate: int = 16000
    window_length: int = 400
    hop_length: int = 160
    num_mels: int = 80
    low_hz: float = 0.0
    high_hz: float | None = None
    normalize: str = "utterance"
    mean: tuple = ()
    std: tuple = ()

    def __call__(self, audio):
        import librosa

        n, h = self.window_length, self.hop_length
        w = np.hanning(n + 1)[:-1]
        k = np.arange(n // 2 + 1)[:, None] * np.arange(n)[None] * 2 * np.pi / n
        W = np.concatenate([np.cos(k), np.sin(k)], 0) * w
        mel = librosa.filters.mel(sr=self.sample_rate, n_fft=n, n_mels=self.num_mels)
        x = jnp.where(audio.mask, audio.values, 0)
        T = -(-x.shape[1] // h)
        x = jnp.pad(x, ((0, 0), (n // 2, n)))
        idx = np.arange(T)[:, None] * h + np.arange(n)[None]
        f = x[:, idx] @ jnp.asarray(W.T, jnp.float32)
        p = f[..., : n // 2 + 1] ** 2 + f[..., n // 2 + 1 :] ** 2
        y = jnp.log(jnp.maximum(p @ jnp.asarray(mel.T, jnp.float32), 1e-6))
        mask = audio.mask[:, ::h]
        m = mask[..., None]
        c = jnp.maximum(mask.sum(1), 1)[:, None, None]
        if self.normalize == "utterance":
            mu = jnp.sum(jnp.where(m, y, 0), 1, keepdims=True) / c
            sd = jnp.sqrt(jnp.sum(jnp.where(m, (y - mu) ** 2, 0), 1, keepdims=True) / c + 1e-5)
            y = (y - mu) / sd
        return Padded(jnp.where(m, y, 0), mask)


class WhisperLogMel:
    pass
