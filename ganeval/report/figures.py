"""The figures of a report, each drawn from a part of the report data, or from a training log."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ganeval.report.data import Histogram, Projection, TradeOff
from ganeval.report.svg import FAKE, INK, MUTED, REAL, SERIES, axes, to_svg
from ganeval.report.training import Points
from ganeval.wording import four_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def histogram(found: Histogram, key: str) -> str:
    """Distances of reals and fakes to the nearest real, in shares of either set."""
    with axes() as (figure, plot):
        for counts, colour in ((found.real, REAL), (found.fake, FAKE)):
            shares = [100 * count / max(sum(counts), 1) for count in counts]
            plot.stairs(shares, found.edges, fill=True, color=colour, alpha=0.22, linewidth=0)
            plot.stairs(shares, found.edges, color=colour, linewidth=1.4)
        for median, colour in ((found.real_median, REAL), (found.fake_median, FAKE)):
            plot.axvline(median, color=colour, linewidth=1, linestyle=(0, (4, 3)))
        plot.set_xlabel("distance to the nearest real")
        plot.set_ylabel("images, %")
        plot.set_xlim(0, found.edges[-1])
        plot.set_ylim(0)
        plot.grid(visible=False, axis="x")
        label = (
            "Histogram of distances to the nearest real image. The median of reals to another real is "
            f"{four_digits(found.real_median)}, that of fakes {four_digits(found.fake_median)}."
        )
        return to_svg(figure, key, label)


def projection(found: Projection, key: str) -> str:
    """Both sets in the plane of their first two principal components."""
    with axes() as (figure, plot):
        for points, colour, marker in ((found.real, REAL, "o"), (found.fake, FAKE, "D")):
            size = 9 if marker == "o" else 7
            plot.scatter(*_columns(points), s=size, color=colour, marker=marker, alpha=0.55, linewidths=0)
        plot.set_xlabel(f"first component ({found.explained[0]:.0%} of variance)")
        plot.set_ylabel(f"second component ({found.explained[1]:.0%})")
        plot.set_xticks([])
        plot.set_yticks([])
        label = (
            f"Scatter plot of {len(found.real)} reals and {len(found.fake)} fakes by the first two principal "
            f"components of their features, which hold {sum(found.explained):.0%} of the variance."
        )
        return to_svg(figure, key, label)


def trade_offs(curves: Sequence[TradeOff], key: str) -> str:
    """Precision against recall, a line a generator, in the order of the page's legend."""
    with axes() as (figure, plot):
        for curve, colour in zip(curves, colours(len(curves)), strict=True):
            plot.plot(curve.recall, curve.precision, color=colour)
            plot.fill_between(curve.recall, curve.precision, color=colour, alpha=0.08, linewidth=0)
        plot.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        areas = ", ".join(f"{area(curve):.2f}" for curve in curves)
        label = f"Precision against recall, a curve a generator; the areas below, in the legend's order: {areas}."
        return to_svg(figure, key, label)


def lines(
    series: Mapping[str, Points], marks: Sequence[float], key: str, *, what: str, unit: str = "training step"
) -> str:
    """Curves over training steps, with a dashed line at every mark."""
    with axes() as (figure, plot):
        for points, colour in zip(series.values(), colours(len(series)), strict=True):
            plot.plot(*_columns(points), color=colour, linewidth=1.2)
        for mark in marks:
            plot.axvline(mark, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        _robust(plot, series)
        plot.set(xlabel=unit, ylabel=what)
        plot.locator_params(axis="x", nbins=6)
        plot.yaxis.label.set_color(INK)
        ends = "; ".join(
            f"curve {number} ends at {points[-1][1]:.3g}" for number, points in enumerate(series.values(), 1)
        )
        return to_svg(figure, key, f"Curves of {what} over training steps, in the legend's order: {ends}.")


def colours(count: int) -> list[str]:
    """So many colours in the legend's order; they come round again."""
    return [SERIES[index % len(SERIES)] for index in range(count)]


def area(curve: TradeOff) -> float:
    """Below a curve of precision over recall: 1 for sets alike, 0 for sets apart."""
    points = sorted(zip(curve.recall, curve.precision, strict=True))
    return sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in pairwise(points))


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _robust(plot: "Axes", series: Mapping[str, Points]) -> None:
    """One wild value, as the first steps have it, must not flatten all the rest."""
    values = sorted(y for points in series.values() for _, y in points)
    low, high = values[len(values) // 100], values[-1 - len(values) // 100]
    if values[-1] - values[0] > 3 * (high - low) > 0:
        margin = 0.1 * (high - low)
        plot.set_ylim(low - margin, high + margin)
