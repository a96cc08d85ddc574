"""The dry run decides from counts and classes alone whether a metric is possible, as the evaluation would."""

import pytest
import torch

from ganeval.evaluation import evaluate
from ganeval.extractors import Setup
from ganeval.inputs import open_setups
from ganeval.metrics import METRICS
from ganeval.selection import select_metrics
from ganeval.settings import Settings
from ganeval.sources import open_source
from reference_models.scoring.dry_run import FEW, Counted, obstacles


@pytest.fixture(scope="module")
def setup() -> Setup:
    """The extractor of digits."""
    return open_setups(Settings(extractor="digits"))[0]


def test_counts_decide(setup: Setup) -> None:
    """Three images allow a covariance but not a fifth neighbour; twenty allow both."""
    selection = select_metrics(("fid", "kid", "is", "recall", "sfid"))
    found = obstacles(selection, setup, Counted(3), Counted(3))
    assert found.keys() == {"is", "recall"}
    assert "choose a k of 1 to 2" in found["recall"]
    assert obstacles(selection, setup, Counted(20), Counted(20)) == {}


def test_options_count_too(setup: Setup) -> None:
    """Options are taken into account."""
    selection = select_metrics(("recall",), {"prdc": {"k": 2}})
    assert obstacles(selection, setup, Counted(3), Counted(3)) == {}


@pytest.mark.parametrize("counts", [(30, 30, 1), (5000, 3, 1)])
def test_classes_decide_whatever_the_size_of_the_set(setup: Setup, counts: tuple[int, int, int]) -> None:
    """A class of one image is named, also in a set that is too large for a complete dry run."""
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    real = Counted(len(labels), labels, ("a", "b", "c"))
    fake = Counted(30, torch.arange(30) % 3, ("a", "b", "c"))
    selection = select_metrics(("conditional_accuracy", "cas", "intra_fid", "head_accuracy"))
    found = obstacles(selection, setup, real, fake)
    assert found.keys() == {"conditional_accuracy", "cas", "intra_fid"}
    assert all("found 1 of class c" in reason for reason in found.values())
    assert obstacles(selection, setup, fake, fake) == {}


def test_of_what_hangs_on_more_nothing_is_said(setup: Setup) -> None:
    """Nothing is decided for large sets, metrics of images, and unknown classes."""
    large, few = Counted(FEW + 1), Counted(1)
    assert obstacles(select_metrics(("fid", "recall")), setup, large, few) == {}
    assert obstacles(select_metrics(("ms_ssim_diversity", "cas")), setup, few, few) == {}


@pytest.mark.parametrize("count", [2, 6, 30])
def test_a_rehearsal_tells_what_the_measurement_would(setup: Setup, count: int) -> None:
    """On real digits the dry run leaves out exactly the metrics that the evaluation refuses."""
    undecided = ("head_accuracy", "c2st_mlp", "ct")
    names = [name for name, row in METRICS.items() if row.fake != "images" and name not in undecided]
    sources = [open_source(f"digits:{split}", num_samples=count, seed=1) for split in ("train", "test")]
    sets = [Counted(count, torch.tensor(source.labels)) for source in sources]
    found = obstacles(select_metrics(names, {}), setup, *sets)
    measured = evaluate("digits:train", "digits:test", metrics="all", num_samples=count, seed=1, extractor="digits")
    assert {name for name in names if name not in measured.metrics} == found.keys()
    assert all(any(reason in warning for warning in measured.warnings) for reason in found.values())
