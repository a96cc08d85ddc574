"""Two small evaluated sets with hostile file and class names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from report_helpers import GENERATORS, write_classes

from ganeval.comparing import compare
from ganeval.comparison import Comparison
from ganeval.report.data import ReportData, report_data_path, write_report_data
from ganeval.report_data.build import build_report_data
from ganeval.results import Evaluation


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Reals, and two sets of fakes."""
    root = tmp_path_factory.mktemp("sets")
    return [write_classes(root / name, seed, shift=15 * seed) for seed, name in enumerate(("real", "a" * 160, "b"))]


@pytest.fixture(scope="session")
def compared(sets: Sequence[Path]) -> Comparison:
    """Both generators, compared in pixels."""
    fakes = dict(zip(GENERATORS, sets[1:], strict=True))
    return compare(sets[0], fakes, metrics=("kid", "nn", "intra_fid"), extractor="pixels:8", cache=False)


@pytest.fixture(scope="session")
def evaluations(compared: Comparison) -> Mapping[str, Evaluation]:
    """The evaluation of each."""
    return compared.evaluations


@pytest.fixture(scope="session")
def report_data(evaluations: Mapping[str, Evaluation]) -> dict[str, ReportData]:
    """The report data of each."""
    return {name: build_report_data(one) for name, one in evaluations.items()}


@pytest.fixture
def saved(evaluations: Mapping[str, Evaluation], report_data: dict[str, ReportData], tmp_path: Path) -> Path:
    """The first one's result in a file, with its report data in the same folder."""
    path = tmp_path / "result.json"
    path.write_text(evaluations[GENERATORS[0]].to_json(), encoding="utf-8")
    write_report_data(report_data_path(path), report_data[GENERATORS[0]])
    return path
