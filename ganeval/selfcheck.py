"""Check an installation against known numbers: those of the embedded data, and on request published ones.

The known numbers were computed on a CPU in float32. `TOLERANCE` allows for the rounding of other machines.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Unpack

from ganeval.errors import GanevalError, UsageError
from ganeval.paths import data_root
from ganeval.progress import Progress, silent
from ganeval.results import Evaluation
from ganeval.settings import MetricOptions, SettingsKeywords
from ganeval.temporaries import temporary

__all__ = ["SelfCheck", "SelfCheckOutcome", "run_selfcheck"]

TOLERANCE = 1e-3
# FID between the embedded training and test digits, and IS of the test digits, with the embedded extractor.
DIGITS_FID, DIGITS_IS = 0.888444, 7.59707
# FID between 12 training and 12 test digits, with the 2015 network and generated weights of seed 0.
GENERATED_FID = 713.961
# FID between CIFAR-10's 50,000 training and 10,000 test images, and IS of the former (torch-fidelity).
PUBLISHED = (
    ("CIFAR-10, published weights: FID", "fid", 3.1457, 0.01),
    ("CIFAR-10, published weights: inception score", "is", 11.23678, 0.001),
)

# Number of fakes in every published Fréchet distance of EDM2, and the tolerance for other draws and for the lowest of
# several runs.
EDM2_IMAGES, EDM2_TOLERANCE = 50_000, 0.02
# By preset of EDM2's generate_images.py: the published value. "-fid" is of Inception, "-dino" of DINOv2.
EDM2: Mapping[str, float] = MappingProxyType(
    {
        "edm2-img512-xs-fid": 3.53,
        "edm2-img512-xs-dino": 103.39,
        "edm2-img512-s-fid": 2.56,
        "edm2-img512-s-dino": 68.64,
        "edm2-img512-m-fid": 2.25,
        "edm2-img512-m-dino": 58.44,
        "edm2-img512-l-fid": 2.06,
        "edm2-img512-l-dino": 52.25,
        "edm2-img512-xl-fid": 1.96,
        "edm2-img512-xl-dino": 45.96,
        "edm2-img512-xxl-fid": 1.91,
        "edm2-img512-xxl-dino": 42.84,
        "edm2-img512-xxl-guid-fid": 1.81,
        "edm2-img512-xxl-guid-dino": 33.09,
        "edm2-img512-s-autog-fid": 1.34,
        "edm2-img512-s-autog-dino": 36.67,
        "edm2-img512-xxl-autog-fid": 1.25,
        "edm2-img512-xxl-autog-dino": 24.18,
        "edm2-img64-s-autog-fid": 1.01,
        "edm2-img64-s-autog-dino": 31.85,
    }
)
# FD of 512 training and 512 test images of CIFAR-10, and the seed with which dgm-eval draws them.
DGM_EVAL, DGM_EVAL_TOLERANCE, DGM_EVAL_IMAGES, DGM_EVAL_SEED = 862.53745, 1.0, 512, 13579
# CMMD of the example of cmmd-pytorch: its folders reference_images and generated_images.
CMMD_EXAMPLE, CMMD_TOLERANCE = 7.696, 0.01

# ADM's evaluator on its own batches of ImageNet at 256 pixels: title, metric, options of the metric, value, tolerance.
# It computes precision and recall in float16, which moves them by up to 0.015.
ADM_REAL, ADM_FAKE = "VIRTUAL_imagenet256_labeled.npz", "admnet_guided_upsampled_imagenet256.npz"
ADM_PRDC = {"prdc": {"k": 3, "ties": "inclusive"}}
ADM: tuple[tuple[str, str, MetricOptions, float, float], ...] = (
    ("inception score", "is", {"is": {"splits": 10, "shuffle_seed": None}}, 215.83704, 0.2),
    ("FID", "fid", {}, 3.94256, 0.01),
    ("sFID", "sfid", {}, 6.14043, 0.01),
    ("precision", "precision", ADM_PRDC, 0.8265, 0.015),
    ("recall", "recall", ADM_PRDC, 0.5309, 0.015),
)

SelfCheckOutcome = Literal["passed", "failed", "not checked"]


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The outcome of one check.

    Attributes:
        name: What is checked.
        outcome: "passed", "failed" or "not checked".
        detail: The number found and the one expected, or why it was not checked.
    """

    name: str
    outcome: SelfCheckOutcome
    detail: str


def run_selfcheck(
    *, device: str = "auto", weights: Path | None = None, published: bool = False, progress: Progress = silent
) -> list[SelfCheck]:
    """Run every check; a failing one does not stop the others.

    Args:
        device: "auto", or torch's name of a device.
        weights: A file in place of the published weights.
        published: Also measure CIFAR-10 with the published weights (downloads 265 MB; takes 45 minutes on two cores),
            and compare with published numbers of ADM and of other encoders where their images are in `published` in
            the folder of data sets.
        progress: Shows the reading of CIFAR-10.

    Returns:
        The checks in the order in which they ran.

    Raises:
        UsageError: The device does not exist.
    """
    checks = [
        _check("Fréchet distance of known Gaussians", _gaussians),
        _check("digits, embedded extractor: FID", lambda: _digits("fid", DIGITS_FID, device)),
        _check("digits, embedded extractor: inception score", lambda: _digits("is", DIGITS_IS, device)),
        _check("inception network, generated weights: FID", lambda: _generated(device)),
        _check("chosen device against the CPU", lambda: _devices(device)),
    ]
    if published:
        return [*checks, *_published(device, weights, progress), *_encoders(device, weights, progress)]
    reason = "fetches 265 MB and takes three quarters of an hour on two cores; ask for it with --published"
    checks += [SelfCheck(name, "not checked", reason) for name, *_ in PUBLISHED]
    return [*checks, SelfCheck("published numbers of other encoders", "not checked", "ask for them with --published")]


def _check(name: str, look: Callable[[], tuple[bool | None, str]]) -> SelfCheck:
    """Run one check. look: returns whether it passed (None if it cannot be checked here), and the detail."""
    try:
        passed, detail = look()
    except UsageError:
        # A device that does not exist is an error of the caller, not of the installation.
        raise
    except (GanevalError, RuntimeError) as error:
        # torch raises RuntimeError when a device fails.
        return SelfCheck(name, "failed", str(error))
    return SelfCheck(name, "not checked" if passed is None else "passed" if passed else "failed", detail)


def _compare(found: float, expected: float, tolerance: float) -> tuple[bool, str]:
    """Whether a number is within the tolerance, and both numbers as text."""
    return abs(found - expected) <= tolerance, f"found {found:.6g}, expected {expected:.6g} ± {tolerance:.1g}"


def _gaussians() -> tuple[bool, str]:
    """The Fréchet distance in two dimensions, where tr (S1 S2)^(1/2) = sqrt(tr S1 S2 + 2 sqrt(det S1 S2))."""
    import torch

    from ganeval.metrics.fid import frechet_distance

    first = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    second = torch.tensor([[1.0, -0.7], [-0.7, 3.0]], dtype=torch.float64)
    product = first @ second
    root = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    expected = float(first.trace() + second.trace() - 2 * root)
    return _compare(frechet_distance(torch.zeros(2), first, torch.zeros(2), second), expected, 1e-12)


def _digits(metric: str, expected: float, device: str) -> tuple[bool, str]:
    """A metric of the embedded digits."""
    from ganeval.evaluation import evaluate

    result = evaluate("digits:train", "digits:test", metrics=[metric], extractor="digits", device=device, cache=False)
    return _compare(result[metric].value, expected, TOLERANCE * expected)


def _generated(device: str) -> tuple[bool, str]:
    """The FID of a few digits with the inception network and generated weights."""
    from ganeval.evaluation import evaluate
    from ganeval.extractors.untrained import untrained_weights

    with temporary(Path(tempfile.mkdtemp(prefix="ganeval-"))) as folder:
        file = untrained_weights(folder / "untrained.pth", seed=0)
        result = evaluate(
            "digits:train", "digits:test", weights=file, device=device, num_samples=12, seed=0, cache=False
        )
    return _compare(result["fid"].value, GENERATED_FID, TOLERANCE * GENERATED_FID)


def _devices(device: str) -> tuple[bool | None, str]:
    """Features of the inception network on the chosen device, compared with those on the CPU image by image."""
    import torch

    from ganeval.devices import find_device
    from ganeval.extractors.base import Weights
    from ganeval.extractors.inception import InceptionExtractor
    from ganeval.extractors.untrained import untrained_state
    from ganeval.precision import full_precision
    from ganeval.protocols import DEFAULT, find_protocol

    chosen = find_device(device)
    if chosen == "cpu":
        return None, "the chosen device is the CPU"
    state = untrained_state(torch.Generator().manual_seed(0))
    images = torch.randint(0, 256, (8, 3, 128, 128), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    weights, arrays = Weights("generated", "", published=False), []
    for place in ("cpu", chosen):
        extractor = InceptionExtractor(state, weights, find_protocol(DEFAULT), device=place)
        with torch.inference_mode(), full_precision():
            arrays.append(extractor.forward(extractor.prepare(images), frozenset(("features",)))["features"].cpu())
    error = float(((arrays[1] - arrays[0]).norm(dim=1) / arrays[0].norm(dim=1)).max())
    return error <= 1e-4, f"{chosen}: largest relative difference {error:.1e}, at most 1e-04 expected"


def _published(device: str, weights: Path | None, progress: Progress) -> list[SelfCheck]:
    """FID and IS of CIFAR-10 with the published weights."""
    from ganeval.evaluation import evaluate

    metrics = [metric for _, metric, _, _ in PUBLISHED]
    try:
        result = evaluate(
            "cifar10:test", "cifar10:train", metrics=metrics, device=device, weights=weights, progress=progress
        )
    except GanevalError as error:
        return [SelfCheck(name, "not checked", str(error).splitlines()[0]) for name, *_ in PUBLISHED]
    if not result.comparable:
        return [SelfCheck(name, "not checked", "these are not the published weights") for name, *_ in PUBLISHED]
    checks = []
    for name, metric, expected, tolerance in PUBLISHED:
        passed, detail = _compare(result[metric].value, expected, tolerance)
        checks.append(SelfCheck(name, "passed" if passed else "failed", detail))
    return checks


def _encoders(device: str, weights: Path | None, progress: Progress) -> list[SelfCheck]:
    """Published numbers of other encoders whose images are here; the weights are fetched on first use."""
    root = data_root() / "published"
    reference, generated = root / "cmmd-pytorch" / "reference_images", root / "cmmd-pytorch" / "generated_images"
    measure = partial(_measured, {"device": device}, progress)
    checks = [
        _known("dgm-eval: FD of DINOv2, CIFAR-10", lambda: _dgm_eval(measure)),
        _known(
            "cmmd-pytorch: CMMD of its example",
            lambda: _example(measure, reference, generated),
        ),
    ]
    for preset, expected in EDM2.items():
        look = partial(_edm2, measure, root, preset, expected, weights)
        checks.append(_known(f"EDM2: {'FID' if preset.endswith('-fid') else 'FD of DINOv2'} of {preset}", look))
    for title, metric, options, value, tolerance in ADM:
        look = partial(_adm, measure, root / "adm", weights, (metric, options, value, tolerance))
        checks.append(_known(f"ADM, ImageNet at 256 pixels: {title}", look))
    return checks


def _known(name: str, look: Callable[[], tuple[bool | None, str]]) -> SelfCheck:
    """The outcome of a check against a published number; "not checked" if it cannot be measured here."""
    try:
        passed, detail = look()
    except GanevalError as error:
        passed, detail = None, str(error).splitlines()[0]
    return SelfCheck(name, "not checked" if passed is None else "passed" if passed else "failed", detail)


def _measured(
    common: SettingsKeywords,
    progress: Progress,
    real: object,
    fake: object,
    metric: str,
    *,
    options: MetricOptions | None = None,
    **settings: Unpack[SettingsKeywords],
) -> tuple[Evaluation | None, str]:
    """An evaluation with published weights; or None, and what is missing."""
    from ganeval.evaluation import evaluate

    missing = [str(path) for path in (real, fake) if isinstance(path, Path) and not path.exists()]
    if missing:
        return None, f"there is no {' and no '.join(missing)}"
    sides = (str(one) if isinstance(one, Path) else one for one in (real, fake))
    chosen: SettingsKeywords = {**common, **settings}
    result = evaluate(*sides, metrics=[metric], options=options, progress=progress, **chosen)
    return (result, "") if result.comparable else (None, "these are not the published weights")


Measure = Callable[..., tuple[Evaluation | None, str]]


def _dgm_eval(measure: Measure) -> tuple[bool | None, str]:
    """dgm-eval's example: 512 images of each split, drawn as it draws them."""
    import numpy as np
    import torch

    from ganeval.extractors.dinov2 import URL
    from ganeval.extractors.hub import checkpoint
    from ganeval.sources import open_source
    from ganeval.sources.chosen import images_at

    file = checkpoint(URL.format(name="vitl14"))
    if not file.is_file():
        return None, f"1.2 GB of weights are not at {file}; any use of the protocol fd-dinov2 fetches them"
    sides = []
    for split, count in (("train", 50_000), ("test", 10_000)):
        chosen = np.random.RandomState(DGM_EVAL_SEED).choice(count, DGM_EVAL_IMAGES, replace=False)
        sides.append(torch.stack(list(images_at(open_source(f"cifar10:{split}"), chosen.tolist()).values())))
    result, missing = measure(*sides, "fid", protocol="fd-dinov2")
    if result is None:
        return None, missing
    return _compare(result["fid"].value, DGM_EVAL, DGM_EVAL_TOLERANCE)


def _example(measure: Measure, real: Path, fake: Path) -> tuple[bool | None, str]:
    """The CMMD of the images in cmmd-pytorch's repository."""
    result, missing = measure(real, fake, "cmmd", protocol="cmmd")
    if result is None:
        return None, f"{missing}; they are folders of the repository cmmd-pytorch"
    return _compare(result["cmmd"].value, CMMD_EXAMPLE, CMMD_TOLERANCE)


def _edm2(measure: Measure, root: Path, preset: str, expected: float, weights: Path | None) -> tuple[bool | None, str]:
    """One of EDM2's published numbers, for images that its generate_images.py wrote with this preset."""
    reference = root / f"{preset.split('-')[1]}.pkl"
    of_inception = preset.endswith("-fid")
    settings = {"weights": weights, "protocol": "tensorflow"} if of_inception else {"protocol": "fd-dinov2-edm2"}
    result, missing = measure(reference, root / preset, "fid", **settings)
    if result is None:
        return None, f"{missing}; the reference is EDM2's, the images those of its preset"
    if (count := result["fid"].n_fake) != EDM2_IMAGES:
        return None, f"{root / preset} holds {count} images, and the number is of {EDM2_IMAGES}"
    return _compare(result["fid"].value, expected, EDM2_TOLERANCE * expected)


def _adm(
    measure: Measure, root: Path, weights: Path | None, row: tuple[str, MetricOptions, float, float]
) -> tuple[bool | None, str]:
    """One of the numbers that ADM's evaluator prints for its own reference and samples."""
    metric, options, expected, tolerance = row
    sides = root / ADM_REAL, root / ADM_FAKE
    result, missing = measure(*sides, metric, options=options, weights=weights, protocol="tensorflow")
    if result is None:
        return None, f"{missing}; they are batches that come with guided-diffusion"
    return _compare(result[metric].value, expected, tolerance)
