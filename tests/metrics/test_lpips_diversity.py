"""LPIPS between fakes: a naive mean over all pairs, the protocol of StarGAN v2, and how its network is opened."""

from itertools import combinations

import numpy as np
import pytest
import torch

import ganeval
from ganeval.errors import MetricError
from ganeval.extractors import open_lpips
from ganeval.metrics import lpips, lpips_diversity

UNTRAINED = "alex:untrained"
IMAGES = torch.rand(9, 3 * 64 * 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("count", "asked"), [(9, 36), (8, 28), (4, 1000)])
def test_all_pairs_of_a_group(count: int, asked: int) -> None:
    """Of few images, odd or even in number, the value is the mean over all pairs, if so many are asked for."""
    network, shaped = open_lpips(UNTRAINED), IMAGES[:count].reshape(-1, 3, 64, 64)
    numbers = combinations(range(count), 2)
    pairs = [float(lpips(shaped[a : a + 1], shaped[b : b + 1], network=network)) for a, b in numbers]
    found = lpips_diversity(IMAGES[:count], network=network, pairs=asked)
    # The images go to the network in float32, by two ways that round differently.
    assert found.value == pytest.approx(np.mean(pairs), rel=1e-5)
    assert found.details["pixels"] == 64


def test_copies_have_no_diversity() -> None:
    """Copies of one image have 0, exactly."""
    found = lpips_diversity(IMAGES[:1].repeat(6, 1), network=open_lpips(UNTRAINED), pairs=6)
    assert (found.value, found.standard_error) == (0.0, 0.0)


def test_evaluations_open_the_network_by_name() -> None:
    """The option is a text, stays one in the result, and the caveat of an untrained network makes it incomparable."""
    options = {"lpips_diversity": {"network": UNTRAINED, "pairs": 8}}
    evaluation = ganeval.evaluate(
        None,
        "digits:test",
        metrics=["lpips_diversity"],
        options=options,
        extractor="pixels:64",
        num_samples=8,
        cache=False,
    )
    found = evaluation["lpips_diversity"]
    assert found.value > 0
    assert found.options["network"] == UNTRAINED
    assert not evaluation.comparable
    assert "is untrained" in evaluation.warnings[0]
    assert found.direction == "higher"


def test_weights_that_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Asked for by name it is refused with the missing file; among all metrics it is left out with the reason."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    given = {"extractor": "pixels:64", "num_samples": 8, "cache": False}
    with pytest.raises(MetricError, match=r"lpips_diversity: The weights of the trunk alex of LPIPS are not at"):
        ganeval.evaluate(None, "digits:test", metrics=["lpips_diversity"], **given)
    found = ganeval.evaluate("digits:train", "digits:test", metrics="all", **given)
    assert "lpips_diversity" not in found
    assert any("lpips_diversity was not measured: The weights" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("fake", "options", "reason"),
    [
        (IMAGES[:3], {}, "needs at least 4 fake images, found 3"),
        (IMAGES, {"pairs": 0}, "at least 1 pair, found 0"),
        (IMAGES[:, :-1], {}, "needs square images of three channels"),
        (IMAGES * 2, {}, "needs pixels on 0..1"),
        (IMAGES[:, : 3 * 16 * 16], {}, "Images of 16 x 16 pixels are too small for the network"),
        (IMAGES, {"network": "alex"}, "'alex' is a name; open it"),
    ],
)
def test_what_it_refuses(fake: torch.Tensor, options: dict[str, object], reason: str) -> None:
    """Each is named, with what is allowed."""
    with pytest.raises(MetricError, match=reason):
        lpips_diversity(fake, **{"network": open_lpips(UNTRAINED), **options})  # type: ignore[arg-type]
