"""Pages that show a benchmark's tables as it wrote them show those of the last run."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import mean_text
from benchmarks.systems import bayesgan, bgan, progan, seqgan, ssgan, translation

ROOT = Path(__file__).parent.parent
# By result: the page that has its tables. tests/test_calibration.py and test_alarms_page.py hold those of theirs.
PAGES = {
    "bayesgan": "systems/bayesgan",
    "bgan": "systems/bgan",
    "context_encoder": "systems/context_encoder",
    "cyclegan": "systems/cyclegan",
    "ddpm": "systems/ddpm",
    "distance": "speed",
    "encoders": "encoders",
    "exgan": "systems/exgan",
    "kid-products": "speed",
    "levels": "calibration",
    "lite0": "speed",
    "network": "speed",
    "pix2pix": "systems/pix2pix",
    "pix2pix_holes": "systems/pix2pix",
    "progan": "systems/progan",
    "progan_fashionmnist": "systems/progan",
    "quick_runs": "reference_models",
    "r3gan": "systems/r3gan",
    "ranking-digits": "systems/ranking",
    "ranking-fashionmnist": "systems/ranking",
    "remote": "speed",
    "runs": "runs",
    "sanity": "sensitivity",
    "scaling": "speed",
    "sensitivity": "sensitivity",
    "seqgan": "systems/seqgan",
    "shared": "speed",
    "srgan": "systems/srgan",
    "ssgan": "systems/ssgan",
    "steps": "training",
}
# By result: what makes its tables of its figures.
TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "bayesgan": bayesgan.tables,
    "bgan": bgan.tables,
    "cyclegan": translation.tables,
    "pix2pix": translation.tables,
    "pix2pix_holes": translation.tables,
    "progan": partial(progan.tables, progan.TASKS["digits"]),
    "progan_fashionmnist": partial(progan.tables, progan.TASKS["fashionmnist"]),
    "seqgan": seqgan.tables,
    "ssgan": ssgan.tables,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_has_the_measured_tables(name: str) -> None:
    """Every table of the result is in the page, word for word."""
    page = (ROOT / f"docs/{PAGES[name]}.md").read_text(encoding="utf-8")
    parts = (ROOT / f"benchmarks/results/{name}.md").read_text(encoding="utf-8").strip().split("\n\n")
    tables = [part for part in parts if part.startswith("|")]
    assert tables
    for table in tables:
        assert table in page


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_of_the_figures(name: str) -> None:
    """The tables beside a result are those of its figures."""
    figures, text = (ROOT / f"benchmarks/results/{name}.{kind}" for kind in ("json", "md"))
    assert TABLES[name](json.loads(figures.read_text(encoding="utf-8"))) + "\n" == text.read_text(encoding="utf-8")


def test_means_have_the_decimals_of_their_intervals() -> None:
    """Two digits of half the interval, which is 4.303 / sqrt(3) deviations for three values, and the mean to match."""
    assert mean_text([1.0, 2.0, 3.0]) == "2.0 ± 2.5"
    assert mean_text([100.0, 110.0, 120.0]) == "110 ± 25"
    assert mean_text([-0.0302, -0.0304, -0.0306]) == "-0.03040 ± 0.00050"
    assert mean_text([19.999998, 19.999998]) == "20 ± 0"
    assert mean_text([0.03129]) == "0.0313"
