"""Options reach their metric, and invalid ones are refused by name."""

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

import ganeval.metrics
from ganeval import evaluate
from ganeval.errors import MetricError, UsageError
from ganeval.metrics import METRICS, PAIR_METRICS
from ganeval.metrics.base import checked_value, defaults
from ganeval.options import checked_options
from ganeval.results import Evaluation

REALS = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
FAKES = torch.randint(0, 200, (30, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def rows(*names: str) -> Mapping[str, object]:
    return {name: METRICS[name] for name in names}


def test_an_option_changes_the_value_and_is_written_down() -> None:
    """The result has it together with the defaults of the others."""

    def density(**options: Mapping[str, object]) -> tuple[float, Mapping[str, object]]:
        found = evaluate(REALS, FAKES, metrics=["density"], options=options, extractor="pixels:6")["density"]
        return found.value, found.options

    usual, other = density(), density(prdc={"k": 2})
    assert usual[1] == {"k": 5, "ties": "strict", "subset_size": None, "seed": 0}
    assert other[1] == {"k": 2, "ties": "strict", "subset_size": None, "seed": 0}
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
        ({"fid": {"ddof": -5}}, "'fid.ddof' must be 0 or 1, found -5"),
        ({"fid": {"ddof": True}}, "'fid.ddof' must be 0 or 1, found True"),
        ({"prdc": {"seed": -1}}, "'prdc.seed' must be from 0 to 4294967295, found -1"),
        ({"prdc": {"seed": 2**32}}, "'prdc.seed' must be from 0 to 4294967295, found 4294967296"),
        ({"prdc": 3}, r"options of 'prdc' must be by name, as in \{'prdc': \{'k': 3\}\}; found 3"),
        ([("prdc", {"k": 3})], r"Options are by metric, as in \{'prdc': \{'k': 3\}\}; found \[\('prdc'"),
        ({3: {"k": 3}}, "unknown metric '3'"),
        ({"kid.subsets": 5}, r"unknown metric 'kid.subsets'; write \{'kid': \{'subsets': 5\}\}\."),
        ({"prdc": {3: 3}}, "Unknown option 'prdc.3'"),
        (
            {"precision": {"k": 3}, "recall": {"k": 7}},
            "'precision.k' is 3 and 'recall.k' is 7, and both are one option",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options: Mapping[str, Mapping[str, object]], complaint: str) -> None:
    """Unknown metrics and options are refused with a hint, and values with the allowed ones."""
    with pytest.raises(UsageError, match=complaint):
        checked_options(options, rows("precision", "fid"))


@pytest.mark.parametrize("name", METRICS)
def test_seeds_are_what_a_generator_of_random_numbers_takes(name: str) -> None:
    """They may be null where optional; other values are refused by name for every metric."""
    row = METRICS[name]
    for option in defaults(row.compute):
        if option.endswith("seed"):
            for seed in (0, 2**32 - 1):
                assert checked_options({name: {option: seed}}, {name: row}) == {row.family or name: {option: seed}}
            for seed in (-1, 2**32):
                with pytest.raises(UsageError, match=f"'{name}.{option}' must be from 0 to 4294967295, found {seed}"):
                    checked_options({name: {option: seed}}, {name: row})


def test_no_option_is_nan() -> None:
    """Infinity is a valid order of the Vendi score, but NaN is not."""
    assert checked_options({"vendi": {"order": math.inf}}, rows("vendi")) == {"vendi": {"order": math.inf}}
    with pytest.raises(UsageError, match=r"'vendi.order' must be a number, found NaN"):
        checked_options({"vendi": {"order": math.nan}}, rows("vendi"))


def functions_with_options() -> dict[str, Callable[..., object]]:
    """Those of both tables, and others that people call themselves."""
    rows = {name: row.compute for table in (METRICS, PAIR_METRICS) for name, row in table.items()}
    public = {f"{name}()": getattr(ganeval.metrics, name) for name in ganeval.metrics.__all__}
    others = ("normal_interval()", "register_metric()", "register_pair_metric()")
    functions = {name: one for name, one in public.items() if inspect.isfunction(one) and name not in others}
    return {name: one for name, one in {**rows, **functions}.items() if defaults(one)}


@pytest.mark.parametrize("name", functions_with_options())
def test_a_metric_that_is_called_directly_checks_its_options(name: str) -> None:
    """What `evaluate` refuses, the function refuses in the same words, before it looks at any data."""
    compute = functions_with_options()[name]
    parameters = inspect.signature(compute).parameters.values()
    data = {one.name: None for one in parameters if one.default is one.empty}
    for option in defaults(compute):
        refused = 0
        for value in (object(), "1", math.nan, math.inf, True, 2.5, -1, None, [1], np.float32(0.5), np.int32(3)):
            try:
                checked_value(option, option, value, compute)
            except UsageError as error:
                refused += 1
                with pytest.raises(MetricError, match=f"^{re.escape(str(error))}$"):
                    compute(**data, **{option: value})
        assert refused >= 5, option


def test_numbers_of_numpy_are_numbers() -> None:
    """Those of np.arange and np.linspace, which a result has as Python's; others are refused by what they are."""
    found = checked_options(
        {"prdc": {"k": np.arange(4)[3]}, "vendi": {"order": np.linspace(1, 2, 3)[1]}}, rows("precision", "vendi")
    )
    assert [type(found["prdc"]["k"]), type(found["vendi"]["order"])] == [int, float]
    assert found == {"prdc": {"k": 3}, "vendi": {"order": 1.5}}
    with pytest.raises(UsageError, match=r"a whole number, found np.int8\(3\); convert it with .item\(\)\."):
        checked_options({"prdc": {"k": np.int8(3)}}, rows("precision", "vendi"))


def test_an_infinite_option_is_written_as_a_word_and_read_back() -> None:
    """JSON has no infinity, and the signature is the same before and after."""
    found = evaluate(REALS, FAKES, metrics=["vendi"], options={"vendi": {"order": math.inf}}, extractor="pixels:6")
    document = json.loads(found.to_json())
    assert document["metrics"]["vendi"]["options"]["order"] == "Infinity"
    read = Evaluation.from_json(found.to_json())
    assert read["vendi"].options == found["vendi"].options
    assert read.signature == found.signature == document["signature"]


@pytest.mark.parametrize("count", [20, 40])
@pytest.mark.parametrize("name", ["fid", "fid_infinity", "mifid"])
def test_the_option_decides_what_covariances_are_divided_by(name: str, count: int) -> None:
    """It overrides the protocol, for more and fewer images than dimensions, with and without stored moments."""

    def value(reals: Tensor, ddof: int, protocol: str) -> float:
        asked = {"metrics": [name], "options": {name: {"ddof": ddof}}, "extractor": "pixels:3", "cache": False}
        return evaluate(reals, FAKES, protocol=protocol, **asked)[name].value

    values = [value(REALS[:count], ddof, protocol) for ddof in (0, 1) for protocol in ("tensorflow", "stylegan")]
    assert values[0] == values[1] != values[2] == values[3]
    plain = evaluate(REALS[:count], FAKES, metrics=[name], extractor="pixels:3", protocol="stylegan", cache=False)
    assert plain[name].value == values[0]


def test_null_and_whole_numbers_stand_where_they_may() -> None:
    """A whole number is accepted for a float, and null for an optional value."""
    assert checked_options({"kid": {"subsets": None}}, rows("kid")) == {"kid": {"subsets": None}}
    found = checked_options({"vendi": {"order": 2}}, rows("vendi"))
    assert isinstance(found["vendi"]["order"], float)


@pytest.mark.parametrize("name", METRICS)
def test_every_option_has_a_type_that_can_be_checked(name: str) -> None:
    """Its default is valid, and an arbitrary object is not."""
    row = METRICS[name]
    known = defaults(row.compute)
    assert checked_options({name: known}, {name: row}) in ({row.family or name: known}, {})
    for option in known:
        with pytest.raises(UsageError, match="must be"):
            checked_options({name: {option: object()}}, {name: row})


def test_data_is_no_option() -> None:
    """Labels come from the sets and are not options."""

    def metric(real: object, *, real_labels: object, ties: Literal["a"] = "a") -> None: ...

    assert defaults(metric) == {"ties": "a"}
