"""speechocean762: English sentences read by Mandarin speakers, adults and children.

    python -m launch.prepare  --config=configs/speechocean.py --source=../shared/data/speechocean762
    python -m launch.train    --config=configs/speechocean.py --workdir=runs/speechocean
    python -m launch.evaluate --workdir=runs/speechocean --split=test

Arguments: smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument
from configs.models import add_decoder, ctc_conformer


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("smoke",))
    config = get_defaults()
    config.corpus.name = "speechocean762"
    config.text.update({"tokenizer": "bpe", "vocab_size": 300})
    config.model = ctc_conformer(num_layers=8, embed_dim=144)
    add_decoder(config.model, num_layers=3)
    config.objective = ConfigDict(
        {
            "ctc": {"name": "ctc", "weight": 0.3},
            "cross_entropy": {"name": "cross_entropy", "weight": 0.7, "label_smoothing": 0.1},
        }
    )
    config.data.update({"batch_seconds": 120.0, "num_buckets": 8})
    config.data.augment.update({"speeds": (0.9, 1.0, 1.1), "gain_db": 6.0})
    config.train.num_steps = 6000
    if "smoke" in words:
        make_smoke(config)
    return config
