"""Measuring inside a training loop: images are handed over as they come, in any number of pieces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganeval.checks import check_supported
from ganeval.compute import compute
from ganeval.errors import MetricError, UsageError, did_you_mean
from ganeval.extractors.base import Output, identity
from ganeval.features import FeatureSet, pixel_digests, run, with_equal_rows
from ganeval.images import as_tensor, range_use, to_rgb, to_uint8
from ganeval.inputs import open_setups
from ganeval.protocols import find_protocol
from ganeval.ranges import ValueRange, parse_range
from ganeval.results import Evaluation
from ganeval.selection import Options, select_metrics
from ganeval.settings import Settings
from ganeval.sources.base import Batch, Group, ReadReport
from ganeval.sources.repeats import Repeats

UPDATE_BATCH = 64
_NAMES = {True: "real", False: "fake"}
_STATE = frozenset(("extractor", "kept", "labels", "pixels", "reports", "repeats"))
MEASURING = ("extractor", "protocol", "weights", "device", "precision", "batch_size")


class Evaluator:
    """Metrics of images that arrive in batches.

        evaluator = Evaluator(metrics=["fid"], extractor="digits")
        evaluator.update(real_images, real=True)
        evaluator.update(fake_images, real=False)
        evaluator.compute()["fid"].value

    metrics: names of the METRICS table; options: theirs, by metric and option.
    settings: the fields of `Settings` that concern measuring: extractor, protocol, weights, device, precision,
    batch_size; UsageError for one that concerns reading.
    value_range: of the images that will come: "uint8", "[0,1]", "[-1,1]" or "[0,255]" (checked; floats are rounded to
    nearest).

    The networks and random state of the caller are not touched, and features wait on the CPU. It can be pickled, copied
    and saved, with what it has taken in: `state_dict()` belongs in a checkpoint, and the whole is loaded with
    `torch.load(file, weights_only=False)`. The extractor is not saved but opened anew, and must be the same.
    """

    def __init__(
        self,
        *,
        metrics: Sequence[str] = ("fid",),
        options: Options | None = None,
        value_range: ValueRange = "uint8",
        **settings: object,
    ) -> None:
        self._open({"metrics": metrics, "options": options or {}, "value_range": value_range, "settings": settings})

    def _open(self, how: Mapping[str, Any]) -> None:
        """Everything but what was taken in. how: the arguments, as they were given."""
        settings = how["settings"]
        chosen = Settings.of(settings)
        for name in settings:
            if name not in MEASURING:
                raise UsageError(
                    f"An Evaluator reads no source, so it has no '{name}'; {did_you_mean(name, MEASURING)}"
                )
        self._how = how
        selection, self._range = select_metrics(how["metrics"], how["options"]), parse_range(how["value_range"])
        (self._setup,) = open_setups(chosen, [find_protocol(chosen.protocol)])
        self._selection = check_supported(selection, [self._setup], None, [])
        self._settings = chosen
        self._of = identity(self._setup.extractor)
        self._kept: dict[bool, list[dict[Output, Tensor]]] = {True: [], False: []}
        self._labels: dict[bool, list[Tensor | None]] = {True: [], False: []}
        self._pixels: dict[bool, list[Tensor]] = {True: [], False: []}
        self._reports = {True: ReadReport(), False: ReadReport()}
        self._repeats = Repeats()
        self._outputs: dict[bool, frozenset[Output]] = {
            True: frozenset(metric.real for metric in self._selection.metrics.values() if metric.real),
            False: frozenset(metric.fake for metric in self._selection.metrics.values()),
        }

    def update(self, images: Tensor, *, real: bool, labels: Tensor | None = None) -> None:
        """Take in images [N, 1 or 3, H, W] of the declared range, on any device; sizes may differ between calls.

        labels: the class of every image, whole numbers [N], for metrics that look at classes.
        """
        where = "real images" if real else "fake images"
        if not self._outputs[real]:
            raise UsageError(f"None of the metrics {', '.join(self._selection.metrics)} looks at real images.")
        if not isinstance(images, Tensor):
            raise UsageError(f"{where}: expected a tensor [N, 1 or 3, H, W], found {type(images).__name__}.")
        given = as_tensor(images, where=where)
        checked = to_uint8(to_rgb(given, where=where), self._range, where=where)
        known = None if labels is None else _checked_labels(labels, len(images), where)
        if images.shape[1] == 1 and len(images):
            self._reports[real].conversions["greyscale"] += len(images)
        self._reports[real].range_use.update(range_use(given, self._range))
        if not real:
            self._reports[real].repeats += self._repeats.add(checked)
        size = self._settings.batch_size or UPDATE_BATCH
        for part in (checked[start : start + size] for start in range(0, len(checked), size)):
            batch = Batch((Group(tuple(range(len(part))), part),))
            self._kept[real].append(run(self._setup.extractor, batch, self._outputs[real]))
            self._pixels[real].append(pixel_digests(batch))
        if len(images):
            self._labels[real].append(known)

    def compute(self) -> Evaluation:
        """The metrics of everything taken in since the last reset; MetricError when a side is missing."""
        real = self._side(real=True) if self._outputs[True] else None
        fake = self._side(real=False)
        return compute(self._selection, self._setup, real, fake, seed=self._settings.seed)

    def reset(self, *, real: bool = True) -> None:
        """Forget the fakes, and the reals too unless `real` is False (they seldom change during training)."""
        for side in (True, False) if real else (False,):
            self._kept[side].clear()
            self._labels[side].clear()
            self._pixels[side].clear()
            self._reports[side] = ReadReport()
        self._repeats = Repeats()

    def state_dict(self) -> dict[str, Any]:
        """What was taken in, as tensors and plain values: part of a checkpoint, which `torch.load` reads by default."""
        return {
            "extractor": list(self._of),
            "kept": {_NAMES[real]: [dict(part) for part in parts] for real, parts in self._kept.items()},
            "labels": {_NAMES[real]: list(parts) for real, parts in self._labels.items()},
            "pixels": {_NAMES[real]: list(parts) for real, parts in self._pixels.items()},
            "reports": {_NAMES[real]: _plain(report) for real, report in self._reports.items()},
            "repeats": self._repeats.state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there, in place of what was taken in here.

        UsageError for what is no state of an Evaluator, and for one of another extractor, or of metrics that need less.
        """
        if lacking := _STATE.difference(state):
            raise UsageError(f"This is no state_dict() of an Evaluator: it lacks {', '.join(sorted(lacking))}.")
        if tuple(state["extractor"]) != self._of:
            theirs, ours = (f"{one[0]} (weights {one[1][:12] or 'none'})" for one in (state["extractor"], self._of))
            raise UsageError(
                f"This state is of the extractor {theirs}, and this Evaluator has {ours}: features of both do not mix."
            )
        for real, name in _NAMES.items():
            missing = {output for part in state["kept"][name] for output in self._outputs[real] - part.keys()}
            if missing:
                raise UsageError(
                    f"This state has no {', '.join(sorted(missing))} of {name} images: it is of other metrics."
                )
        for real, name in _NAMES.items():
            self._kept[real] = [dict(part) for part in state["kept"][name]]
            self._labels[real] = list(state["labels"][name])
            self._pixels[real] = list(state["pixels"][name])
            self._reports[real] = _report(state["reports"][name])
        self._repeats = Repeats.of(state["repeats"])

    def __getstate__(self) -> dict[str, Any]:
        """The arguments and what was taken in; the extractor is opened anew."""
        return {"how": {**self._how, "options": _dicts(self._how["options"])}, "state": self.state_dict()}

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self._open(saved["how"])
        self.load_state_dict(saved["state"])

    def _side(self, *, real: bool) -> FeatureSet:
        kept, name = self._kept[real], "real" if real else "fake"
        if not kept:
            raise MetricError(f"No {name} images were taken in; call update(images, real={real}) first.")
        arrays = {output: torch.cat([part[output] for part in kept]) for output in self._outputs[real]}
        labels = [part for part in self._labels[real] if part is not None]
        known = torch.cat(labels) if len(labels) == len(self._labels[real]) else None
        about = {"name": name, "kind": "stream", "range": self._range}
        pixels = torch.cat(self._pixels[real])
        arrays = with_equal_rows(arrays, pixels)
        return FeatureSet(arrays, report=self._reports[real], pixels=pixels, about=about, labels=known)


def _dicts(options: Options) -> dict[str, dict[str, object]]:
    return {name: dict(some) for name, some in options.items()}


def _plain(report: ReadReport) -> dict[str, Any]:
    """A report as plain values."""
    return {
        "conversions": dict(report.conversions),
        "range_use": dict(report.range_use),
        "repeats": [list(pair) for pair in report.repeats],
    }


def _report(plain: Mapping[str, Any]) -> ReadReport:
    repeats = [(index, first) for index, first in plain["repeats"]]
    return ReadReport(Counter(plain["conversions"]), range_use=Counter(plain["range_use"]), repeats=repeats)


def _checked_labels(labels: Tensor, count: int, where: str) -> Tensor:
    """Classes as int64 [count] on the CPU; UsageError for anything else."""
    whole = isinstance(labels, Tensor) and not labels.is_floating_point() and labels.shape == (count,)
    if not whole:
        found = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise UsageError(f"{where}: the labels of {count} images must be as many whole numbers, found {found}.")
    return labels.detach().long().cpu()
