"""Evaluation inside a training loop, of images that arrive in batches."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from torch import Tensor, distributed

from ganeval.compatibility import check_supported
from ganeval.compute import compute
from ganeval.errors import MetricError, UsageError, did_you_mean
from ganeval.extractors.base import identity
from ganeval.features import FeatureSet
from ganeval.inputs import open_setups
from ganeval.option_objects import written
from ganeval.processes import ALONE, Processes, working
from ganeval.ranges import ValueRange, parse_range
from ganeval.ranks import all_ranks
from ganeval.results import Evaluation
from ganeval.selection import select_metrics
from ganeval.settings import MeasuringKeywords, MetricOptions, Settings
from ganeval.streamed_set import SIDES, StreamedSet, sets_of, state_of

UPDATE_BATCH = 64


class Evaluator:
    """Metrics of images that arrive in batches.

    It changes neither networks nor random states of the caller, and keeps features on the CPU. It can be pickled and
    copied, with the features of images taken in. For a checkpoint, save its `state_dict()`; a saved Evaluator needs
    `torch.load(file, weights_only=False)`. The extractor is not saved but opened again, and must be the same.

    Where torch.distributed is initialised, every rank makes an Evaluator with the same arguments and is updated with
    the images that its rank has, however many these are. `compute()`, which every rank must call, then gives all of
    them the result of one process that is given the images of rank 0, then those of rank 1, and so on. Everything else
    (`update`, `reset` and states) concerns only this rank's images: a checkpoint has a state per rank.
    `all_ranks=False` makes an Evaluator of only this rank, as under `if rank == 0:`.

    Args:
        metrics: Names of the METRICS table.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        value_range: Of the images that will come: "uint8", "[0,1]", "[-1,1]" or "[0,255]" (checked; floats are rounded
            to nearest).
        all_ranks: Whether `compute()` uses the images of all ranks of torch.distributed, if it is initialised by then;
            False for only those of this process.
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
        options: MetricOptions | None = None,
        value_range: ValueRange = "uint8",
        all_ranks: bool = True,
        **settings: Unpack[MeasuringKeywords],
    ) -> None:
        how = {"metrics": metrics, "options": options or {}, "value_range": value_range, "all_ranks": all_ranks}
        self._open({**how, "settings": settings})

    def _open(self, how: Mapping[str, Any]) -> None:
        """Set up everything except the images taken in. how: the arguments of `__init__`."""
        known = sorted(MeasuringKeywords.__annotations__)
        self._how, self._settings = how, Settings.of(how["settings"])
        for name in how["settings"]:
            if name not in known:
                raise UsageError(f"An Evaluator reads no source, so it has no '{name}'; {did_you_mean(name, known)}")
        selection, self._range = select_metrics(how["metrics"], how["options"]), parse_range(how["value_range"])
        (self._setup,) = open_setups(self._settings)
        self._selection = check_supported(selection, self._setup, None, [])
        self._of = identity(self._setup.extractor)
        self._outputs = {real: self._selection.outputs(real=real) for real in (True, False)}
        self._sets = {True: StreamedSet(), False: StreamedSet()}

    def update(self, images: Tensor, *, real: bool, labels: Tensor | None = None) -> None:
        """Take in images.

        Args:
            images: [N, 1 or 3, H, W] of the declared range, on any device; sizes may differ between calls.
            real: Whether they are reals.
            labels: The class of every image, whole numbers [N], for metrics that look at classes.

        Raises:
            UsageError: No metric uses reals, the images or labels are not of this form, or `real` is not a bool.
            GeneratorError: Values are not in the declared range.
        """
        _check_side(real)
        if not self._outputs[real]:
            raise UsageError(f"None of the metrics {', '.join(self._selection.metrics)} looks at real images.")
        self._sets[real].add(
            images,
            labels,
            extractor=self._setup.extractor,
            outputs=self._outputs[real],
            value_range=self._range,
            batch_size=self._settings.batch_size or UPDATE_BATCH,
            where=f"{SIDES[real]} images",
        )

    def compute(self) -> Evaluation:
        """The metrics of everything taken in since the last reset, by all ranks unless `all_ranks` is False.

        Returns:
            The result, the same in every rank.

        Raises:
            MetricError: A side is missing in all ranks, or a metric cannot be computed.
            UsageError: The Evaluators of two ranks differ.
            ProcessError: Another rank has ended.
        """
        team = self._team()
        with working(team):
            self._check_alike(team)
            sets: dict[bool, FeatureSet] = {}
            for real, name in SIDES.items():
                if not self._outputs[real]:
                    continue
                if not any(team.exchange(bool(self._sets[real].rows))):
                    raise MetricError(f"No {name} images were taken in; call update(images, real={real}) first.")
                about = {"name": name, "kind": "stream", "range": self._range}
                sets[real] = self._sets[real].features(self._outputs[real], about, of=self._of, drawn=not real)
            return compute(self._selection, self._setup, sets.get(True), sets[False], seed=self._settings.seed)

    def _team(self) -> Processes:
        """The processes whose images `compute` uses."""
        together = self._how["all_ranks"] and distributed.is_available() and distributed.is_initialized()
        return all_ranks() if together else ALONE

    def _check_alike(self, team: Processes) -> None:
        """UsageError, in every process, if processes were given different arguments."""
        own = {
            "extractor": ", ".join(self._of),
            "metrics": sorted(self._selection.metrics),
            "options": {
                name: {key: written(value) for key, value in sorted(some.items())}
                for name, some in sorted(self._selection.options.items())
            },
            "protocol": self._setup.protocol.name,
            "value_range": self._range,
            "seed": self._settings.seed,
        }
        first, *others = team.exchange(own)
        for rank, other in enumerate(others, 1):
            for name, value in other.items():
                if value != first[name]:
                    raise UsageError(
                        f"The Evaluators of ranks 0 and {rank} differ: {name} is {first[name]} and {value}. Make them "
                        "with the same arguments, or with all_ranks=False for a result of a rank's own images."
                    )

    def reset(self, *, real: bool = True) -> None:
        """Discard the fakes, and also the reals unless `real` is False (they seldom change during training).

        Args:
            real: False keeps the reals, which seldom change during training.

        Raises:
            UsageError: `real` is neither True nor False.
        """
        _check_side(real)
        self._sets = {True: StreamedSet() if real else self._sets[True], False: StreamedSet()}

    def state_dict(self) -> dict[str, Any]:
        """What this process took in, as tensors and plain values: part of a checkpoint, which `torch.load` reads."""
        return state_of(self._sets, self._of)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the images taken in by those of a `state_dict()`.

        Args:
            state: Of an Evaluator with the same extractor and at least these metrics.

        Raises:
            UsageError: The state is of another extractor or other metrics, is damaged, or is not a state at all.
        """
        self._sets = sets_of(state, self._of, self._outputs)

    def __getstate__(self) -> dict[str, Any]:
        """The arguments and the features so far; the extractor is opened again."""
        options = {name: dict(some) for name, some in self._how["options"].items()}
        return {"how": {**self._how, "options": options}, "state": self.state_dict()}

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self._open(saved["how"])
        self.load_state_dict(saved["state"])


def _check_side(real: object) -> None:
    """UsageError unless `real` is a bool."""
    if not isinstance(real, bool):
        raise UsageError(f"real must be True or False, found {real!r}.")
