"""An evaluation as one page for people: report.html, which needs nothing but itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from jasr.evaluation.picture import Picture, draw
from jasr.evaluation.scoring import UtteranceScore
from jasr.files import write_whole
from jasr.text.error_counts import align_words

_WORST = 20
_CONFUSIONS = 10


def write_report(
    folder: Path,
    scores: Sequence[UtteranceScore],
    summary: Mapping[str, Any],
    *,
    title: str,
    pictures: Mapping[str, Sequence[Picture]],
) -> None:
    """Writes FOLDER/report.html; raises UserError if it cannot be written.

    title:    what was evaluated, such as the run and the split.
    pictures: of some utterances, by id; each id is one of `scores`.
    """
    page = render_report(scores, summary, title=title, pictures=pictures)
    write_whole(folder / "report.html", page)


def render_report(
    scores: Sequence[UtteranceScore],
    summary: Mapping[str, Any],
    *,
    title: str,
    pictures: Mapping[str, Sequence[Picture]],
) -> str:
    """The page as text; see `write_report`."""
    by_id = {score.id: score for score in scores}
    with_errors = [score for score in scores if score.words.errors]
    worst = sorted(with_errors, key=lambda score: (-score.words.errors, -score.words.rate))
    return _template().render(
        title=title,
        summary=summary,
        interval=_interval(summary),
        kinds=_kinds(summary),
        bars=_histogram([score.words.rate for score in scores]),
        num_with_errors=len(with_errors),
        confusions=_confusions(with_errors),
        worst=[_aligned(score) for score in worst[:_WORST]],
        pictured=[
            (_aligned(by_id[id]), [draw(picture) for picture in drawn])
            for id, drawn in pictures.items()
        ],
    )


@dataclass(frozen=True)
class Bar:
    """A bar of the histogram; `part` is its height as a fraction of the highest."""

    label: str
    count: int
    part: float


def _histogram(rates: Sequence[float]) -> list[Bar]:
    """Utterances with no error, then by tenths up to 100 %, then above (insertions)."""
    # Rounded before it is rounded up, so that 3 errors in 10 words do not fall above 30 %.
    tenths = np.ceil(np.round(10 * np.minimum(rates, 1.1), 6)).astype(int)
    counts = np.bincount(tenths, minlength=12)
    labels = ["0", *(f"{10 * i}–{10 * i + 10}" for i in range(10)), "> 100"]
    return [
        Bar(label, int(count), float(count / counts.max()))
        for label, count in zip(labels, counts, strict=True)
    ]


@dataclass(frozen=True)
class Kind:
    """One kind of error: its CSS class, its count and its share of all errors."""

    css: str
    name: str
    count: int
    share: float


def _kinds(summary: Mapping[str, Any]) -> list[Kind]:
    names = {"substitute": "substitutions", "delete": "deletions", "insert": "insertions"}
    errors = sum(summary[name] for name in names.values())
    return [
        Kind(css, name, summary[name], summary[name] / max(errors, 1))
        for css, name in names.items()
    ]


@dataclass(frozen=True)
class Interval:
    """The rate and its bounds as fractions of a scale that ends at `end`."""

    low: float
    rate: float
    high: float
    end: float


def _interval(summary: Mapping[str, Any]) -> Interval:
    top = max(summary["wer_high"], summary["wer"])
    end = next((end for end in (0.05, 0.1, 0.2, 0.5, 1.0) if top <= 0.95 * end), 1.25 * top)
    return Interval(summary["wer_low"] / end, summary["wer"] / end, summary["wer_high"] / end, end)


@dataclass(frozen=True)
class Confusion:
    """A word said, a word recognised in its place, and how often."""

    reference: str | None
    hypothesis: str | None
    count: int


def _confusions(scores: Sequence[UtteranceScore]) -> dict[str, list[Confusion]]:
    """The most frequent errors of each kind."""
    found: dict[str, Counter[tuple[str | None, str | None]]] = {
        "substitute": Counter(),
        "delete": Counter(),
        "insert": Counter(),
    }
    for score in scores:
        for op, reference, hypothesis in align_words(score.reference, score.hypothesis):
            if op != "equal":
                found[op][reference, hypothesis] += 1
    return {
        op: [Confusion(*pair, count) for pair, count in counter.most_common(_CONFUSIONS)]
        for op, counter in found.items()
    }


@dataclass(frozen=True)
class Aligned:
    """An utterance with its words paired: (op, reference word, hypothesis word)."""

    score: UtteranceScore
    pairs: Sequence[tuple[str, str | None, str | None]]


def _aligned(score: UtteranceScore) -> Aligned:
    return Aligned(score, align_words(score.reference, score.hypothesis))


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "thousands": _thousands, "clock": _clock}
    return environment.get_template("report.html")


def _percent(fraction: float, digits: int = 2) -> str:
    return f"{100 * fraction:.{digits}f} %"


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def _clock(seconds: float) -> str:
    """Such as 4.2 s, 3 min 05 s or 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
