"""Charts as SVG pictures inside data URIs: no script, no font and no network is needed to see them.

Each chart is as wide as a phone's screen; the page sets them side by side where there is room.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MUTED, _GRID = "#1d2733", "#5b6673", "#dfe4e8"
_ACCENT, _QUIET = "#0072b2", "#8a96a3"
#: Colours that people with any colour vision tell apart (Okabe and Ito), and dashes that need no colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9")
DASHES = ("", "6 2", "2 2", "8 2 2 2")
_WIDTH = 3.7  # inches
_BAND: Any = {"linewidth": 4, "solid_capstyle": "round"}

#: SVG text is drawn as outlines, names are never read as formulas, and the same data give the same bytes.
_STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "med3dinsight",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _MUTED,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True)
class Chart:
    """A chart: where its picture is, what it shows in words, and its title above it."""

    title: str
    source: str
    alt: str


@dataclass(frozen=True)
class Curve:
    """A line of a chart; ``style`` numbers its colour and dash."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    style: int


@dataclass(frozen=True)
class Dot:
    """A row of a dot chart: a value, the interval or range around it, and whether it is what the chart is about."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    strong: bool = True


@dataclass(frozen=True)
class LegendEntry:
    """A name with the colour and dash of its lines."""

    name: str
    colour: str
    dash: str


def legend(names: Sequence[str]) -> tuple[LegendEntry, ...]:
    """Returns the legend of curves that are numbered in the order of the names."""
    return tuple(LegendEntry(name, *_style(number)) for number, name in enumerate(names))


def _style(number: int) -> tuple[str, str]:
    # Colour and dash step together, and shift against each other when both have come round.
    return COLOURS[number % len(COLOURS)], DASHES[(number + number // 12) % len(DASHES)]


def line_chart(
    title: str, alt: str, curves: Sequence[Curve], *, x_label: str = "step", unit: str = "", lowest: float | None = 0
) -> Chart:
    """Draws curves over steps.

    Args:
        title: Title, shown above the picture by the page.
        alt: The chart in words.
        curves: What to draw.
        x_label: Name of the horizontal axis.
        unit: Name of the vertical axis, where it has one.
        lowest: Where the vertical axis starts: 0, or another value below which curves are cut off; None leaves it free.
    """
    with _figure(2.25) as (figure, axes):
        for curve in curves:
            colour, dash = _style(curve.style)
            dashes = (0, tuple(float(part) for part in dash.split())) if dash else "solid"
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.6, linestyle=dashes)
            if len(curve.x) == 1:  # a line of one point cannot be seen
                axes.plot(curve.x, curve.y, "o", color=colour, markersize=4)
        axes.grid(axis="y")
        axes.set_xlabel(x_label)
        axes.set_ylabel(unit)
        axes.locator_params(axis="x", integer=True)  # steps are whole
        highest = max((max(curve.y) for curve in curves if curve.y), default=0)
        if lowest == 0 or (lowest is not None and axes.get_ylim()[0] < lowest < highest):
            axes.set_ylim(lowest, 1.02 * axes.get_ylim()[1] or None)
        axes.margins(x=0.01)
        return Chart(title, _svg_uri(figure), alt)


def dot_chart(
    title: str,
    alt: str,
    dots: Sequence[Dot],
    *,
    unit: str,
    reference: tuple[float, str] | None = None,
    from_zero: bool = False,
) -> Chart:
    """Draws one row a value, with an interval where there is one.

    Args:
        title: Title, shown above the picture by the page.
        alt: The chart in words.
        dots: Rows from top to bottom; undefined values leave their row empty.
        unit: Name of the horizontal axis.
        reference: A value to compare with, drawn as a dashed line, and its name.
        from_zero: Whether the horizontal axis starts at 0.
    """
    with _figure(0.75 + 0.27 * len(dots)) as (figure, axes):
        rows = range(len(dots) - 1, -1, -1)
        for row, dot in zip(rows, dots, strict=True):
            colour = _ACCENT if dot.strong else _QUIET
            if dot.low is not None and dot.high is not None:
                axes.plot((dot.low, dot.high), (row, row), color=colour, alpha=0.35, **_BAND)
            if dot.value is not None:
                axes.plot([dot.value], [row], "o", color=colour, markersize=6)
        if reference is not None:
            axes.axvline(reference[0], color="#b04a00", linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                reference[1],
                (reference[0], 1),
                (0, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="bottom",
                color="#8f3c00",
                fontsize=8,
            )
        axes.set_yticks(list(rows), [_shortened(dot.label) for dot in dots])
        axes.tick_params(axis="y", labelcolor=_INK)
        axes.set_ylim(-0.6, len(dots) - 0.4)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.08)
        if from_zero:
            # Room for the whole of the last dot: the margin was that of the dots' own range.
            axes.set_xlim(0, 1.04 * axes.get_xlim()[1])
        axes.set_xlabel(unit)
        return Chart(title, _svg_uri(figure), alt)


def _shortened(label: str, most: int = 22) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"


@contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    # Not pyplot: it keeps global state and looks for a display.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in a script that the font lacks
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.add_subplot()


def _svg_uri(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()
