"""Coffee orders: what is wanted, and its details, from real speech that nobody transcribed.

    python -m launch.prepare  --config=configs/barista.py --source=../shared/data/barista
    python -m launch.train    --config=configs/barista.py --workdir=runs/barista
    python -m launch.evaluate --workdir=runs/barista --split=test

With example orders of its grammar, spoken by espeak-ng, beside them:

    python -m benchmarks.barista_orders --grammar=../shared/data/barista/grammar \\
                                        --output=runs/source/orders
    python -m launch.prepare --config=configs/barista.py:spoken --source=runs/source

(runs/source/barista being the recordings' folder, or a link to it.) Arguments: spoken; smoke (a
minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument, use_muon
from configs.models import add_decoder, ctc_conformer


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("spoken", "smoke"))
    config = get_defaults()
    config.corpus.name = "barista"
    if "spoken" in words:
        config.corpus.update({"kind": "mixture", "name": "orders"})
        config.corpus.parts.barista = ConfigDict({"kind": "manifest", "passes": 2})
        config.corpus.parts.orders = ConfigDict({"kind": "spoken_text"})
    config.tasks.slots = ConfigDict({"name": "slots"})
    config.text.update({"tokenizer": "bpe", "vocab_size": 160})
    config.model = ctc_conformer(num_layers=4, embed_dim=144)
    config.model.encoder.stem = "conv1d_4x"
    add_decoder(config.model, num_layers=2)
    config.objective = ConfigDict(
        {
            # Of what was spoken from a text; the recordings have none.
            "ctc": {"name": "ctc", "target": "transcript", "weight": 0.3},
            "slots": {"name": "cross_entropy", "task": "slots", "label_smoothing": 0.1},
        }
    )
    config.data.update({"batch_seconds": 30.0, "num_buckets": 3, "max_seconds": 15.0})
    config.data.augment.update({"speeds": (0.9, 1.0, 1.1), "gain_db": 6.0})
    use_muon(config)
    config.decoding = ConfigDict({"name": "attention_greedy"})
    config.evaluators = ConfigDict({"tasks": {"name": "tasks"}})
    config.train.update({"num_steps": 3000, "evaluate_every": 1000, "checkpoint_every": 1000})
    config.train.best_by = "slots/slu_f1_error"
    if "smoke" in words:
        make_smoke(config)
        config.text.vocab_size = 120
    return config
