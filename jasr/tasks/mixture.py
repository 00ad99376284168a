"""Rows of several tasks, mixed: how much of an epoch is each task's."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jasr.corpora.joined import JoinedCorpus
from jasr.corpora.passes import in_eighths
from jasr.errors import UserError
from jasr.tasks.asked import AskedCorpus

# By how much of itself a share may differ from what was stated.
MAX_SHARE_ERROR = 0.1


@dataclasses.dataclass(frozen=True)
class Mixing:
    """What each task's part of an epoch is.

    shares:      of each task, in proportion to the others'; None where as many rows as a task has
                 to the power of 1 / temperature are its share.
    temperature: 1 leaves proportions as they are, infinity evens them out (Arivazhagan et al. 2019,
                 "Massively multilingual neural machine translation in the wild", section 4.2).
    """

    shares: tuple[float, ...] | None
    temperature: float = 1.0

    @classmethod
    def of(cls, tasks: Mapping[str, Mapping[str, Any]], temperature: float) -> "Mixing":
        """What config.tasks and config.mixing_temperature say; raises UserError for nonsense."""
        if not temperature >= 0.1:
            raise UserError(
                f"config.mixing_temperature is {temperature!r}: expected 1 for proportions as they "
                f"are, more to even them out, and at least 0.1"
            )
        given = [section.get("share") for section in tasks.values()]
        if all(share is None for share in given):
            return cls(None, temperature)
        shares = []
        for name, share in zip(tasks, given, strict=True):
            if not isinstance(share, int | float) or not 0 < share < math.inf:
                raise UserError(
                    f"config.tasks.{name}.share is {share!r}: expected a number above 0 for every "
                    f"task, or none for any"
                )
            shares.append(float(share))
        return cls(tuple(shares), temperature)

    def among(self, sizes: Float[np.ndarray, " tasks"]) -> Float[np.ndarray, " tasks"]:
        """The shares of tasks that have so many rows; they sum to 1."""
        if self.shares is not None:
            weights = np.asarray(self.shares, np.float64)
        else:
            weights = (sizes / np.max(sizes)) ** (1 / self.temperature)
        return weights / np.sum(weights)


class Mixture(JoinedCorpus):
    """The rows of several tasks. An epoch goes over all that are used as often as there are such
    rows; of each task there are as many as its share says."""

    def __init__(self, parts: Sequence[AskedCorpus], mixing: Mixing):
        super().__init__(parts)
        self.names, self.mixing = tuple(part.task for part in parts), mixing

    def __reduce__(self):
        return Mixture, (self.parts, self.mixing)

    def mixed(
        self, own: Float[np.ndarray, " some"] | None, numbers: Int[np.ndarray, " some"]
    ) -> Float[np.ndarray, " some"]:
        """How often an epoch goes over each row: as the shares say, in eighths, and as its own
        corpus does beside the others of its task.

        An epoch is as long as it takes, up to four times all rows, for that to be exact. Raises
        UserError where a share would still be off by more than a tenth of it, or where a task has
        no row.
        """
        own = np.ones(len(numbers)) if own is None else own
        sizes = np.bincount(numbers, own, minlength=len(self.parts))
        for name, size in zip(self.names, sizes, strict=True):
            if not size:
                raise UserError(
                    f"config.tasks.{name}: none of its rows can be used; config.data says what can "
                    f"(min_seconds, max_seconds, max_tokens)"
                )
        shares = self.mixing.among(sizes)
        wanted = shares * np.sum(sizes) / sizes
        found = [in_eighths(own * scale * wanted[numbers]) for scale in np.arange(8, 33) / 8]
        counts = [np.bincount(numbers, passes, minlength=len(self.parts)) for passes in found]
        given = [count / np.sum(count) for count in counts]
        errors = [np.max(np.abs(one / shares - 1)) for one in given]
        best = int(np.argmin(np.round(errors, 2)))
        if errors[best] > MAX_SHARE_ERROR:
            worst = int(np.argmax(np.abs(given[best] / shares - 1)))
            raise UserError(
                f"config.tasks.{self.names[worst]}: a share of {shares[worst]:.4f} of these "
                f"corpora cannot be mixed, {given[best][worst]:.4f} would be the nearest; give "
                f"shares that are less far apart"
            )
        return found[best]
