"""The type passed from sources to metrics: an opened set of images, later with its features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import UsageError
from ganeval.metrics import Metric
from ganeval.metrics.moments import Gaussian, Moments
from ganeval.outputs import Output
from ganeval.sources.base import ReadReport, Source
from ganeval.sources.extracted import Extracted
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """One set of images: a source, its features once they are extracted, stored statistics, or several of these.

    Statistics from a file are features without rows. A set is opened with `source` and `stored`; extraction adds the
    rest; a stream of images has no source.

    Attributes:
        arrays: float32 [N, D] by output, on the CPU; equal images have equal rows. Empty before the extraction, and if
            there are only statistics.
        digest: Of the images' content, in order; None for live generators.
        report: What was converted and skipped.
        cached: Whether no image had to be decoded.
        pixels: int64 [N], each image's number from `duplicates.pixel_digests`; None where unknown.
        about: The source's description in the provenance, name and kind first.
        labels: int64 [N], the class of every image; None where unknown.
        class_names: Names of classes 0, 1, ...; None if they have no names.
        source: Where the images can be read (again); None for streams and where there are only statistics.
        moments: By output, where they were computed or cached already.
        stored: Statistics from a file, which metrics of moments take in place of the rows.
        prepared: How these reals were made from the original photographs, as stated by the user or the statistics file;
            None if not stated.
        warnings: What a user should know about how the set was opened and read.
    """

    arrays: Mapping[Output, Tensor] = field(default_factory=dict)
    digest: str | None = None
    report: ReadReport = field(default_factory=ReadReport)
    cached: bool = False
    pixels: Tensor | None = None
    about: Mapping[str, object] = field(default_factory=dict)
    labels: Tensor | None = None
    class_names: Sequence[str] | None = None
    source: Source | None = None
    moments: Mapping[Output, Moments] = field(default_factory=dict)
    stored: Statistics | None = None
    prepared: str | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of rows; 0 before the extraction, and if there are only statistics."""
        return len(next(iter(self.arrays.values()))) if self.arrays else 0

    @property
    def name(self) -> str:
        """As the user wrote it."""
        opened = self.stored if self.source is None else self.source
        return str(self.about.get("name", "" if opened is None else opened.name))

    @property
    def given(self) -> Features | None:
        """Features that the user gave in place of images; None for images and statistics."""
        return self.source if isinstance(self.source, Features) else None

    @property
    def extracted(self) -> Extracted | None:
        """Features from a file that were extracted as they would be now; None for images and other features."""
        return self.source if isinstance(self.source, Extracted) else None

    @property
    def outputs(self) -> frozenset[str] | None:
        """The outputs available without the images; None if images can be read."""
        if self.given is not None:
            return frozenset(("features",))
        return None if self.extracted is None else self.extracted.outputs

    @property
    def count(self) -> int | None:
        """The number of images; None if a file of statistics does not state it."""
        return len(self) if self.arrays or self.stored is None else self.stored.count

    @property
    def provenance(self) -> dict[str, object]:
        """A description of the set and of how its images were read, as plain data."""
        said = {} if self.prepared is None else {"prepared": self.prepared}
        if not self.arrays and self.stored is not None:
            return {**self.stored.describe(), **said}
        found = {
            **self.about,
            **said,
            "count": len(self),
            "digest": self.digest,
            "cached": self.cached,
            "conversions": dict(self.report.conversions),
            "skipped": [list(skip) for skip in self.report.skipped],
        }
        return found if self.stored is None else {**found, "beside": None, "statistics": self.stored.describe()}

    def described_by(self, source: Source) -> "FeatureSet":
        """The same rows with the description and labels of their source; the labels of skipped images are left out.

        Args:
            source: Where the images came from.

        Returns:
            The set with labels of the images that were not skipped, class names and the description.
        """
        labels = None
        if source.labels is not None:
            labels = torch.from_numpy(np.delete(np.asarray(source.labels, np.int64), self.report.skipped_indices))
        return replace(
            self,
            about={"name": source.name, "kind": source.kind, **source.describe()},
            labels=labels,
            class_names=getattr(source, "class_names", None),
            source=source,
        )

    def takes_stored(self, metric: Metric, output: Output | None) -> bool:
        """Whether a metric uses the stored statistics instead of this set's rows.

        Args:
            metric: The metric.
            output: What it looks at of this set; None for nothing.

        Returns:
            True if it does.
        """
        if self.stored is None or output is None or not metric.takes_moments:
            return False
        return self.stored.has(output) or (self.source is None and not self.arrays)

    def count_for(self, metric: Metric, output: Output | None) -> int | None:
        """The number of images that a metric takes of this set.

        Args:
            metric: The metric.
            output: The output that it takes of this set; None for nothing.

        Returns:
            The number; None if the metric uses none, or the statistics do not state a number.
        """
        if output is None:
            return None
        return self.stored.count if self.stored is not None and self.takes_stored(metric, output) else self.count

    def data(self, metric: Metric, output: Output, *, ddof: int, device: str) -> Tensor | Gaussian:
        """The data that a metric takes from this set.

        Args:
            metric: The metric.
            output: What it looks at of this set.
            ddof: Covariances are divided by n - ddof.
            device: Where the metric computes.

        Returns:
            Rows [N, D], or mean and covariance if the metric takes these and they are fewer numbers.

        Raises:
            UsageError: The rows are needed, and there are none.
        """
        if self.stored is not None and self.takes_stored(metric, output):
            return self.stored.gaussian(output, ddof=ddof, device=device)
        rows = self.rows(output).to(device)
        if not metric.takes_moments or len(rows) <= rows.shape[1]:
            return rows
        moments = self.moments.get(output) or Moments.of(rows)
        return moments.to(device).gaussian(ddof=ddof, features=rows)

    def rows(self, output: Output = "features") -> Tensor:
        """One output of the extractor.

        Args:
            output: Its name.

        Returns:
            float32 ``[N, D]``, on the CPU.

        Raises:
            UsageError: It was not extracted, or there are only stored statistics.
        """
        if not self.arrays:
            raise UsageError(f"The images of {self.name} themselves are needed; there are only statistics of them.")
        if output not in self.arrays:
            found = ", ".join(sorted(self.arrays))
            raise UsageError(f"No {output} were extracted of {self.name}, only {found}; name them in also=.")
        return self.arrays[output]

    def index(self, row: int) -> int:
        """The index in the source of the image that a row belongs to.

        Args:
            row: A row of features.

        Returns:
            The index, which is larger where images before it were skipped.
        """
        # Each skipped image before it adds one to its index.
        for skipped in self.report.skipped_indices:
            row += skipped <= row
        return row

    def image_name(self, row: int) -> str:
        """The name of the image that a row belongs to, by which a user finds it.

        Args:
            row: A row of features.

        Returns:
            The name.

        Raises:
            UsageError: There are no images.
        """
        if self.source is None:
            raise UsageError(f"The images of {self.name} themselves are needed; there are only statistics of them.")
        return self.source.item_name(self.index(row))

    def part(self, chosen: Tensor) -> "FeatureSet":
        """A set of some rows, without what is known only for the whole set: digest, moments, statistics.

        Args:
            chosen: int64 ``[n]``, the rows.

        Returns:
            The set of these rows, in this order.
        """
        arrays = {output: array[chosen] for output, array in self.arrays.items()}
        labels, pixels = (None if one is None else one[chosen] for one in (self.labels, self.pixels))
        return replace(self, arrays=arrays, labels=labels, pixels=pixels, digest=None, moments={}, stored=None)
