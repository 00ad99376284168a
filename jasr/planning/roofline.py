"""The least time that a step can take on a chip (Williams et al., 2009, "Roofline")."""

import dataclasses
from collections.abc import Mapping

from jasr.sharding.chips import Chip


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one run of a program asks of each device.

    flops:       arithmetic that is carried out, recomputation included.
    memory:      bytes between its memory and its arithmetic.
    collectives: bytes that it sends to others, by kind.
    """

    flops: float
    memory: float
    collectives: Mapping[str, float]

    def seconds(self, chip: Chip) -> Mapping[str, float]:
        """The least seconds by what bounds them; all three at best go on at once."""
        return {
            "arithmetic": self.flops / chip.flops,
            "memory": self.memory / chip.bandwidth,
            "interconnect": sum(self.collectives.values()) / chip.interconnect,
        }
