"""Arrays as pictures with axes: pixels as an embedded PNG, everything else as SVG.

y_label │▒▒▓▓░░▒▒▓▓│
        └──────────┘
           x_label
"""

import base64
import io
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

_Number: TypeAlias = int | float

_COLOURS = matplotlib.colormaps["magma"].with_extremes(bad="#808080")
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 72, 14, 8, 44
_ROW_HEIGHT, _MIN_HEIGHT, _MAX_HEIGHT = 18, 150, 420


@dataclass(frozen=True, eq=False)
class Picture:
    """A matrix to look at: a log-mel spectrogram, an attention map, CTC posteriors.

    image:      [rows, columns]; row 0 is drawn at the bottom, column 0 at the left. Values that
                are not finite are drawn grey.
    extent:     (left, right, bottom, top) of the image in the units that the labels name.
    row_labels: names of the rows, bottom first, in place of numbers; empty for numbers.
    """

    title: str
    image: Float[np.ndarray, "rows columns"]
    x_label: str
    y_label: str
    extent: tuple[_Number, _Number, _Number, _Number]
    row_labels: tuple[str, ...] = ()


class Tick(NamedTuple):
    """A label and where it stands, in the drawing's units."""

    at: float
    label: str


class Drawing(NamedTuple):
    """A picture laid out for the template."""

    picture: Picture
    size: tuple[int, int]
    frame: tuple[int, int, int, int]  # left, top, width, height of the image
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    png: str  # base64
    low: float
    high: float
    colours: list[str]  # of low to high


def draw(picture: Picture) -> Drawing:
    """Lays the picture out and encodes its pixels."""
    width, height = _WIDTH - _LEFT - _RIGHT, _height(picture)
    left, right, bottom, top = picture.extent
    finite = picture.image[np.isfinite(picture.image)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return Drawing(
        picture=picture,
        size=(_WIDTH, height + _TOP + _BOTTOM),
        frame=(_LEFT, _TOP, width, height),
        x_ticks=_number_ticks(left, right, _LEFT, _LEFT + width, most=8),
        y_ticks=_row_ticks(picture.row_labels, height)
        or _number_ticks(bottom, top, _TOP + height, _TOP, most=5),
        png=_png(picture.image, low, high),
        low=low,
        high=high,
        colours=[to_hex(_COLOURS(part)) for part in np.linspace(0, 1, 7)],
    )


def _height(picture: Picture) -> int:
    if not picture.row_labels:
        return _MIN_HEIGHT
    return min(max(_ROW_HEIGHT * len(picture.row_labels), _MIN_HEIGHT), _MAX_HEIGHT)


def _number_ticks(
    low: _Number, high: _Number, from_at: _Number, to_at: _Number, *, most: int
) -> list[Tick]:
    first, last = sorted((low, high))
    values = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(first, last)
    slack = 1e-9 * (last - first)
    return [
        Tick(from_at + (value - low) / (high - low) * (to_at - from_at), f"{value:g}")
        for value in values
        if first - slack <= value <= last + slack and high != low
    ]


def _row_ticks(labels: tuple[str, ...], height: int) -> list[Tick]:
    """As many of the row labels as can be read."""
    if not labels:
        return []
    row = height / len(labels)
    stride = int(np.ceil(0.7 * _ROW_HEIGHT / row))
    return [
        Tick(_TOP + height - (i + 0.5) * row, label.replace(" ", "␣"))
        for i, label in enumerate(labels)
        if i % stride == 0
    ]


def _png(image: np.ndarray, low: float, high: float) -> str:
    pixels = io.BytesIO()
    image = np.ma.masked_invalid(image)
    imsave(pixels, image, vmin=low, vmax=high, cmap=_COLOURS, origin="lower", format="png")
    return base64.b64encode(pixels.getvalue()).decode("ascii")
