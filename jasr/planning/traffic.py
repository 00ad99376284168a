"""Bytes that a program moves: between memory and arithmetic, and between devices."""

import re
from collections.abc import Mapping

from jasr.planning.hlo import Computation, Instruction, Program

# Names and views of what is in memory already.
FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call"),
    *("conditional", "partition-id", "replica-id", "after-all", "opt-barrier"),
    *("copy-done", "async-start", "async-done", "async-update", "iota"),
}
# Custom calls that are kernels of ours, such as Pallas's; others only name or place.
KERNEL = 'custom_call_target="tpu_custom_call"'
# What a TPU makes of an all-reduce of which each device keeps a part: a fusion of this name.
SCATTERED = "all-reduce-scatter"
# Bytes that each device sends, of a result of N bytes in a group of g devices.
SENT = {
    "all-reduce": lambda size, group: 2 * size * (group - 1) / group,
    SCATTERED: lambda size, group: size * (group - 1) / group,
    "all-gather": lambda size, group: size * (group - 1) / group,
    "reduce-scatter": lambda size, group: size * (group - 1),
    "all-to-all": lambda size, group: size * (group - 1) / group,
    "collective-permute": lambda size, _: size,
}


def collective_bytes(program: Program) -> Mapping[str, float]:
    """Bytes that each device sends in one run, by kind of collective.

    By the ring algorithms: of N bytes and g devices all-reduce sends 2 N (g - 1) / g, all-gather
    and reduce-scatter half of it.
    """
    sent: dict[str, dict[str, float]] = {kind: {} for kind in SENT}
    for computation, times in program.runs():
        for instruction, fusion in _with_fused(program, computation):
            kind = instruction.op.removesuffix("-start")
            if kind == "all-reduce" and fusion.startswith(SCATTERED):
                kind = SCATTERED
            if kind in SENT:
                # Parts of one asynchronous collective share their channel.
                channel = re.search(r"channel_id=(\d+)", instruction.text)
                key = channel[1] if channel else instruction.name
                group = _group_size(instruction.text)
                # An asynchronous start's result holds its operand beside what it gives.
                is_start = kind != instruction.op
                size = max(instruction.arrays)[0] if is_start else instruction.bytes
                moved = times * SENT[kind](size, group) if group > 1 else 0.0
                sent[kind][key] = max(sent[kind].get(key, 0.0), moved)
    return {kind: sum(of_kind.values()) for kind, of_kind in sent.items() if any(of_kind.values())}


def memory_bytes(program: Program) -> int:
    """Bytes that each device reads from and writes to its main memory in one run.

    Every instruction outside a fusion reads its operands and writes its result, a kernel too; a
    slice of a larger array counts as the slice, and what the compiler keeps on the chip does not
    count.
    """
    return sum(
        times * _instruction_bytes(program, computation, instruction)
        for computation, times in program.runs()
        for instruction in computation.values()
        if instruction.op not in FREE
    )


def _instruction_bytes(program: Program, computation: Computation, called: Instruction) -> int:
    if called.op == "custom-call" and KERNEL not in called.text:
        return 0
    operands = [computation[name] for name in called.operands if name in computation]
    if called.op in ("dynamic-slice", "slice"):
        return 2 * called.stored_bytes
    if called.op == "dynamic-update-slice":
        return 2 * operands[1].stored_bytes
    fused = program.fused(called)
    if fused is None:
        return sum(operand.stored_bytes for operand in operands) + called.stored_bytes
    parameters = sorted(
        (line for line in fused.values() if line.op == "parameter"),
        key=lambda line: int(line.text.partition(")")[0]),
    )
    read = sum(
        _read(fused, parameter)
        for parameter, operand in zip(parameters, operands, strict=False)
        if operand.stored_bytes
    )
    root = next(line for line in fused.values() if line.is_root)
    return read + (min(_written(fused, root), called.stored_bytes) if called.stored_bytes else 0)


def _read(fused: Computation, parameter: Instruction) -> int:
    """Bytes of a fusion's parameter that it looks at."""
    users = [line for line in fused.values() if parameter.name in line.operands]
    slices = ("dynamic-slice", "slice", "dynamic-update-slice")
    if users and all(u.op in slices and u.operands[0] == parameter.name for u in users):
        return sum(user.bytes for user in users if user.op != "dynamic-update-slice")
    return parameter.bytes


def _written(fused: Computation, root: Instruction) -> int:
    """Bytes of a fusion's result that it writes; the rest of what it updates stays as it is."""
    if root.op == "tuple":
        return sum(_written(fused, fused[name]) for name in root.operands)
    if root.op == "bitcast":
        return _written(fused, fused[root.operands[0]])
    if root.op == "dynamic-update-slice":
        return 2 * fused[root.operands[1]].bytes
    return root.bytes


def _with_fused(
    program: Program, computation: Computation, fusion: str = ""
) -> list[tuple[Instruction, str]]:
    """A computation's instructions and those of the fusions in it, and the fusion each is in."""
    found = []
    for instruction in computation.values():
        found.append((instruction, fusion))
        fused = program.fused(instruction) or {}
        found += _with_fused(program, fused, instruction.name)
    return found


def _group_size(text: str) -> int:
    """Devices in each group of a collective, in any of the three ways XLA writes them."""
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", text):
        return listed[1].count(",") + 1
    if counted := re.search(r"replica_groups=\[\d+,(\d+)\]", text):
        return int(counted[1])
    if named := re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", text):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", named[1]))
        size = 1
        for axis in re.findall(r"'([^']+)'", named[2]):
            size *= int(sizes[axis])
        return size
    return 2 if "source_target_pairs" in text else 1
