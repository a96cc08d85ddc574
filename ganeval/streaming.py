"""Evaluation inside a training loop: images are handed over as they come, in any number of pieces."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from torch import Tensor

from ganeval.compute import compute
from ganeval.errors import MetricError, UsageError, did_you_mean
from ganeval.extractors.base import Output, identity
from ganeval.inputs import check_supported, open_setups
from ganeval.protocols import find_protocol
from ganeval.ranges import ValueRange, parse_range
from ganeval.results import Evaluation
from ganeval.selection import Options, select_metrics
from ganeval.settings import MeasuringKeywords, Settings
from ganeval.sources.repeats import Repeats
from ganeval.streamed_set import StreamedSet

UPDATE_BATCH = 64
_NAMES = {True: "real", False: "fake"}
_OF_SETS = ("kept", "labels", "pixels", "reports")
_STATE = frozenset(("extractor", "repeats", *_OF_SETS))


class Evaluator:
    """Metrics of images that arrive in batches.

    The networks and random state of the caller are not touched, and features wait on the CPU. It can be pickled, copied
    and saved, with what it has taken in: `state_dict()` belongs in a checkpoint, and the whole is loaded with
    `torch.load(file, weights_only=False)`. The extractor is not saved but opened anew, and must be the same.

    Args:
        metrics: Names of the METRICS table.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        value_range: Of the images that will come: "uint8", "[0,1]", "[-1,1]" or "[0,255]" (checked; floats are rounded
            to nearest).
        **settings: The fields of `ganeval.Settings` that concern measuring: extractor, protocol, weights, device,
            precision and batch_size.

    Raises:
        UsageError: A name, option or setting does not exist, or concerns the reading of files.

    >>> evaluator = ganeval.Evaluator(metrics=["fid"], extractor="digits")
    >>> images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    >>> evaluator.update(images, real=True)
    >>> evaluator.update(images.flip(3), real=False)
    >>> evaluator.compute()["fid"].n_fake
    20
    """

    def __init__(
        self,
        *,
        metrics: Sequence[str] = ("fid",),
        options: Options | None = None,
        value_range: ValueRange = "uint8",
        **settings: Unpack[MeasuringKeywords],
    ) -> None:
        self._open({"metrics": metrics, "options": options or {}, "value_range": value_range, "settings": settings})

    def _open(self, how: Mapping[str, Any]) -> None:
        """Everything but what was taken in. how: the arguments, as they were given."""
        known = sorted(MeasuringKeywords.__annotations__)
        self._how, self._settings = how, Settings.of(how["settings"])
        for name in how["settings"]:
            if name not in known:
                raise UsageError(f"An Evaluator reads no source, so it has no '{name}'; {did_you_mean(name, known)}")
        selection, self._range = select_metrics(how["metrics"], how["options"]), parse_range(how["value_range"])
        (self._setup,) = open_setups(self._settings, [find_protocol(self._settings.protocol)])
        self._selection = check_supported(selection, [self._setup], None, [])
        self._of = identity(self._setup.extractor)
        self._outputs: dict[bool, frozenset[Output]] = {
            True: frozenset(metric.real for metric in self._selection.metrics.values() if metric.real),
            False: frozenset(metric.fake for metric in self._selection.metrics.values()),
        }
        self._sets = {True: StreamedSet(), False: StreamedSet(repeats=Repeats())}

    def update(self, images: Tensor, *, real: bool, labels: Tensor | None = None) -> None:
        """Take in images.

        Args:
            images: [N, 1 or 3, H, W] of the declared range, on any device; sizes may differ between calls.
            real: Whether they are reals.
            labels: The class of every image, whole numbers [N], for metrics that look at classes.

        Raises:
            UsageError: No metric looks at reals, or these are no such images or labels.
            GeneratorError: Values are not in the declared range.
        """
        if not self._outputs[real]:
            raise UsageError(f"None of the metrics {', '.join(self._selection.metrics)} looks at real images.")
        self._sets[real].add(
            images,
            labels,
            extractor=self._setup.extractor,
            outputs=self._outputs[real],
            value_range=self._range,
            batch_size=self._settings.batch_size or UPDATE_BATCH,
            where=f"{_NAMES[real]} images",
        )

    def compute(self) -> Evaluation:
        """The metrics of everything taken in since the last reset; MetricError when a side is missing."""
        sides = {real: self._sets[real] for real in (True, False) if self._outputs[real]}
        for real, taken in sides.items():
            if not taken.rows:
                raise MetricError(f"No {_NAMES[real]} images were taken in; call update(images, real={real}) first.")
        sets = {
            real: taken.features(self._outputs[real], {"name": _NAMES[real], "kind": "stream", "range": self._range})
            for real, taken in sides.items()
        }
        return compute(self._selection, self._setup, sets.get(True), sets[False], seed=self._settings.seed)

    def reset(self, *, real: bool = True) -> None:
        """Forget the fakes, and the reals unless they are to be kept.

        Args:
            real: False keeps the reals, which seldom change during training.
        """
        self._sets = {True: StreamedSet() if real else self._sets[True], False: StreamedSet(repeats=Repeats())}

    def state_dict(self) -> dict[str, Any]:
        """What was taken in, as tensors and plain values: part of a checkpoint, which `torch.load` reads by default."""
        states = {name: self._sets[real].state() for real, name in _NAMES.items()}
        repeats = self._sets[False].repeats
        assert repeats is not None
        return {
            "extractor": list(self._of),
            **{key: {name: state[key] for name, state in states.items()} for key in _OF_SETS},
            "repeats": repeats.state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()`, in place of what was taken in here.

        Args:
            state: Of an Evaluator of the same extractor, with at least these metrics.

        Raises:
            UsageError: It is no such state.
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
            repeats = None if real else Repeats.of(state["repeats"])
            self._sets[real] = StreamedSet.of({key: state[key][name] for key in _OF_SETS}, repeats)

    def __getstate__(self) -> dict[str, Any]:
        """The arguments and what was taken in; the extractor is opened anew."""
        options = {name: dict(some) for name, some in self._how["options"].items()}
        return {"how": {**self._how, "options": options}, "state": self.state_dict()}

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self._open(saved["how"])
        self.load_state_dict(saved["state"])
