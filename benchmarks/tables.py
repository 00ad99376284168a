"""Figures of several seeds, and tables of them."""

import statistics
from collections.abc import Mapping, Sequence


def spread(figures: Sequence[float | None]) -> str:
    """'mean (standard deviation) of seed, seed ...' in per cent, of those that are there."""
    there = [100 * figure for figure in figures if figure is not None]
    if not there:
        return "-"
    each = ", ".join(f"{figure:.1f}" for figure in there)
    if len(there) == 1:
        return f"{each} (one seed)"
    return f"**{statistics.mean(there):.1f}** ({statistics.stdev(there):.1f}) of {each}"


def markdown(header: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table; rows: by what stands in their first column."""
    lines = [header, ["---"] * len(header), *([label, *cells] for label, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
