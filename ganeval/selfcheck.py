"""Check an installation against known numbers: those of the embedded data, and on request published ones.

The known numbers were computed on a CPU in float32. `TOLERANCE` allows for the rounding of other machines.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganeval.errors import GanevalError, UsageError
from ganeval.progress import Progress, silent

__all__ = ["SelfCheck", "SelfCheckOutcome", "run_selfcheck"]

TOLERANCE = 1e-3
# FID between the embedded training and test digits, and IS of the test digits, with the embedded extractor.
DIGITS_FID, DIGITS_IS = 0.888444, 7.59707
# FID between 40 training and 40 test digits, with the 2015 network and generated weights of seed 0.
GENERATED_FID = 550.954
# FID between CIFAR-10's 50,000 training and 10,000 test images, and IS of the former (torch-fidelity).
PUBLISHED = (
    ("CIFAR-10, published weights: FID", "fid", 3.1457, 0.01),
    ("CIFAR-10, published weights: inception score", "is", 11.23678, 0.001),
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
        published: Also measure CIFAR-10 with the published weights (downloads 265 MB; takes 45 minutes on two cores).
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
        return checks + _published(device, weights, progress)
    reason = "fetches 265 MB and takes three quarters of an hour on two cores; ask for it with --published"
    return [*checks, *(SelfCheck(name, "not checked", reason) for name, *_ in PUBLISHED)]


def _check(name: str, look: Callable[[], tuple[bool | None, str]]) -> SelfCheck:
    """Run one check. look: gives whether it passed, None if it cannot be checked here, and the detail."""
    try:
        passed, detail = look()
    except UsageError:
        # A device that does not exist is a mistake in the call, not in the installation.
        raise
    except (GanevalError, RuntimeError) as error:
        # torch raises RuntimeError when a device fails.
        return SelfCheck(name, "failed", str(error))
    return SelfCheck(name, "not checked" if passed is None else "passed" if passed else "failed", detail)


def _compare(found: float, expected: float, tolerance: float) -> tuple[bool, str]:
    """Whether a number is within the tolerance, and both numbers in words."""
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

    with tempfile.TemporaryDirectory(prefix="ganeval-") as folder:
        file = untrained_weights(Path(folder) / "untrained.pth", seed=0)
        result = evaluate(
            "digits:train", "digits:test", weights=file, device=device, num_samples=40, seed=0, cache=False
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
