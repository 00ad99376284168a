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
    config.model = ctc_conformer(num_layers=4, embed_dim=144)
    config.model.log_mel.update(
        {"sample_rate": 8_000, "window_length": 200, "hop_length": 80, "num_mels": 40}
    )
    config.data.update({"batch_seconds": 20.0, "num_buckets": 3, "max_seconds": 3.0})
    config.data.augment.update({"speeds": (0.9, 1.0, 1.1), "gain_db": 6.0})
    config.optimizer.learning_rate.peak = 2e-3
    config.train.update({"num_steps": 1500, "evaluate_every": 500, "checkpoint_every": 500})
    if "smoke" in words:
        make_smoke(config)
    return config
