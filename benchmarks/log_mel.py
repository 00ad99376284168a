"""Log-mel's time against transformers' and librosa's, on the same audio in one process.

    python -m benchmarks.log_mel --batch=8 --seconds=10 --rounds=40

Every round runs each contender once, waveform in host memory to features in host memory; the
order turns from round to round. On a shared machine trust the ratio within rounds.
Transformers and PyTorch come with requirements-dev.txt.
"""

from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeAlias

import jax
import librosa
import numpy as np
import torch
import transformers
from absl import app, flags

from benchmarks.rounds import seconds_in_turn
from jasr.audio.log_mel import LogMel, WhisperLogMel
from jasr.types import Padded

FLAGS = flags.FLAGS
flags.DEFINE_integer("batch", 8, "Recordings in a batch.", lower_bound=1)
flags.DEFINE_float("seconds", 10.0, "Seconds of each recording.", lower_bound=0.1)
flags.DEFINE_integer("rounds", 40, "Rounds that are timed.", lower_bound=1)
flags.DEFINE_integer("threads", 2, "PyTorch's threads; XLA takes the cores it may use.")

SAMPLE_RATE = 16_000

Contender: TypeAlias = Callable[[], np.ndarray]


def main(_) -> None:
    torch.set_num_threads(FLAGS.threads)
    shape = (FLAGS.batch, round(FLAGS.seconds * SAMPLE_RATE))
    waves = 0.1 * np.random.default_rng(0).standard_normal(shape, np.float32)
    print(f"{FLAGS.batch} x {FLAGS.seconds:g} s, {FLAGS.rounds} rounds, {jax.devices()[0]}")
    compare("Whisper, 80 bands", whisper_contenders(waves, 80), rounds=FLAGS.rounds)
    compare("Whisper, 128 bands", whisper_contenders(waves, 128), rounds=FLAGS.rounds)
    compare("log-mel, 80 bands", librosa_contenders(waves), rounds=FLAGS.rounds)


def whisper_contenders(waves: np.ndarray, num_mels: int) -> dict[str, Contender]:
    """Whisper's features of a chunk as long as the recordings."""
    seconds = waves.shape[1] / SAMPLE_RATE
    ours = jax.jit(WhisperLogMel(num_mels=num_mels, chunk_seconds=seconds))
    theirs = transformers.WhisperFeatureExtractor(feature_size=num_mels)
    theirs.n_samples = waves.shape[1]
    audio = Padded(waves, np.ones(waves.shape, bool))

    def transformers_torch() -> np.ndarray:
        features = theirs(list(waves), sampling_rate=SAMPLE_RATE, return_tensors="np")
        return features.input_features.swapaxes(1, 2)

    # What the extractor runs where PyTorch is not installed.
    def transformers_numpy() -> np.ndarray:
        return theirs._np_extract_fbank_features(waves, "cpu").swapaxes(1, 2)

    return {
        "jasr": lambda: np.asarray(ours(audio).values),
        "transformers, torch": transformers_torch,
        "transformers, numpy": transformers_numpy,
    }


def librosa_contenders(waves: np.ndarray) -> dict[str, Contender]:
    """Log-mel without normalisation, of which librosa gives one frame more."""
    log_mel = LogMel(normalize="none")
    ours = jax.jit(log_mel)
    audio = Padded(waves, np.ones(waves.shape, bool))
    num_frames = log_mel.num_frames(waves.shape[1])

    def librosa_log_mel() -> np.ndarray:
        power = librosa.feature.melspectrogram(
            y=waves, sr=SAMPLE_RATE, n_fft=400, hop_length=160, n_mels=80
        )
        return np.log(np.maximum(power, 1e-10)).swapaxes(1, 2)[:, :num_frames]

    return {"jasr": lambda: np.asarray(ours(audio).values), "librosa": librosa_log_mel}


def compare(title: str, contenders: Mapping[str, Contender], *, rounds: int) -> None:
    """Prints each one's median time, ours over theirs, and how far the features are apart."""
    features = {name: run() for name, run in contenders.items()}
    seconds = seconds_in_turn(contenders, rounds=rounds)
    ours, *others = contenders
    print(f"\n{title:24}{'median ms':>12}{'best ms':>10}{'ours / theirs':>16}", end="")
    print(f"{'within rounds':>16}{'difference':>12}")
    print(f"{ours:24}{1e3 * median(seconds[ours]):12.1f}{1e3 * min(seconds[ours]):10.1f}")
    for name in others:
        ratio = median(seconds[ours]) / median(seconds[name])
        within = median(a / b for a, b in zip(seconds[ours], seconds[name], strict=True))
        difference = np.abs(features[ours] - features[name]).max()
        print(
            f"{name:24}{1e3 * median(seconds[name]):12.1f}{1e3 * min(seconds[name]):10.1f}"
            f"{ratio:16.2f}{within:16.2f}{difference:12.1e}"
        )


if __name__ == "__main__":
    app.run(main)
