"""The embedded corpus, spoken by espeak-ng: what `make train` runs.

    python -m launch.prepare  --config=configs/quickstart.py
    python -m launch.train    --config=configs/quickstart.py --workdir=runs/quickstart
    python -m launch.evaluate --workdir=runs/quickstart --split=test

Arguments: smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument
from configs.models import ctc_transformer


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("smoke",))
    config = get_defaults()
    config.corpus.kind = "spoken"
    config.corpus.name = "spoken"
    config.model = ctc_transformer(num_layers=4, embed_dim=144, dropout=0.05)
    config.data.batch_seconds = 80.0
    config.data.num_buckets = 3
    config.optimizer.learning_rate.peak = 2e-3
    config.train.num_steps = 1500
    if "smoke" in words:
        config.corpus.options = ConfigDict(
            {"train_sentences": 48, "validation_sentences": 8, "test_sentences": 8}
        )
        make_smoke(config)
    return config
