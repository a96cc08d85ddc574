"""Write statistics of real images to a file that replaces the images in later evaluations."""

from dataclasses import replace
from typing import Unpack, cast

from ganeval.errors import MetricError, UsageError
from ganeval.extraction import extract_set
from ganeval.inputs import open_images, open_setups
from ganeval.metrics.moments import Moments
from ganeval.options import resolve_options
from ganeval.places import Place, place_of
from ganeval.progress import Progress, silent
from ganeval.provenance import about_extractor
from ganeval.selection import select_metrics
from ganeval.settings import MetricOptions, Settings, SettingsKeywords
from ganeval.sources.remarks import value_remarks
from ganeval.sources.statistics import Statistics, StoredGaussian, read_statistics, write_statistics


def write_reference(
    real: object,
    path: str | Place,
    *,
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> Statistics:
    """Write the mean and covariance of the features of `real` to a file that `evaluate` takes as `real`.

    pytorch-fid and clean-fid read it, too.

    Args:
        real: Images; as for `evaluate`, as are all arguments but `path`.
        path: A path or a URL. Must end in .npz, which is how such a file is recognised.
        options: Those of "fid", as for `evaluate`.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        What the file holds, with warnings about how the images were read.

    Raises:
        UsageError: `path` does not end in .npz, or `real` holds features.
        MetricError: There are fewer than 2 images.

    >>> written = ganeval.write_reference("digits:train", "digits.npz", extractor="digits", cache=False)
    >>> ganeval.fid("digits.npz", "digits:test", extractor="digits", cache=False).n_real
    1347
    """
    path, chosen, selection = place_of(path), Settings.of(settings), select_metrics(["fid"], options)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path} must end in .npz: that is how it is recognised as a statistics file.")
    opened = open_images(real, chosen)
    if opened.given is not None:
        raise UsageError(
            f"{opened.name} holds features; write their moments with numpy: "
            f"numpy.savez('{path}', mu=f.mean(0), sigma=numpy.cov(f, rowvar=False))."
        )
    (setup,) = open_setups(chosen, [opened])
    (features,) = extract_set(opened, [setup], [selection], chosen, progress)
    ddof = cast(int, resolve_options("fid", selection.metrics["fid"], selection.options, setup.protocol)["ddof"])
    if len(features) < 2:
        raise MetricError(f"{opened.name} holds 1 image, and a covariance needs at least 2.")
    gaussian = (features.moments.get("features") or Moments.of(features.rows())).gaussian(ddof=ddof)
    said = {} if chosen.prepared is None else {"prepared": chosen.prepared}
    write_statistics(
        path,
        StoredGaussian(gaussian.mean.numpy(), gaussian.covariance.numpy()),
        count=len(features),
        ddof=ddof,
        measured={**about_extractor(setup.extractor, setup.protocol), **said, "source": features.provenance},
    )
    declared = str(features.about.get("range", "uint8"))
    doubts = value_remarks(features.name, features.report, count=len(features), declared=declared)
    return replace(read_statistics(path), warnings=(*doubts, *features.warnings))
