"""Where the bars of a chart stand: pure geometry. The templates draw it as SVG.

Across the page everything is in percent and down the page in pixels, so that a chart fits a phone as it fits a
desk without its letters growing or shrinking.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROW = 44  # pixels of a row with its name above its bar
BAR = 14
PLOT = 150  # height of a chart of columns
GUTTER = 16  # percent: where the values stand, left of the columns
_LEAST = 0.4  # percent: a bar that would be thinner is not seen
_LEAST_HEIGHT = 1.5
_GAP = 0.25  # of a column's width, between two columns
_HEADROOM = 1.5  # an outlier is cut at so many times what nine in ten stay below ...
_OUTLIER = 3  # ... when it is more than so many times that


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a chart: where it stands, which series it is of, what it says, and whether it was cut."""

    x: float
    y: float
    width: float
    height: float
    series: str
    text: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, with the grid's lines as (position, value), and the height of it all."""

    bars: tuple[Bar, ...]
    grid: tuple[tuple[float, float], ...]
    height: float


def timeline(spans: Sequence[tuple[float, float, str, str]]) -> Chart:
    """One row for each (begin, length, series, text): bars along a common time."""
    whole = max((begin + length for begin, length, _, _ in spans), default=0) or 1
    bars = []
    for row, (begin, length, series, text) in enumerate(spans):
        width = max(100 * length / whole, _LEAST)
        bars.append(Bar(min(100 * begin / whole, 100 - width), row * ROW + ROW - BAR - 8, width, BAR, series, text))
    return Chart(tuple(bars), _grid(whole, 100), len(spans) * ROW)


def rows(values: Sequence[Sequence[tuple[str, float, str]]]) -> Chart:
    """One row for each list of (series, value, text): bars end to end."""
    whole = max((sum(value for _, value, _ in row) for row in values), default=0) or 1
    bars = []
    for number, row in enumerate(values):
        x = 0.0
        for series, value, text in row:
            if value:
                width = min(max(100 * value / whole, _LEAST), 100 - x)
                bars.append(Bar(x, number * ROW + ROW - BAR - 8, width, BAR, series, text))
                x += width
    return Chart(tuple(bars), (), len(values) * ROW)


def columns(values: Sequence[Sequence[tuple[str, float, str]]], *, least: int = 1, cut: bool = False) -> Chart:
    """One column for each list of (series, value, text): bars on top of each other, for at least `least` columns.

    `cut`: what towers above the others is cut, so that these can be told apart.
    """
    sums = [sum(value for _, value, _ in column) for column in values]
    top = _top(sums) if cut else max(sums, default=0)
    grid = _grid(top or 1, PLOT)
    scale = PLOT / (top or 1)
    step = (100 - GUTTER) / max(len(values), least)
    bars = []
    for number, (column, whole) in enumerate(zip(values, sums, strict=True)):
        y = float(PLOT)
        shrink = min(1.0, top / whole) if whole else 1.0
        for series, value, text in column:
            if value:
                height = max(value * shrink * scale, _LEAST_HEIGHT)
                y -= height
                bars.append(Bar(GUTTER + number * step, y, step * (1 - _GAP), height, series, text, cut=shrink < 1))
    return Chart(tuple(bars), tuple((PLOT - value * scale, value) for _, value in grid), PLOT)


def _top(values: Sequence[float]) -> float:
    """The height at which columns are cut: that of the highest one, unless it towers above nine in ten.

    >>> _top([10, 12, 11]), _top([100_000, 10, 12]), _top([])
    (12, 18.0, 0)
    """
    ordered = sorted(value for value in values if value)
    if not ordered:
        return 0
    usual = ordered[int(0.9 * (len(ordered) - 1))]
    return usual * _HEADROOM if ordered[-1] > _OUTLIER * usual else ordered[-1]


def _grid(top: float, length: float) -> tuple[tuple[float, float], ...]:
    """Lines at round values from above zero up to `top`, as (position on `length`, value).

    >>> [value for _, value in _grid(47, 100)], [value for _, value in _grid(0.9, 100)]
    ([20, 40], [0.5])
    """
    if top <= 0:
        return ()
    size = 10 ** math.floor(math.log10(top))
    step = next(factor * size for factor in (0.2, 0.5, 1, 2, 5) if top / (factor * size) < 4)
    count = int(top / step + 1e-9)
    return tuple((length * number * step / top, number * step) for number in range(1, count + 1))
