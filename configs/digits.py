"""Spoken digits, who says them, and whether they are even: one model, four voices to learn from.

    python -m launch.prepare  --config=configs/digits.py --source=../shared/data/fsdd
    python -m launch.train    --config=configs/digits.py --workdir=runs/digits
    python -m launch.evaluate --workdir=runs/digits --split=test

Digits are tested on a voice that was never heard, speakers on recordings of the four that were kept
back. Arguments: alone (digits alone, of the same recordings); smoke (a minute on two cores).
"""

from ml_collections import ConfigDict

from configs import fsdd
from configs.defaults import make_smoke, parse_argument, use_muon

HEARD, KEPT_BACK = "train[:90%]", "train[90%:]"


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("alone", "smoke"))
    config = fsdd.get_config()
    config.splits.train = HEARD
    # Four voices, heard half of the time as by another microphone.
    config.data.augment.filter_probability = 0.5
    config.model.task_encoding = "add"
    config.tasks.digit = ConfigDict({"name": "classes", "column": "label"})
    if "alone" not in words:
        config.tasks.digit.share = 0.6
        config.tasks.parity = ConfigDict(
            {"name": "classes", "column": "label", "among": 2, "share": 0.2}
        )
        config.tasks.speaker = ConfigDict({"name": "classes", "column": "speaker", "share": 0.2})
        config.tasks.speaker.splits = ConfigDict({"validation": KEPT_BACK, "test": KEPT_BACK})
    # A recording of one word is a class; CTC, which a recogniser needs, spells every row beside.
    config.objective = ConfigDict({"ctc": {"name": "ctc", "target": "transcript", "weight": 0.3}})
    for name in config.tasks:
        config.objective[name] = ConfigDict({"name": "classification", "head": name, "task": name})
    use_muon(config)
    config.evaluators = ConfigDict({"tasks": {"name": "tasks"}})
    config.train.best_by = "digit/error"
    if "smoke" in words:
        make_smoke(config)
    return config
