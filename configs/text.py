"""Learn a language from plain text files; a recogniser's decoder can start from it.

    python -m launch.train --config=configs/text.py:causal --workdir=runs/text \\
                           --config.corpus.options.path=../shared/data/text

Arguments: causal (each token from those before it) or mlm (corrupted tokens from all others);
decoder (with mlm: from the tokens before it, in a decoder); smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs.defaults import get_defaults, make_smoke, parse_argument
from configs.models import text_decoder, text_encoder


def get_config(arg: str = "causal") -> ConfigDict:
    words = parse_argument(arg, ("causal", "mlm", "decoder", "smoke"))
    config = get_defaults()
    config.corpus.update({"kind": "text", "name": "text", "sample_rate": 15})
    config.corpus.options.path = ""
    config.text.update({"tokenizer": "bpe", "vocab_size": 256})
    in_decoder = "mlm" not in words or "decoder" in words
    body = text_decoder if in_decoder else text_encoder
    config.model = body(num_layers=4, embed_dim=144, num_heads=4)
    if "mlm" in words:
        config.model.name = "masked_text"
        config.model.token_mask = ConfigDict({"probability": 0.15})
        config.objective = ConfigDict(
            {"masked_prediction": {"name": "masked_prediction", "head": "text"}}
        )
    else:
        config.objective = ConfigDict({"cross_entropy": {"name": "cross_entropy"}})
    config.data.update({"min_seconds": 0.0, "batch_seconds": 240.0, "num_buckets": 4})
    config.evaluators = ConfigDict({"objective": {"name": "objective"}})
    config.train.update({"num_steps": 5000, "evaluate_every": 1000, "checkpoint_every": 1000})
    config.train.best_by = "loss"
    if "smoke" in words:
        make_smoke(config)
        config.text.vocab_size = 80
    return config
