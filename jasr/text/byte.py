"""One unit for each byte of UTF-8: any text of any script, and nothing to train."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jasr.text.units import Units

KIND = "byte"


@dataclass(frozen=True)
class ByteUnits(Units):
    """The 256 bytes; bytes that are not UTF-8 decode to U+FFFD."""

    @property
    def size(self) -> int:
        return 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def decode(self, units: Sequence[int]) -> str:
        return bytes(units).decode("utf-8", errors="replace")

    def names(self) -> list[str]:
        return [f"<{byte:02x}>" for byte in range(256)]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": KIND}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "ByteUnits":
        del state
        return cls()
