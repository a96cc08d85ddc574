"""Images that arrive in batches: features, labels and reports of each side, kept for the metrics."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganeval.duplicates import pixel_digests
from ganeval.errors import UsageError
from ganeval.extractors.base import Extractor, Identity, identity
from ganeval.extractors.running import run_all
from ganeval.features import FeatureSet
from ganeval.images import as_tensor, range_use, to_rgb, to_uint8
from ganeval.outputs import Output
from ganeval.parts import FeaturePart, gathered
from ganeval.processes import processes
from ganeval.ranges import ValueRange
from ganeval.sources.base import Group, ImageBatch, ReadReport
from ganeval.sources.repeats import repeats_of

# The two sides, by `real`.
SIDES = {True: "real", False: "fake"}
# The entries of a state for each side.
_OF_SETS = ("kept", "labels", "pixels", "reports")
_TWICE = (
    "{}: {} of {} images equal an image of another process, and count twice. A DistributedSampler repeats images so "
    "that all processes have the same number; give each its own, as Subset(data, range(rank, len(data), processes)). "
    "Generators draw the same images if processes have the same seed."
)


@dataclass(slots=True)
class StreamedSet:
    """What is kept of the images of one set so far.

    Attributes:
        rows: float32 [n, D] by output, for every batch.
        labels: int64 [n], for every update; None for an update without labels.
        pixels: int64 [n], for every batch, from `duplicates.pixel_digests`.
        report: What was converted, and how the declared range was used.
    """

    rows: list[dict[Output, Tensor]] = field(default_factory=list)
    labels: list[Tensor | None] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)
    report: ReadReport = field(default_factory=ReadReport)

    def add(
        self,
        images: Tensor,
        labels: Tensor | None,
        *,
        extractor: Extractor,
        outputs: frozenset[Output],
        value_range: ValueRange,
        batch_size: int,
        where: str,
    ) -> None:
        """Extract and keep the features of images [N, 1 or 3, H, W]; UsageError for other images or labels.

        If an error is raised, none of them is kept, and the images may be given again.
        """
        if not isinstance(images, Tensor):
            raise UsageError(f"{where}: expected a tensor [N, 1 or 3, H, W], found {type(images).__name__}.")
        given = as_tensor(images, where=where)
        checked = to_uint8(to_rgb(given, where=where), value_range, where=where)
        known = None if labels is None else _checked_labels(labels, len(images), where)
        parts = [checked[start : start + batch_size] for start in range(0, len(checked), batch_size)]
        key, batches = identity(extractor), (ImageBatch((Group(tuple(range(len(part))), part),)) for part in parts)
        taken = [(found[key], pixel_digests(batch)) for batch, found in run_all(batches, {key: extractor}, outputs)]
        self.rows += [rows for rows, _ in taken]
        self.pixels += [pixels for _, pixels in taken]
        if images.shape[1] == 1 and len(images):
            self.report.conversions["greyscale"] += len(images)
        self.report.range_use.update(range_use(given, value_range))
        if len(images):
            self.labels.append(known)

    def features(
        self, outputs: frozenset[Output], about: Mapping[str, object], *, of: Identity, drawn: bool
    ) -> FeatureSet:
        """The images of all processes as one set, in the order of their ranks.

        about: its description in the provenance; of: the extractor; drawn: whether by a generator.
        """
        keys = [(of, output) for output in sorted(outputs)]
        pixels = torch.cat(self.pixels) if self.pixels else torch.empty(0, dtype=torch.int64, device="cpu")
        arrays = {key: torch.cat([part[key[1]] for part in self.rows]) for key in keys if self.rows}
        whole = gathered(FeaturePart(arrays, pixels, None, self.report), keys)
        report = replace(whole.report, repeats=repeats_of(whole.pixels) if drawn else [])
        counts = processes().exchange(len(pixels))
        twice = _of_two_processes(whole.pixels, counts)
        warnings = () if not twice else (_TWICE.format(about["name"], twice, sum(counts)),)
        return replace(whole.features(of), report=report, about=about, labels=self._all_labels(), warnings=warnings)

    def _all_labels(self) -> Tensor | None:
        """The labels of all images of all processes; None unless all are known."""
        labels = [part for part in self.labels if part is not None]
        team = processes()
        if not all(team.exchange(len(labels) == len(self.labels))):
            return None
        return team.gather(torch.cat([*labels, torch.empty(0, dtype=torch.int64, device="cpu")]))

    def state(self) -> dict[str, Any]:
        """The features, labels, pixel digests and report so far, as tensors and plain values."""
        report = {
            "conversions": dict(self.report.conversions),
            "range_use": dict(self.report.range_use),
        }
        rows = [dict(part) for part in self.rows]
        return {"kept": rows, "labels": list(self.labels), "pixels": list(self.pixels), "reports": report}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "StreamedSet":
        """Restore a set from its state; ValueError or a similar error for anything else.

        Tensors come to the CPU: torch.load may have put them elsewhere.
        """
        report = ReadReport(
            Counter(state["reports"]["conversions"]),
            range_use=Counter(state["reports"]["range_use"]),
        )
        rows = [{output: array.cpu() for output, array in part.items()} for part in state["kept"]]
        pixels = [part.cpu() for part in state["pixels"]]
        labels = [None if part is None else part.cpu() for part in state["labels"]]
        counts = [len(part) for part in pixels]
        of_rows = [{len(array) for array in part.values()} for part in rows]
        known = [len(part) for part in labels if part is not None]
        if of_rows != [{count} for count in counts] or sum(known) > sum(counts):
            raise ValueError("rows, labels and pixels are of different numbers of images")
        if len(known) == len(labels) and sum(known) != sum(counts):
            raise ValueError("rows and labels are of different numbers of images")
        return cls(rows, labels, pixels, report)


def state_of(sets: Mapping[bool, StreamedSet], extractor: Identity) -> dict[str, Any]:
    """What is kept of the images of both sides, as tensors and plain values that `torch.load` reads."""
    states = {name: sets[real].state() for real, name in SIDES.items()}
    of_sets = {key: {name: state[key] for name, state in states.items()} for key in _OF_SETS}
    return {"extractor": list(extractor), **of_sets}


def sets_of(state: object, extractor: Identity, outputs: Mapping[bool, frozenset[Output]]) -> dict[bool, StreamedSet]:
    """Both sides of a `state_of`.

    Args:
        state: The state.
        extractor: What it must be of.
        outputs: What it must hold of each side.

    Returns:
        The sets.

    Raises:
        UsageError: The state is of another extractor or other metrics, is damaged, or is not a state at all.
    """
    if not isinstance(state, Mapping):
        raise UsageError(f"A state is what state_dict() of an Evaluator gives, found {type(state).__name__}.")
    if lacking := {"extractor", *_OF_SETS}.difference(state):
        raise UsageError(f"This is not a state_dict() of an Evaluator: it lacks {', '.join(sorted(lacking))}.")
    try:
        of = tuple(map(str, state["extractor"]))
        sets = {real: StreamedSet.of({key: state[key][name] for key in _OF_SETS}) for real, name in SIDES.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"This state is damaged ({type(error).__name__}: {error}).") from error
    if of != extractor:
        theirs, ours = (f"{one[0]} (weights {one[1][:12] or 'none'})" for one in (of, extractor))
        raise UsageError(
            f"This state is of the extractor {theirs}, and this Evaluator has {ours}: features of both do not mix."
        )
    for real, name in SIDES.items():
        missing = {output for part in sets[real].rows for output in outputs[real] - part.keys()}
        if missing:
            raise UsageError(
                f"This state has no {', '.join(sorted(missing))} of {name} images: it is of other metrics."
            )
    return sets


def _of_two_processes(pixels: Tensor, counts: Sequence[int]) -> int:
    """The number of images that equal an image of an earlier process.

    pixels: int64 [N], those of the first process first; counts: of each process.
    """
    _, firsts, group = np.unique(pixels.numpy(), return_index=True, return_inverse=True)
    process = np.repeat(np.arange(len(counts)), counts)
    return int((process != process[firsts[group]]).sum())


def _checked_labels(labels: Tensor, count: int, where: str) -> Tensor:
    """Classes as int64 [count] on the CPU; UsageError for anything else."""
    whole = isinstance(labels, Tensor) and labels.shape == (count,)
    whole = whole and not labels.is_floating_point() and not labels.is_complex()
    if not whole:
        found = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise UsageError(f"{where}: the labels of {count} images must be as many whole numbers, found {found}.")
    known = labels.detach().long().cpu()
    if count and known.min() < 0:
        raise UsageError(
            f"{where}: a label is {int(known.min())}; a class is a whole number from 0. Leave out such images."
        )
    return known
