"""LibriSpeech, 960 hours, from its own archives.

    python -m launch.prepare  --config=configs/librispeech.py --source=FOLDER_OF_TAR_GZ
    python -m launch.train    --config=configs/librispeech.py:conformer,large --workdir=runs/ls
    python -m launch.evaluate --workdir=runs/ls --split=test-clean

Arguments: conformer (instead of a Transformer encoder), large, xlarge, huge (larger than the 30 M
parameters it has without), whisper_large (the shape of Whisper large-v3), clean100 (train on
train-clean-100 alone), smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, one_of, parse_argument
from configs.models import add_decoder, ctc_conformer, ctc_transformer, whisper_transformer
from jasr.errors import UserError

# num_layers, embed_dim, num_heads of the encoder.
SIZES = {"large": (17, 512, 8), "xlarge": (24, 1024, 16), "huge": (40, 1280, 20)}


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("conformer", *SIZES, "whisper_large", "clean100", "smoke"))
    size = one_of(words, (*SIZES, "whisper_large"), "")
    if {"conformer", "whisper_large"} <= words:
        raise UserError(f"config argument {arg!r} names more than one model: give one size")
    config = get_defaults()
    config.corpus.kind = "librispeech"
    config.corpus.name = "librispeech"
    config.splits.train = "train-clean-100"
    if "clean100" not in words:
        config.splits.train += "+train-clean-360+train-other-500"
    config.splits.validation = "dev-clean"
    config.text.update({"tokenizer": "unigram", "vocab_size": 5000})
    encoder = ctc_conformer if "conformer" in words else ctc_transformer
    num_layers, embed_dim, num_heads = SIZES.get(size, (16, 256, 4))
    config.model = encoder(num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads)
    add_decoder(config.model, num_layers=6)
    config.model.dtype = "bfloat16"
    config.model.encoder.remat = "attended"
    config.model.spec_augment.update({"time_masks": 10, "max_time_fraction": 0.05})
    config.objective = ConfigDict(
        {
            "ctc": {"name": "ctc", "weight": 0.3},
            "cross_entropy": {"name": "cross_entropy", "weight": 0.7, "label_smoothing": 0.1},
        }
    )
    config.decoding = ConfigDict({"name": "attention_beam", "beam_size": 4})
    config.data.update({"batch_seconds": 2400.0, "max_seconds": 30.0, "num_workers": 8})
    config.data.augment.speeds = (0.9, 1.0, 1.1)
    config.optimizer.learning_rate.update({"peak": 1.5e-3, "warmup_steps": 10_000})
    config.train.update({"num_steps": 120_000, "evaluate_every": 2_000, "checkpoint_every": 1_000})
    config.mesh.data = 0
    if "whisper_large" in words:
        _make_whisper(config)
    if {"xlarge", "huge", "whisper_large"} & words:
        config.mesh.update({"preset": "fsdp", "data": 1, "fsdp": 0})
    if "smoke" in words:
        make_smoke(config)
    return config


def _make_whisper(config: ConfigDict) -> None:
    config.text.update({"tokenizer": "bpe", "vocab_size": 51_866})
    config.model = whisper_transformer(num_layers=32, embed_dim=1280, num_heads=20, num_mels=128)
    config.model.dtype = "bfloat16"
    config.model.encoder.remat = config.model.decoder.remat = "attended"
    config.objective = ConfigDict(
        {"cross_entropy": {"name": "chunked_cross_entropy", "label_smoothing": 0.1}}
    )
    # One of the 448 positions that the decoder knows is the start token's.
    config.data.update({"num_buckets": 4, "max_tokens": 447})
    config.optimizer.learning_rate.peak = 1.75e-4
