"""Reference statistics in files: a mean and a covariance of features, without images.

Read from .npz: `mu` and `sigma` (pytorch-fid, clean-fid, EDM), with `mu_s` and `sigma_s` for spatial features (ADM,
whose files also hold images). Read from the .pkl of edm2, which has statistics of several extractors, and from the .pt
of torch-fidelity's cache, without running any function that a pickle names. Written: .npz with the same names, so that
those tools read ganeval's files, and `ganeval`, a JSON text that says how they were measured.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ganeval.array_types import FloatArray
from ganeval.atomic import atomic_write
from ganeval.documents import parse_json
from ganeval.errors import MetricError, SourceError, UsageError
from ganeval.linalg import check_semidefinite
from ganeval.metrics import moments
from ganeval.places import Place, RemotePath, place_of
from ganeval.printable import printable
from ganeval.sources.files import CORRUPT, from_pickle, open_zip_file, refuse_pickle
from ganeval.sources.npz import array_shapes, mapped_arrays, write_array
from ganeval.sources.pickled import pickled_arrays

SCHEMA = 1
PICKLED = (".pkl", ".pickle", ".pt")
# edm2's names for the statistics of an extractor, in calculate_metrics.py; its covariances are over n - 1.
EDM2: Mapping[str, str] = {"inception": "fid", "dinov2:vitl14": "fd_dinov2"}
EDM2_COUNT, EDM2_DDOF = "num_images", 1
_NAMES = ("mu", "sigma", "mu_s", "sigma_s", "ganeval")


@dataclass(frozen=True, slots=True)
class StoredGaussian:
    """mean: float64 [D]; covariance: float64 [D, D]."""

    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a statistics file holds.

    features, spatial: of the pooled features, and of ADM's spatial features where the file has them.
    count, ddof, measured: the number of images, ddof of the covariance (it is over count - ddof), and the setup
        (extractor, weights, preprocessing, protocol, ...); None in files of other tools, which do not have them.
    name: the file; sha256: of its bytes.
    warnings: if they were computed now, remarks about how the images were read.
    """

    features: StoredGaussian
    spatial: StoredGaussian | None
    count: int | None
    ddof: int | None
    measured: Mapping[str, object] | None
    name: str
    sha256: str
    warnings: tuple[str, ...] = ()

    @property
    def prepared(self) -> str | None:
        """How the images were made from the original photographs, if the file states it."""
        said = (self.measured or {}).get("prepared")
        return None if said is None else str(said)

    def has(self, output: str) -> bool:
        """Whether there is a mean and a covariance of this output."""
        return output == "features" or (output == "spatial" and self.spatial is not None)

    def gaussian(self, output: str, *, ddof: int, device: str) -> moments.Gaussian:
        """Mean and covariance of an output, as a metric takes them.

        Args:
            output: "features" or "spatial".
            ddof: The covariance is rescaled to n - ddof if the file states n, otherwise unchanged.
            device: Where the tensors are put.

        Raises:
            SourceError: The file has no statistics of this output.
            MetricError: There are fewer than 2 images.
        """
        found = self.spatial if output == "spatial" else self.features
        if found is None or not self.has(output):
            raise SourceError(f"{self.name} has no statistics of {output} features.")
        mean, covariance = torch.from_numpy(found.mean), torch.from_numpy(found.covariance)
        if self.count is not None and self.ddof is not None:
            moments.check_count(self.count, ddof)
            covariance = covariance * ((self.count - self.ddof) / (self.count - ddof))
        return moments.Gaussian(mean.to(device), covariance.to(device), self.count)

    def describe(self) -> dict[str, object]:
        """Its description in the provenance."""
        return {
            "name": self.name,
            "kind": "statistics",
            "count": self.count,
            "digest": self.sha256,
            "measured": self.measured,
        }


def is_statistics(path: str | Place) -> bool:
    """Whether a path is a .npz file with `mu` and `sigma`, by names only, or a .pkl or .pt, which holds nothing else.

    False for a file that cannot be read.
    """
    path = place_of(path)
    if path.suffix.lower() in PICKLED:
        return path.is_file()
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with open_zip_file(path) as archive:
            names = set(archive.namelist())
    except CORRUPT:
        return False
    # Files of extracted features have the rows as well (`sources.extracted`).
    return {"mu.npy", "sigma.npy"} <= names and "part.npy" not in names


def read_statistics(path: str | Place, extractor: str = "inception") -> Statistics:
    """The statistics in a file.

    Args:
        path: The file.
        extractor: Which statistics to read, if the file has those of several extractors.

    Raises:
        SourceError: They are not finite, symmetric and of matching dimensions, or there are none.
        UsageError: There are none of this extractor.
    """
    path = place_of(path)
    try:
        if isinstance(path, RemotePath):
            path.fetch()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error}).") from error
    if path.suffix.lower() in PICKLED:
        return _pickled(path, extractor, digest)
    refuse_pickle(path)
    arrays = _arrays(path)
    spatial = _gaussian(arrays, "mu_s", "sigma_s", path) if "mu_s" in arrays and "sigma_s" in arrays else None
    count, ddof, measured = _own(arrays, path)
    return Statistics(
        features=_gaussian(arrays, "mu", "sigma", path),
        spatial=spatial,
        count=count,
        ddof=ddof,
        measured=measured,
        name=str(path),
        sha256=digest,
    )


def write_statistics(
    path: str | Place,
    features: StoredGaussian,
    *,
    spatial: StoredGaussian | None = None,
    count: int,
    ddof: int,
    measured: Mapping[str, object],
) -> None:
    """Write statistics atomically; equal statistics give equal bytes. ResultError if the file cannot be written."""
    arrays: dict[str, NDArray[np.generic]] = {"mu": features.mean, "sigma": features.covariance}
    if spatial is not None:
        arrays |= {"mu_s": spatial.mean, "sigma_s": spatial.covariance}
    arrays["ganeval"] = statistics_entry(count=count, ddof=ddof, measured=measured)
    with atomic_write(place_of(path)) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            write_array(archive, name, array)


def statistics_entry(*, count: int, ddof: int, measured: Mapping[str, object]) -> NDArray[np.str_]:
    """The array `ganeval` of a statistics file, which says how they were measured."""
    own = {"schema": SCHEMA, "count": count, "ddof": ddof, "measured": dict(measured)}
    return np.array(json.dumps(own, sort_keys=True))


def _arrays(path: Place) -> dict[str, NDArray[np.generic]]:
    """The arrays of a statistics file by name; images next to them are left unread."""
    shapes = array_shapes(path)
    if not {"mu", "sigma"} <= set(shapes):
        found = ", ".join(map(printable, shapes)) or "nothing"
        raise SourceError(f"{path} holds no statistics: expected 'mu' and 'sigma', found {found}.")
    try:
        return {name: np.array(array) for name, array in mapped_arrays(path, only=_NAMES).items()}
    except MemoryError as error:
        raise SourceError(f"{path} cannot be read; its statistics do not fit into memory.") from error


def _pickled(path: Place, extractor: str, digest: str) -> Statistics:
    """The statistics of an extractor in the file of another tool."""
    arrays = pickled_arrays(path)
    prefix, count = "", None
    if not {"mu", "sigma"} <= set(arrays):
        measured = [name for name, key in EDM2.items() if {f"{key}.mu", f"{key}.sigma"} <= set(arrays)]
        if not measured:
            found = ", ".join(map(printable, arrays)) or "no arrays"
            raise SourceError(
                f"{path} holds no statistics: expected mu and sigma, or those of edm2 "
                f"({', '.join(f'{key}.mu' for key in EDM2.values())}, ...), found {found}. {from_pickle(path)}"
            )
        if extractor not in measured:
            raise UsageError(
                f"{path} holds statistics of {' and '.join(measured)}, and not of '{extractor}'; choose --extractor."
            )
        prefix, count = f"{EDM2[extractor]}.", _count(arrays, path)
    return Statistics(
        features=_gaussian(arrays, f"{prefix}mu", f"{prefix}sigma", path),
        spatial=None,
        count=count,
        ddof=None if count is None else EDM2_DDOF,
        measured=None,
        name=str(path),
        sha256=digest,
    )


def _count(arrays: Mapping[str, NDArray[np.generic]], path: Place) -> int | None:
    """The number of images that edm2 writes into its files; None if there is none."""
    if EDM2_COUNT not in arrays:
        return None
    found = arrays[EDM2_COUNT]
    if found.ndim or found.dtype.kind not in "iu" or (count := int(found)) < 2:
        raise SourceError(f"{path}: '{EDM2_COUNT}' must be a number of images of 2 or more, found {found}.")
    return count


def _gaussian(arrays: Mapping[str, NDArray[np.generic]], mean: str, covariance: str, path: Place) -> StoredGaussian:
    mu, sigma = arrays[mean], arrays[covariance]
    if mu.dtype.kind != "f" or sigma.dtype.kind != "f":
        raise SourceError(f"{path}: '{mean}' and '{covariance}' must be floats, found {mu.dtype} and {sigma.dtype}.")
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or len(mu) == 0:
        raise SourceError(
            f"{path}: '{mean}' must be [D] and '{covariance}' [D, D], found {list(mu.shape)} and {list(sigma.shape)}."
        )
    gaussian = StoredGaussian(mu.astype(np.float64), sigma.astype(np.float64))
    if not (np.isfinite(gaussian.mean).all() and np.isfinite(gaussian.covariance).all()):
        raise SourceError(f"{path}: '{mean}' or '{covariance}' contains NaN or infinity.")
    asymmetry = np.abs(gaussian.covariance - gaussian.covariance.T).max()
    if asymmetry > 1e-6 * np.abs(gaussian.covariance).max():
        raise SourceError(
            f"{path}: '{covariance}' is not a covariance: it must be symmetric, and [i, j] and [j, i] differ by up to "
            f"{asymmetry:.3g}."
        )
    try:
        check_semidefinite(torch.from_numpy(gaussian.covariance), f"{path}: '{covariance}'")
    except MetricError as error:
        raise SourceError(str(error)) from error
    return gaussian


def _own(
    arrays: Mapping[str, NDArray[np.generic]], path: Place
) -> tuple[int | None, int | None, dict[str, object] | None]:
    """The description that ganeval wrote next to the arrays: count, ddof, measured; all None in other tools' files."""
    if "ganeval" not in arrays:
        return None, None, None
    try:
        own = parse_json(str(arrays["ganeval"]))
        schema, count, ddof, measured = int(own["schema"]), int(own["count"]), int(own["ddof"]), dict(own["measured"])
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(f"{path}: its 'ganeval' entry cannot be read ({error}); write the file anew.") from error
    if schema > SCHEMA:
        raise SourceError(f"{path} has schema {schema}, and this ganeval reads up to {SCHEMA}; update ganeval.")
    return count, ddof, measured
