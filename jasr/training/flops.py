"""Model FLOPs: the arithmetic that the mathematics asks for, whatever the compiler makes of it."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.interpreters import partial_eval
from jaxtyping import Shaped

from jasr.sharding.chips import chip_of


def matmul_flops(function: Callable[..., Any], *args: Any) -> int:
    """FLOPs of the matrix products and convolutions in a function, 2 for each multiply-add.

    args: arrays or shapes. Loops count as often as they run, a branch counts as its largest, and
    what no result needs does not count.
    Training takes three times the forward pass: once more for each of the two operands'
    gradients (Kaplan et al., 2020, section 2.1).
    """
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    needed, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return _count(needed)


def peak_flops(devices: Shaped[np.ndarray, "..."]) -> float | None:
    """The peak of all devices of a mesh together, FLOP/s; None where it is not known, a CPU say."""
    chip = chip_of(devices.flat[0])
    return None if chip is None else devices.size * chip.flops


def _count(jaxpr: Any) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: Any) -> int:
    match equation.primitive.name:
        case "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            depth = math.prod(shape[axis] for axis in contracted)
            return 2 * depth * math.prod(equation.outvars[0].aval.shape)
        case "conv_general_dilated":
            # The kernel holds each output channel's taps: channels in a group x window.
            kernel = equation.invars[1].aval.shape
            out_channels = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            taps = math.prod(kernel) // out_channels
            return 2 * taps * math.prod(equation.outvars[0].aval.shape)
        case "scan":
            return equation.params["length"] * _count(equation.params["jaxpr"].jaxpr)
        case "cond":
            return max((_count(branch.jaxpr) for branch in equation.params["branches"]), default=0)
        case _:
            return sum(
                _count(getattr(inner, "jaxpr", inner))
                for inner in equation.params.values()
                if hasattr(inner, "eqns") or hasattr(getattr(inner, "jaxpr", None), "eqns")
            )
