"""Spoken digits, who says them, and whether they are even: one model, four voices to learn from.

    python -m launch.prepare  --config=configs/digits.py --source=../shared/data/fsdd
    python -m launch.train    --config=configs/digits.py --workdir=runs/digits
    python -m launch.evaluate --workdir=runs/digits --split=test

Digits are tested on a voice that was never heard, speakers on recordings of the four that were kept
back. Arguments: alone (digits alone, of the same recordings); smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs import fsdd
from configs.defaults import make_smoke, parse_argument

HEARD, KEPT_BACK = "train[:90%]", "train[90%:]"


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("alone", "smoke"))
    config = fsdd.get_config()
    config.splits.train = HEARD
    config.model.task_encoding = "add"
    config.tasks.digit = ConfigDict({"name": "text"})
    config.objective = ConfigDict({"digit": {"name": "ctc", "task": "digit"}})
    if "alone" not in words:
        config.tasks.parity = ConfigDict({"name": "classes", "column": "label", "among": 2})
        config.tasks.speaker = ConfigDict({"name": "classes", "column": "speaker"})
        config.tasks.speaker.splits = ConfigDict({"validation": KEPT_BACK, "test": KEPT_BACK})
        for name in ("parity", "speaker"):
            config.objective[name] = ConfigDict(
                {"name": "classification", "head": name, "task": name}
            )
    config.evaluators = ConfigDict({"tasks": {"name": "tasks"}})
    config.train.best_by = "digit/wer"
    if "smoke" in words:
        make_smoke(config)
    return config
