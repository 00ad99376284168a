"""Reading a compiled program's text: its instructions, and how often each of them runs.

XLA's own cost analysis counts the body of a loop once; layers run in loops, so what a step costs
is its body as often as it runs.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence

BYTES = {
    **dict.fromkeys(("pred", "s8", "u8", "f8e4m3fn", "f8e5m2", "s4", "u4"), 1),
    **dict.fromkeys(("bf16", "f16", "s16", "u16"), 2),
    **dict.fromkeys(("f32", "s32", "u32"), 4),
    **dict.fromkeys(("f64", "s64", "u64", "c64"), 8),
}
ARRAY = re.compile(r"\b([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?")
# A layout that places an array in memory on the chip itself, as a TPU's vector memory.
ON_CHIP = re.compile(r"S\([1-9]")
INSTRUCTION = re.compile(
    r"^\s+(?P<root>ROOT )?%(?P<name>\S+) = (?P<shape>\(.*?\)|\S+) (?P<op>[\w-]+)\((?P<rest>.*)$"
)
COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%(?P<name>\S+) \(.*\{$")
NAME = re.compile(r"%([^\s,(){}]+)")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    shape:    as written, of an array or a tuple of them.
    operands: names of instructions of the same computation.
    text:     what follows the operation's name.
    """

    name: str
    op: str
    shape: str
    operands: tuple[str, ...]
    text: str
    is_root: bool

    @functools.cached_property
    def arrays(self) -> Sequence[tuple[int, bool]]:
        """Of each array in the result, its bytes and whether they lie in main memory."""
        return [
            (_size(kind, axes), not ON_CHIP.search(layout))
            for kind, axes, layout in ARRAY.findall(self.shape)
        ]

    @property
    def bytes(self) -> int:
        """Size of the result, in bytes."""
        return sum(size for size, _ in self.arrays)

    @property
    def stored_bytes(self) -> int:
        """Those of its bytes that lie in the device's main memory, not on the chip."""
        return sum(size for size, is_stored in self.arrays if is_stored)

    def called(self, role: str) -> str | None:
        """The computation that it calls as its `calls`, `body`, `condition` ..."""
        found = re.search(rf"\b{role}=%([^\s,()]+)", self.text)
        return found[1] if found else None


Computation = Mapping[str, Instruction]


@dataclasses.dataclass(frozen=True)
class Program:
    """The computations of a compiled program by name, and which of them is run."""

    computations: Mapping[str, Computation]
    entry: str

    @classmethod
    def parse(cls, text: str) -> "Program":
        computations: dict[str, dict[str, Instruction]] = {}
        entry, current = "", {}
        for line in text.splitlines():
            if opening := COMPUTATION.match(line):
                current = computations[opening["name"]] = {}
                entry = opening["name"] if opening["entry"] else entry
            elif found := INSTRUCTION.match(line):
                current[found["name"]] = _instruction(found)
        return cls(computations, entry)

    def fused(self, instruction: Instruction) -> Computation | None:
        """What a fusion computes; None for any other instruction."""
        if instruction.op != "fusion":
            return None
        return self.computations.get(instruction.called("calls") or "")

    def runs(self) -> Iterator[tuple[Computation, int]]:
        """The entry and the bodies of its loops, each with how often it runs."""
        yield from self._runs(self.entry, 1)

    def _runs(self, name: str, times: int) -> Iterator[tuple[Computation, int]]:
        yield self.computations[name], times
        for instruction in self.computations[name].values():
            if instruction.op == "while":
                body = instruction.called("body")
                if body:
                    yield from self._runs(body, times * self._trips(instruction))
            elif instruction.op in ("call", "conditional", "async-start"):
                for role in ("to_apply", "calls", "true_computation", "false_computation"):
                    called = instruction.called(role)
                    if called:
                        yield from self._runs(called, times)

    def _trips(self, loop: Instruction) -> int:
        """How often a loop runs: what XLA says, or the bound that its condition compares with."""
        if stated := re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.text):
            return int(stated[1])
        condition = self.computations.get(loop.called("condition") or "", {})
        bounds = [
            int(found[1])
            for instruction in condition.values()
            if instruction.op == "constant" and (found := re.match(r"(\d+)\)", instruction.text))
        ]
        return max(bounds, default=1)


def _instruction(found: re.Match[str]) -> Instruction:
    inside = _up_to_closing(found["rest"])
    return Instruction(
        name=found["name"],
        op=found["op"],
        shape=found["shape"],
        operands=tuple(NAME.findall(inside)),
        text=found["rest"],
        is_root=bool(found["root"]),
    )


def _up_to_closing(text: str) -> str:
    """The operands: up to the parenthesis that closes them."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[:place]
    return text


def _size(kind: str, axes: str) -> int:
    size = BYTES.get(kind, 0)
    for axis in filter(None, axes.split(",")):
        size *= int(axis)
    return size
