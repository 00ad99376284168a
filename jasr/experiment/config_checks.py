"""Numbers of a config that would otherwise be found wrong long after the start."""

import math
from collections.abc import Mapping
from typing import Any

from jasr.audio.log_mel import LogMel
from jasr.errors import UserError

# Lowest and highest, in whole numbers; and seconds, above nothing.
WHOLE = {
    "seed": (0, 2**32 - 1),
    "data.num_buckets": (1, math.inf),
    "data.max_tokens": (1, math.inf),
    "data.num_workers": (0, math.inf),
    "evaluation.num_buckets": (1, math.inf),
    "train.num_steps": (1, math.inf),
    "train.microbatches": (1, math.inf),
    "train.log_every": (1, math.inf),
    "train.evaluate_every": (1, math.inf),
    "train.checkpoint_every": (1, math.inf),
    "train.keep_checkpoints": (1, math.inf),
    "train.max_nonfinite": (1, math.inf),
}
SECONDS = ("data.max_seconds", "data.batch_seconds", "evaluation.batch_seconds")


def check_numbers(config: Mapping[str, Any]) -> None:
    """Raises UserError for the first number of a config that cannot be one."""
    for key, (low, high) in WHOLE.items():
        value = _at(config, key)
        if type(value) is not int or not low <= value <= high:
            most = "" if high == math.inf else f" and at most {high}"
            raise UserError(
                f"config.{key} is {value!r}: expected a whole number of at least {low}{most}"
            )
    for key in SECONDS:
        value = _at(config, key)
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise UserError(f"config.{key} is {value!r}: expected seconds, more than 0")


def check_rate(config: Mapping[str, Any]) -> None:
    """Raises UserError where the model's front end is for another rate than the corpus's."""
    front_end = config["model"].get("log_mel", {})
    rate, heard = config["corpus"]["sample_rate"], front_end.get("sample_rate", LogMel.sample_rate)
    if front_end.get("name") in ("log_mel", "whisper") and rate != heard:
        raise UserError(
            f"config.corpus.sample_rate is {rate}, and config.model.log_mel is for {heard} Hz: let "
            f"both be one, in the config module (config.model.log_mel.sample_rate = {rate})"
        )


def _at(config: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.rpartition(".")
    return config[section][name] if section else config[name]
