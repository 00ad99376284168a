"""A smaller model's parameters, made of a larger one's.

Every axis has a logical name, so one rule for each name makes parameters that fit each other: the
same features of the residual stream are taken wherever "embed" stands.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jasr.errors import UserError, nearest
from jasr.layers.choices import choose
from jasr.models.int8 import read_axes


def spread(there: int, here: int) -> np.ndarray:
    """Evenly spaced places, the first and the last among them."""
    return np.round(np.linspace(0, there - 1, here)).astype(int) if here > 1 else np.array([0])


GIVEN_AS = "--layers or --decoder_layers"
LAYERS = {
    "uniform": spread,
    "first": lambda _, here: np.arange(here),
    "last": lambda there, here: np.arange(there - here, there),
}


def choose_layers(how: str, there: int, here: int) -> list[int]:
    """Which of `there` layers, from 0, become `here`.

    how: "uniform" (the first, and of several the last), "first", "last", or their numbers, counted
         from 1 and separated by commas.

    Raises UserError for layers that are not there, or another number of them.
    """
    if how[:1].isdigit():
        try:
            chosen = [int(number) - 1 for number in how.split(",")]
        except ValueError:
            raise UserError(f"{GIVEN_AS} {how}: expected numbers such as 1,3,6") from None
        if len(chosen) != here or not all(0 <= number < there for number in chosen):
            raise UserError(f"{GIVEN_AS} {how}: expected {here} of the layers 1 to {there}")
        return chosen
    rule = choose(LAYERS, how, key=GIVEN_AS)
    if here > there:
        raise UserError(f"a student of {here} layers is deeper than its teacher of {there}")
    return [int(number) for number in rule(there, here)]


def narrowed(
    values: Float[np.ndarray, "..."],
    path: str,
    axes: Sequence[str],
    sizes: Sequence[int],
    *,
    units: str,
    layers: str,
) -> Float[np.ndarray, "..."]:
    """A parameter with its axes cut to `sizes`.

    axes:   their logical names.
    units:  "select" takes heads, features and units that are evenly spaced; "average" the mean of
            neighbours, or where a map reads them, their sum, so that the mean of what is read stays
            what it was. Of positions the first are kept and of a convolution's taps the middle
            ones, whichever it is; of a head's features always some, as rotation pairs them.
    layers: which of a stack's, as `choose_layers` takes it.

    Raises UserError for a size that is larger than it was.
    """
    if units not in UNITS:
        raise UserError(f"--units={units} is unknown: {nearest(units, UNITS)}")
    for axis, (name, size) in enumerate(zip(axes, sizes, strict=True)):
        there = values.shape[axis]
        if name == "layers":
            values = np.take(values, choose_layers(layers, there, size), axis=axis)
        elif there < size:
            raise UserError(f"a student's {name} of {size} is wider than its teacher's {there}")
        elif there > size and name in KEPT:
            values = np.take(values, KEPT[name](there, size), axis=axis)
        elif there > size and units == "select":
            values = np.take(values, spread(there, size), axis=axis)
        elif there > size:
            is_read = path.endswith("kernel") and axis in read_axes(path, axes)
            values = _averaged(values, axis, size, is_read=is_read)
    return values


def _middle(there: int, here: int) -> np.ndarray:
    start = (there - here) // 2
    return np.arange(start, start + here)


def _of_both_halves(there: int, here: int) -> np.ndarray:
    """Feature i is paired with i + there / 2, as `jasr.layers.positions.rotate` does."""
    if there % 2 or here % 2:
        return spread(there, here)
    half = spread(there // 2, here // 2)
    return np.concatenate([half, half + there // 2])


UNITS = ("select", "average")
# What of an axis is kept, whatever is done with the others.
KEPT = {
    "positions": lambda _, here: np.arange(here),
    "kernel": _middle,
    "head_dim": _of_both_halves,
}


def _averaged(values: np.ndarray, axis: int, size: int, *, is_read: bool) -> np.ndarray:
    """Of neighbours in groups that are as even as they can be."""
    edges = np.round(np.linspace(0, values.shape[axis], size + 1)).astype(int)
    sums = np.add.reduceat(values, edges[:-1], axis=axis)
    if is_read:
        return sums
    counts = np.diff(edges).reshape(-1, *(1,) * (values.ndim - axis - 1))
    return (sums / counts).astype(values.dtype)
