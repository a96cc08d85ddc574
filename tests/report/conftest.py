"""Two small measured sets whose file and class names do their worst."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from report_helpers import GENERATORS, write_classes

from ganeval.comparing import comparison, measure_all
from ganeval.comparison import Comparison
from ganeval.curator.curate import exhibits_of
from ganeval.exhibits import Exhibits, exhibits_path, write_exhibits
from ganeval.pipeline import Measurement


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Reals, and two sets of fakes."""
    root = tmp_path_factory.mktemp("sets")
    return [write_classes(root / name, seed, shift=15 * seed) for seed, name in enumerate(("real", "a" * 160, "b"))]


@pytest.fixture(scope="session")
def measurements(sets: Sequence[Path]) -> dict[str, Measurement]:
    """Both generators, measured in pixels."""
    fakes = dict(zip(GENERATORS, sets[1:], strict=True))
    return measure_all(sets[0], fakes, metrics=("kid", "nn", "intra_fid"), extractor="pixels:8", cache=False)


@pytest.fixture(scope="session")
def exhibits(measurements: dict[str, Measurement]) -> dict[str, Exhibits]:
    """What is shown of either."""
    return {name: exhibits_of(one) for name, one in measurements.items()}


@pytest.fixture(scope="session")
def compared(measurements: dict[str, Measurement]) -> Comparison:
    """Their comparison."""
    return comparison(measurements)


@pytest.fixture
def saved(measurements: dict[str, Measurement], exhibits: dict[str, Exhibits], tmp_path: Path) -> Path:
    """The first one's result in a file, with its exhibits beside it."""
    path = tmp_path / "result.json"
    path.write_text(measurements[GENERATORS[0]].measured.evaluation.to_json(), encoding="utf-8")
    write_exhibits(exhibits_path(path), exhibits[GENERATORS[0]])
    return path
