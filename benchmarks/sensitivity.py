"""Sensitivity of each metric: real images are damaged at growing strengths, and every metric scores them as fakes.

Digits are scored with the embedded network (pixels, for metrics of images), patches of two photographs by their pixels;
and in a table of their own, crops of photographs with lite0. Undamaged fakes, and the control, are other images of the
same kind as the reals. A move is given in standard errors of the undamaged value, positive where the metric says worse,
so a move that one comparison would give by chance is small here, too.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.damage import CONTROL, DAMAGES, IN_COLOUR, Draw, Labelled
from benchmarks.harness import RESULTS, save, say, table
from benchmarks.photographs import Remembering, crops
from ganeval.evaluation import evaluate
from ganeval.metrics import METRICS
from ganeval.results import MetricResult
from ganeval.selection import MetricNames

PATCH = 12
# Crops of photographs, of which the reals and the fakes are taken.
CROPS = 800
# Half-width of a 95% interval in standard errors; and the move, in standard errors, that counts as noticed.
INTERVAL, NOTICED = 1.96, 2.0
DOCS = Path(__file__).parent.parent / "docs"
MARK = "<!-- Below this line: written by `python -m benchmarks sensitivity`. -->"
# By metric, damage and strength: the move in standard errors, positive for worse; None where the metric refused.
Moves = dict[str, dict[str, list[float | None]]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Images of one kind, the damages applied to them, and which extractors compute which metrics."""

    images: Labelled
    damages: Sequence[str]
    views: Mapping[str | Remembering, MetricNames]


@dataclass(frozen=True, slots=True)
class Data:
    """One table: its kinds of images, images in each split, and splits per run of the benchmark."""

    title: str
    kinds: Callable[[], Sequence[Kind]]
    reals: int
    fakes: int
    splits: int


class Listed(Dataset[tuple[Tensor, int]]):
    """Labelled images as a data set."""

    def __init__(self, images: Labelled) -> None:
        self._images = images
        self.targets: list[int] = images.labels.tolist()

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self._images.images[row], self.targets[row]


def main(*, runs: int, metrics: Sequence[str] = (), data: Sequence[str] = ()) -> None:
    """Every damage at every strength, as the mean over splits of the data; rewrites the page and figure in docs/.

    metrics, data: what to measure again; the other rows and tables stay as they were measured before.
    """
    torch.set_num_threads(1)
    known = json.loads((RESULTS / "sensitivity.json").read_text()) if metrics or data else {}
    tables: dict[str, Any] = {}
    for name, one in DATA.items():
        before = known.get(name)
        if data and name not in data:
            tables |= {} if before is None else {name: before}
            continue
        size = {"splits": one.splits * runs, "reals": one.reals, "fakes": one.fakes}
        moves: Moves = {}
        for kind in one.kinds():
            say(f" {name}")
            moves = merged(moves, measured(kind, **size, metrics=metrics))
        if metrics and before is not None:
            if {key: before[key] for key in size} != size:
                raise SystemExit(f"{name}: other rows are of {before['splits']} splits; measure with --runs to match.")
            moves = {**before["moves"], **moves}
        tables[name] = {**size, "moves": {metric: moves[metric] for metric in METRICS if metric in moves}}
    text = "\n\n".join(f"## {DATA[name].title}\n\n{report(found['moves'])}" for name, found in tables.items())
    save("sensitivity", tables, text)
    draw_figure(tables["digits"]["moves"], DOCS / "sensitivity.svg")
    page = DOCS / "sensitivity.md"
    written = page.read_text() if page.exists() else ""
    page.write_text(f"{written.partition(MARK)[0].rstrip()}\n\n{MARK}\n\n{text}\n")


def digits() -> Kind:
    """The embedded digits, 8 x 8 and grey."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None])
    damages = [name for name in DAMAGES if name not in IN_COLOUR]
    return Kind(
        Labelled(images, torch.from_numpy(bunch.target)),
        damages,
        {"digits": "all", "pixels:16": ("ms_ssim_diversity", "fwd")},
    )


def patches() -> Kind:
    """Patches of scikit-learn's two photographs, side by side without overlap; the class is the photograph."""
    from sklearn.datasets import load_sample_images

    found, labels = [], []
    for label, photograph in enumerate(load_sample_images().images):
        rows = torch.from_numpy(photograph.copy()).unfold(0, PATCH, PATCH).unfold(1, PATCH, PATCH)
        found.append(rows.reshape(-1, 3, PATCH, PATCH))
        labels.append(torch.full((len(found[-1]),), label))
    images = Labelled(torch.cat(found), torch.cat(labels))
    return Kind(images, IN_COLOUR, {f"pixels:{PATCH}": "all"})


def photographs() -> Kind:
    """Crops of ten photographs, 96 x 96; the class is the photograph."""
    views: dict[str | Remembering, MetricNames] = {
        Remembering(): "all",
        "pixels:16": ("ms_ssim_diversity",),
        "pixels:96": ("fwd",),
    }
    return Kind(crops(CROPS, seed=0), tuple(DAMAGES), views)


DATA: Mapping[str, Data] = {
    "digits": Data("Digits", lambda: (digits(), patches()), reals=900, fakes=300, splits=3),
    "photographs": Data("Photographs", lambda: (photographs(),), reals=400, fakes=200, splits=1),
}


def measured(kind: Kind, *, splits: int, reals: int, fakes: int, metrics: Sequence[str] = ()) -> Moves:
    """Mean moves over splits of the images into reals, fakes and spare ones; of these metrics, or all."""
    kind, found = only(kind, metrics), []
    for split in range(splits):
        draw = Draw.of(kind.images, reals=reals, fakes=fakes, rng=np.random.RandomState(split))
        plain = judged(kind, draw.reals, draw.fakes)
        moves: Moves = {name: {} for name in plain}
        for name in kind.damages:
            damage = DAMAGES[name]
            for strength in damage.strengths:
                damaged = damage.apply(draw, strength, np.random.RandomState(split))
                given = judged(kind, draw.reals, damaged)
                for metric, before in plain.items():
                    after = given.get(metric)
                    moves[metric].setdefault(name, []).append(None if after is None else move(before, after))
            say(f"  split {split + 1} of {splits}: {name}")
        found.append(moves)
    return averaged(found)


def only(kind: Kind, metrics: Sequence[str]) -> Kind:
    """The same kind of images for some metrics; for all where none are named."""
    if not metrics:
        return kind
    named = {name for names in kind.views.values() if names != "all" for name in names or ()}
    views = {
        extractor: [name for name in metrics if (name not in named if names == "all" else name in (names or ()))]
        for extractor, names in kind.views.items()
    }
    return replace(kind, views={extractor: names for extractor, names in views.items() if names})


def judged(kind: Kind, reals: Labelled, fakes: Labelled) -> dict[str, MetricResult]:
    """Every metric's result; those that refuse are left out."""
    found: dict[str, MetricResult] = {}
    for extractor, names in kind.views.items():
        given = evaluate(
            Listed(reals), Listed(fakes), metrics=names, extractor=extractor, cache=False, batch_size=64, device="cpu"
        )
        found |= given.metrics
    return found


def move(before: MetricResult, after: MetricResult) -> float:
    """How much worse, in standard errors of the value before.

    The error is taken from the interval, which shares of 0 or 1 have, too; where the interval ends at the least
    possible value, from its other half.
    """
    low, high = before.interval or (math.nan, math.nan)
    error = max(high - before.value, before.value - low) / INTERVAL
    if before.direction == "closer":
        ideal = before.ideal or 0.0
        return (abs(after.value - ideal) - abs(before.value - ideal)) / error
    return (after.value - before.value) * (1 if before.direction == "lower" else -1) / error


def averaged(splits: Sequence[Moves]) -> Moves:
    """The mean over splits, None where a metric refused in one of them."""
    first = splits[0]
    return {
        metric: {
            name: [_mean([split[metric][name][place] for split in splits]) for place in range(len(values))]
            for name, values in damages.items()
        }
        for metric, damages in first.items()
    }


def merged(first: Moves, second: Moves) -> Moves:
    """The moves of both kinds, by metric."""
    return {metric: {**first.get(metric, {}), **second.get(metric, {})} for metric in {**first, **second}}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def report(moves: Moves) -> str:
    """The table, and one or two sentences per damage."""
    damages = [name for name in DAMAGES if any(name in found for found in moves.values())]
    rows = [[f"`{metric}`", *(_cell(found.get(name)) for name in damages)] for metric, found in moves.items()]
    parts = [table(["metric", *damages], rows)]
    for name in damages:
        if name != CONTROL:
            parts.append(_sentences(name, {metric: found[name] for metric, found in moves.items() if name in found}))
    return "\n\n".join(parts)


def _cell(values: Sequence[float | None] | None) -> str:
    return "" if values is None else " / ".join(_number(value) for value in values)


def _number(value: float | None) -> str:
    if value is None:
        return "refused"
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}".replace("-0.0", "0.0")


def _sentences(name: str, moves: Mapping[str, Sequence[float | None]]) -> str:
    damage = DAMAGES[name]
    lines = [f"**{name}** ({', '.join(f'{one:g}' for one in damage.strengths)} {damage.unit})."]
    lists: dict[str, list[str]] = {}
    for metric, values in moves.items():
        lists.setdefault(_verdict(values), []).append(f"`{metric}`")
    for words in ("Noticed at the mildest", "Noticed later", "Refused", "Says better", "Missed"):
        if words in lists:
            lines.append(f"{words}: {', '.join(lists[words])}.")
    return " ".join(lines)


def _verdict(values: Sequence[float | None]) -> str:
    """How a metric responds to a growing damage, in one phrase."""
    known = [value for value in values if value is not None]
    if not known:
        return "Refused"
    if known[0] >= NOTICED:
        return "Noticed at the mildest"
    if max(known) >= NOTICED:
        return "Noticed later"
    return "Says better" if min(known) <= -NOTICED else "Missed"


def draw_figure(moves: Moves, path: Path) -> None:
    """A heat map: one row per metric, one column per damage and strength."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = [
        (name, place)
        for name, damage in DAMAGES.items()
        for place in range(len(damage.strengths))
        if any(name in found for found in moves.values())
    ]
    values = np.array([[_at(found, name, place) for name, place in columns] for found in moves.values()])
    figure = Figure(figsize=(11, 0.24 * len(moves) + 2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("#d9d9d9")
    shades = mpl.colors.SymLogNorm(linthresh=NOTICED, vmin=-50, vmax=50)
    shown = axes.imshow(values, cmap="RdBu_r", norm=shades, aspect="auto", interpolation="nearest")
    starts = [place for place, (_, strength) in enumerate(columns) if strength == 0]
    axes.vlines(np.array(starts[1:]) - 0.5, -0.5, len(moves) - 0.5, colors="black", linewidth=0.6)
    axes.set_xticks(range(len(columns)), [f"{DAMAGES[name].strengths[place]:g}" for name, place in columns], fontsize=7)
    axes.set_yticks(range(len(moves)), list(moves), fontsize=8)
    for start in starts:
        name = columns[start][0]
        axes.text(start - 0.4, -0.7, name, rotation=50, ha="left", va="bottom", fontsize=8)
    figure.colorbar(shown, label="standard errors: red says worse, blue better; grey: not measured", shrink=0.8)
    with mpl.rc_context({"svg.hashsalt": "ganeval", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _at(found: Mapping[str, Sequence[float | None]], name: str, place: int) -> float:
    value = found[name][place] if name in found else None
    return math.nan if value is None else value
