"""Square matrices of named things side by side, as one picture."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

Matrix = Float[np.ndarray, "things things"]


def named_rows(names: Sequence[str], values: Matrix) -> dict[str, dict[str, float | None]]:
    """name -> name -> value, None where it is not known: what JSON can hold."""

    def row(numbers: Float[np.ndarray, " things"]) -> dict[str, float | None]:
        known = (number if np.isfinite(number) else None for number in numbers.tolist())
        return dict(zip(names, known, strict=True))

    return {name: row(numbers) for name, numbers in zip(names, values, strict=True)}


def draw_matrices(matrices: Mapping[str, tuple[Sequence[str], Matrix]]) -> bytes:
    """A PNG; matrices: title -> (names, values from -1 to 1), each value written in its place."""
    width = sum(2 + 0.8 * len(names) for names, _ in matrices.values())
    height = 2 + 0.7 * max(len(names) for names, _ in matrices.values())
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axis, (title, (names, values)) in zip(axes, matrices.items(), strict=True):
        axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r")
        axis.set_title(title)
        axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axis.set_yticks(range(len(names)), names)
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.6 else "black"
                axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    return png.getvalue()
