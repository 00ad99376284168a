"""What memory a compiled program takes on each device."""

import dataclasses
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device, as XLA's memory analysis counts them.

    arguments:   what the program is given: the state and the batch.
    outputs:     what it returns beside arguments that it takes over, being donated.
    temporaries: what it needs in between.
    """

    arguments: int
    outputs: int
    temporaries: int

    @classmethod
    def of(cls, program: jax.stages.Compiled) -> "Memory":
        found: Any = program.memory_analysis()
        return cls(
            arguments=found.argument_size_in_bytes,
            outputs=found.output_size_in_bytes - found.alias_size_in_bytes,
            temporaries=found.temp_size_in_bytes,
        )

    @property
    def peak(self) -> int:
        """All of them together, which the device must hold at once."""
        return self.arguments + self.outputs + self.temporaries

    def __str__(self) -> str:
        return (
            f"{_megabytes(self.peak)} a device ({_megabytes(self.arguments)} arguments, "
            f"{_megabytes(self.temporaries)} temporaries)"
        )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
