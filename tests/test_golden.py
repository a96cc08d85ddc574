"""Numbers that change only on purpose: `python scripts/golden.py --write` records intended changes."""

import json

import pytest

from scripts import golden


@pytest.fixture(scope="module")
def kept() -> golden.Numbers:
    """The numbers as they were written down."""
    return json.loads(golden.FILE.read_text(encoding="utf-8"))


def test_no_number_has_moved(kept: golden.Numbers) -> None:
    """Every metric, protocol and evaluation command gives the recorded values, bit for bit on the same machine."""
    found = json.loads(json.dumps(golden.measured()))
    equal = golden.exactly if found["machine"] == kept["machine"] else golden.nearly
    differing = list(golden.differing(kept["numbers"], found["numbers"], equal))
    assert not differing, "\n".join(differing[:20])


def test_a_moved_number_is_named(kept: golden.Numbers) -> None:
    """A number that differs in its last bit, or is missing, is reported."""
    value = kept["numbers"]["fid"]["fid"]["value"]
    moved = {"fid": {"fid": {"value": value * (1 + 2e-16)}}}
    assert list(golden.differing({"fid": {"fid": {"value": value}}}, moved, golden.exactly)) == [
        f"/fid/fid/value: {value!r} is now {value * (1 + 2e-16)!r}"
    ]
    assert not list(golden.differing({"fid": {"fid": {"value": value}}}, moved, golden.nearly))
    assert list(golden.differing({"a": 1.0}, {}, golden.nearly)) == ["/a: 1.0 is now None"]
