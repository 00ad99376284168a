"""Make a recogniser of an encoder that configs/pretrain.py trained.

    python -m launch.train    --config=configs/finetune.py:10 --config.init.workdir=runs/bestrq \\
                              --workdir=runs/fine
    python -m launch.evaluate --workdir=runs/fine --split=test

Arguments: 1, 10 or 100, per cent of AN4's transcripts to learn from (100 if none is given); scratch
(the same recogniser and data, and nothing learned before); lora (low-rank changes to attention, and
all else frozen); smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs import an4
from configs.defaults import make_smoke, parse_argument

PERCENTAGES = ("1", "10", "100")


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, (*PERCENTAGES, "scratch", "lora", "smoke"))
    percent = next((word for word in PERCENTAGES if word in words), "100")
    config = an4.get_config()
    config.splits.train = f"train[:{percent}%]"
    if "scratch" not in words:
        config.init.new = ("^ctc_head/",)
        config.init.left = ("^heads_", "^mask_embedding")
        config.optimizer.learning_rate.peak = 1e-3
    if "lora" in words:
        config.lora = ConfigDict(
            {"parameters": ("attention/(query|value)/kernel",), "rank": 8, "alpha": 16.0}
        )
        config.optimizer.no_weight_decay = ("bias$",)
    if "smoke" in words:
        make_smoke(config)
    return config
