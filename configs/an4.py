"""CMU AN4: spelled names, addresses and numbers; 37 minutes to train on.

    python -m launch.prepare  --config=configs/an4.py --source=../shared/data/an4
    python -m launch.train    --config=configs/an4.py --workdir=runs/an4
    python -m launch.evaluate --workdir=runs/an4 --split=test

Arguments: smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument, use_muon
from configs.models import ctc_conformer


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("smoke",))
    config = get_defaults()
    config.corpus.name = "an4"
    config.model = ctc_conformer(num_layers=4, embed_dim=144)
    config.model.encoder.stem = "conv2d_4x"
    config.data.update({"batch_seconds": 20.0, "num_buckets": 4, "max_seconds": 8.0})
    # No noise: with it alignments were found hundreds of steps later, or hardly at all.
    config.data.augment.update({"speeds": (0.9, 1.0, 1.1), "gain_db": 6.0})
    # With AdamW alignments were found after 1,000 steps, with Muon after 300.
    use_muon(config)
    config.train.update({"num_steps": 3000, "evaluate_every": 500, "checkpoint_every": 500})
    if "smoke" in words:
        make_smoke(config)
    return config
