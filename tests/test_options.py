"""Options of metrics: what is asked for reaches the metric, and what cannot be is refused by name."""

from collections.abc import Mapping
from typing import Literal

import pytest
import torch

from ganeval import evaluate
from ganeval.errors import UsageError
from ganeval.metrics import METRICS
from ganeval.options import checked_options, defaults

REALS = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
FAKES = torch.randint(0, 200, (30, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def rows(*names: str) -> Mapping[str, object]:
    return {name: METRICS[name] for name in names}


def test_an_option_changes_the_value_and_is_written_down() -> None:
    """Beside the defaults of those that were not asked for."""

    def density(**options: Mapping[str, object]) -> tuple[float, Mapping[str, object]]:
        found = evaluate(REALS, FAKES, metrics=["density"], options=options, extractor="pixels:6")["density"]
        return found.value, found.options

    usual, other = density(), density(prdc={"k": 2})
    assert usual[1] == {"k": 5, "ties": "strict", "seed": 0}
    assert other[1] == {"k": 2, "ties": "strict", "seed": 0}
    assert usual[0] != other[0]
    assert density(density={"k": 2}) == other


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"fids": {"ddof": 0}}, "unknown metric 'fids'; .*fid"),
        ({"kid": {"subsets": 3}}, "'kid', which is not measured; measured are precision, fid"),
        ({"prdc": {"kk": 3}}, "Unknown option 'prdc.kk'; .*k"),
        ({"prdc": {"k": "3"}}, "'prdc.k' must be a whole number, found '3'"),
        ({"prdc": {"k": True}}, "must be a whole number, found True"),
        ({"prdc": {"k": 2.5}}, "must be a whole number, found 2.5"),
        ({"precision": {"ties": "loose"}}, "'precision.ties' must be 'strict' or 'inclusive', found 'loose'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options: Mapping[str, Mapping[str, object]], complaint: str) -> None:
    """Unknown metrics and options with a hint, values with what they should be."""
    with pytest.raises(UsageError, match=complaint):
        checked_options(options, rows("precision", "fid"))


def test_null_and_whole_numbers_stand_where_they_may() -> None:
    """A whole number for any number, null for an optional one."""
    assert checked_options({"kid": {"subsets": None}}, rows("kid")) == {"kid": {"subsets": None}}
    found = checked_options({"vendi": {"order": 2}}, rows("vendi"))
    assert isinstance(found["vendi"]["order"], float)


@pytest.mark.parametrize("name", METRICS)
def test_every_option_has_a_type_that_can_be_checked(name: str) -> None:
    """Its own default fits, and an object of no type at all does not."""
    row = METRICS[name]
    known = defaults(row.compute)
    assert checked_options({name: known}, {name: row}) in ({row.family or name: known}, {})
    for option in known:
        with pytest.raises(UsageError, match="must be"):
            checked_options({name: {option: object()}}, {name: row})


def test_data_is_no_option() -> None:
    """Labels come from the sets."""

    def metric(real: object, *, real_labels: object, ties: Literal["a"] = "a") -> None: ...

    assert defaults(metric) == {"ties": "a"}
