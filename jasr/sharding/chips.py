"""What one chip can do, from the makers' data sheets."""

import dataclasses

import jax


@dataclasses.dataclass(frozen=True)
class Chip:
    """One accelerator chip.

    flops:        dense bfloat16 peak, FLOP/s.
    memory:       bytes.
    bandwidth:    of its memory, bytes/s.
    interconnect: bytes/s that it can send to its neighbours over all links together.
    """

    flops: float
    memory: float
    bandwidth: float
    interconnect: float


# By the beginning of JAX's device_kind.
CHIPS = {
    "NVIDIA A100": Chip(flops=312e12, memory=80e9, bandwidth=2.04e12, interconnect=300e9),
    "NVIDIA H100 PCIe": Chip(flops=756e12, memory=80e9, bandwidth=2.0e12, interconnect=300e9),
    "NVIDIA H100": Chip(flops=989e12, memory=80e9, bandwidth=3.35e12, interconnect=450e9),
    "NVIDIA H200": Chip(flops=989e12, memory=141e9, bandwidth=4.8e12, interconnect=450e9),
    "TPU v4": Chip(flops=275e12, memory=32e9, bandwidth=1.228e12, interconnect=300e9),
    "TPU v5 lite": Chip(flops=197e12, memory=16e9, bandwidth=0.819e12, interconnect=200e9),
    "TPU v5": Chip(flops=459e12, memory=95e9, bandwidth=2.765e12, interconnect=600e9),
    "TPU v6 lite": Chip(flops=918e12, memory=32e9, bandwidth=1.64e12, interconnect=448e9),
}


def chip_of(device: jax.Device) -> Chip | None:
    """The chip behind a device; None where it is not in the table, as a CPU is not."""
    names = [name for name in CHIPS if device.device_kind.startswith(name)]
    return CHIPS[max(names, key=len)] if names else None
