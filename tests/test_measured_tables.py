"""Pages that show a benchmark's tables as it wrote them show those of the last run."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# By result: the page that has its tables. tests/test_calibration.py and test_alarms_page.py hold those of theirs.
PAGES = {
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
    "shared": "speed",
    "srgan": "systems/srgan",
    "steps": "training",
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
