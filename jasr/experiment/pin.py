"""Which checkpoint of another training this one depends on, so that it is still that one later."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jasr.errors import UserError
from jasr.training.checkpoint import Checkpoints


@dataclasses.dataclass(frozen=True)
class Pin:
    """A checkpoint of another training.

    folder:      of that training, absolute.
    fingerprint: of its parameters, and of those that low-rank changes among them are changes of.
    """

    step: int
    folder: str
    fingerprint: str

    @classmethod
    def of(cls, checkpoints: Checkpoints, wanted: str, before: "Pin | None") -> "Pin":
        """The checkpoint that "best", "last" or a number means, or that it was before.

        Raises UserError where there is none, or where it is gone or another than before.
        """
        folder = checkpoints.folder.parent
        if before is not None and before.step not in checkpoints.steps():
            raise UserError(
                f"{checkpoints.given_as}: step {before.step} of {folder}, which this training "
                f"depends on, is gone: put it back, or begin in another --workdir (there, "
                f"config.train.keep_checkpoints says how many are kept)"
            )
        step = checkpoints.find(wanted if before is None else str(before.step))
        own, base = checkpoints.fingerprint(step), checkpoints.read_meta(step).get("base")
        found = cls(step, str(folder), f"{own}+{base['fingerprint']}" if base else own)
        if before is not None and found.fingerprint != before.fingerprint:
            raise UserError(
                f"{checkpoints.given_as}: step {step} of {folder} is of another run than the one "
                f"that this training depends on: put that back, or begin in another --workdir"
            )
        return found

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Pin":
        """What `dataclasses.asdict` made of one."""
        return cls(**saved)
