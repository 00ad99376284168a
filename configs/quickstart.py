"""The embedded corpus, spoken by espeak-ng: what `make train` runs.

    python -m launch.prepare  --config=configs/quickstart.py
    python -m launch.train    --config=configs/quickstart.py --workdir=runs/quickstart
    python -m launch.evaluate --workdir=runs/quickstart --split=test

Arguments: ctc (a CTC head alone, with no decoder, which decodes sooner and errs more); smoke (a
minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument, use_muon
from configs.models import add_decoder, ctc_transformer

# Options of the corpus's smallest version.
FEW_SENTENCES = {"train_sentences": 48, "validation_sentences": 8, "test_sentences": 8}


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("ctc", "smoke"))
    config = get_defaults()
    config.corpus.kind = "spoken"
    config.corpus.name = "spoken"
    config.text.update({"tokenizer": "bpe", "vocab_size": 256})
    config.model = ctc_transformer(num_layers=4, embed_dim=144, dropout=0.0)
    # Pieces are nearly whole words, so a frame of 80 ms is short enough, and half the work.
    config.model.encoder.update({"stem": "conv1d_8x", "activation": "relu"})
    config.model.spec_augment.update({"time_masks": 0, "max_frequency_bins": 10})
    # Small batches: on a CPU many small steps learn more in a minute than a few large ones.
    config.data.update({"batch_seconds": 20.0, "num_buckets": 3})
    use_muon(config)
    config.train.update({"num_steps": 2500, "evaluate_every": 1250, "checkpoint_every": 500})
    if "ctc" not in words:
        add_writer(config, num_layers=1)
    if "smoke" in words:
        config.corpus.options = ConfigDict(FEW_SENTENCES)
        make_smoke(config)
        # Of so few sentences the pieces are nearly characters.
        config.model.encoder.stem = "conv1d_4x"
    return config


def add_writer(config: ConfigDict, *, num_layers: int) -> None:
    """Gives a config of CTC alone a decoder beside it, which writes the words."""
    add_decoder(config.model, num_layers=num_layers)
    config.objective.cross_entropy = ConfigDict(
        {"name": "cross_entropy", "label_smoothing": 0.1, "weight": 0.5}
    )
    config.decoding = ConfigDict({"name": "attention_greedy"})
