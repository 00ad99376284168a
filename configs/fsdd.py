"""Spoken digits of six speakers (Free Spoken Digit Dataset), each digit a word.

    python -m launch.prepare  --config=configs/fsdd.py --source=../shared/data/fsdd
    python -m launch.train    --config=configs/fsdd.py --workdir=runs/fsdd
    python -m launch.evaluate --workdir=runs/fsdd --split=test

Arguments: smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument
from configs.models import ctc_conformer


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("smoke",))
    config = get_defaults()
    config.corpus.name = "fsdd"
    config.corpus.sample_rate = 8_000
    # Pieces that are whole words: spelled, ten words of four voices teach no spelling.
    config.text.update({"tokenizer": "bpe", "vocab_size": 48})
    config.model = ctc_conformer(num_layers=3, embed_dim=96)
    # In half a second a band's own mean and deviation are mostly the digit's: take the corpus's.
    config.model.log_mel.update(
        {
            "sample_rate": 8_000,
            "window_length": 200,
            "hop_length": 80,
            "num_mels": 40,
            "normalize": "global",
        }
    )
    config.model.spec_augment.max_frequency_bins = 8
    # Frames of 20 ms: the shortest digits last 0.15 s.
    config.model.encoder.stem = "whisper"
    config.data.update({"batch_seconds": 20.0, "num_buckets": 3, "max_seconds": 3.0})
    # Four voices: speeds far apart, which change pitch and formants too, stand for the others.
    config.data.augment.update(
        {
            "speeds": (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25),
            "gain_db": 15.0,
            "noise_probability": 0.3,
        }
    )
    config.optimizer.learning_rate.peak = 2e-3
    config.train.update({"num_steps": 1000, "evaluate_every": 250, "checkpoint_every": 250})
    if "smoke" in words:
        make_smoke(config)
    return config
