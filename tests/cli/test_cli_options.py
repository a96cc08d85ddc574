"""`--option` on every evaluation command, flags for the same options, and the range of values."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import Run

import ganeval
from ganeval.sources.statistics import read_statistics

DIGITS = ("--extractor", "digits", "--no-cache", "-q")


def documents(run: Run, *arguments: str | Path) -> dict[str, object]:
    """The metrics of a command's JSON."""
    result = run(*arguments, *DIGITS, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["metrics"]


@pytest.mark.parametrize(
    ("command", "option", "metric", "expected"),
    [
        ("fid", "fid.ddof=0", "fid", {"ddof": 0}),
        ("is", "is.splits=2", "is", {"splits": 2}),
        ("is", "is.shuffle_seed=null", "is", {"shuffle_seed": None}),
        ("kid", "kid.seed=7", "kid", {"seed": 7}),
        ("prdc", "prdc.k=3", "precision", {"k": 3}),
        ("prdc", "recall.ties=inclusive", "coverage", {"ties": "inclusive"}),
        ("nn", "nn.distance=cosine", "nn", {"distance": "cosine"}),
        ("nn", "authenticity.seed=3", "authenticity", {"seed": 3}),
        ("c2st --classifier knn", "c2st_knn.k=3", "c2st_knn", {"k": 3}),
        ("score --metrics vendi", "vendi.order=2", "vendi", {"order": 2.0}),
        ("noise-floor --metrics kid", "kid.seed=7", "kid", {"seed": 7}),
    ],
)
def test_every_command_takes_options_of_its_metrics(
    run: Run, digits: tuple[str, str], *, command: str, option: str, metric: str, expected: dict[str, object]
) -> None:
    """Options reach the metric and are recorded in the result."""
    name, *extra = command.split()
    sides = digits[:1] if name in ("is", "noise-floor") else digits
    found = documents(run, name, *sides, *extra, "--option", option)[metric]
    assert {name: found["options"][name] for name in expected} == expected


def test_compare_takes_them_too(run: Run, digits: tuple[str, str]) -> None:
    """Options of `compare` apply to every generator."""
    result = run(
        "compare", *digits, digits[0], "--metrics", "fid", "--option", "fid.ddof=0", *DIGITS, "--format", "json"
    )
    document = json.loads(result.stdout)
    assert [one["metrics"]["fid"]["options"] for one in document["generators"].values()] == [{"ddof": 0}] * 2


def test_statistics_have_the_divisor_that_was_asked_for(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """`ganeval stats --option fid.ddof=0` writes covariances over n."""
    path = tmp_path / "ref.npz"
    assert run("stats", digits[0], "-o", path, *DIGITS, "--option", "fid.ddof=0").exit_code == 0
    biased = read_statistics(path)
    assert run("stats", digits[0], "-o", path, *DIGITS).exit_code == 0
    usual = read_statistics(path)
    np.testing.assert_allclose(biased.features.covariance, usual.features.covariance * 39 / 40)
    assert (biased.ddof, usual.ddof) == (0, 1)


@pytest.mark.parametrize("command", ["fid", "is", "kid", "prdc", "nn", "c2st", "stats"])
def test_an_option_of_another_metric_is_refused_by_name(
    run: Run, digits: tuple[str, str], tmp_path: Path, command: str
) -> None:
    """A command refuses options of metrics that it does not compute."""
    sides = {"is": digits[:1], "stats": (digits[0], "-o", str(tmp_path / "x.npz"))}.get(command, digits)
    result = run(command, *sides, *DIGITS, "--option", "vendi.order=2")
    assert result.exit_code == 2
    assert "There are options for 'vendi', which is not measured; measured are" in result.stderr


def test_splits_of_the_inception_score(run: Run, digits: tuple[str, str]) -> None:
    """`--splits N` equals `--option is.splits=N`, and the two may not differ."""
    assert documents(run, "is", digits[1], "--splits", "1") == documents(
        run, "is", digits[1], "--option", "is.splits=1"
    )
    assert documents(run, "is", digits[1], "--splits", "2", "--option", "is.splits=2")["is"]["options"]["splits"] == 2
    result = run("is", digits[1], *DIGITS, "--splits", "1", "--option", "is.splits=2")
    assert result.exit_code == 2
    assert "--splits is 1, but --option is.splits is 2; give one of them." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prdc", "--k", "3", "--option", "prdc.k=4"), "--k is 3, but --option prdc.k is 4"),
        (("prdc", "--k", "3", "--option", "recall.k=4"), "both are one option"),
        (
            ("kid", "--subset-size", "5", "--option", "kid.subset_size=6"),
            "--subset-size is 5, but --option kid.subset_size",
        ),
        (("nn", "--distance", "cosine", "--option", "nn.distance=euclidean"), "--distance is cosine"),
        (
            ("fid", "--option", "fid.ddof=0", "--option", "fid.ddof=1"),
            "--option fid.ddof was given twice, as 0 and as 1",
        ),
    ],
)
def test_flags_and_options_may_not_disagree(
    run: Run, digits: tuple[str, str], arguments: tuple[str, ...], message: str
) -> None:
    """A flag and an option with different values are refused."""
    result = run(arguments[0], *digits, *arguments[1:], *DIGITS)
    assert result.exit_code == 2
    assert message in result.stderr


def test_flags_left_out_leave_the_defaults(run: Run, digits: tuple[str, str]) -> None:
    """k is 5 and strict, the distance Euclidean, as `ganeval metrics` lists them."""
    assert documents(run, "prdc", *digits)["precision"]["options"] == {
        "k": 5,
        "ties": "strict",
        "subset_size": None,
        "seed": 0,
    }
    assert documents(run, "nn", *digits)["nn"]["options"]["distance"] == "euclidean"


@pytest.mark.parametrize("infinite", ["inf", "Infinity", "+inf", "INF"])
def test_an_order_may_be_infinite(run: Run, digits: tuple[str, str], infinite: str) -> None:
    """An infinite order can be written as in Python, and JSON has it as a string."""
    found = documents(run, "score", *digits, "--metrics", "vendi", "--option", f"vendi.order={infinite}")
    assert found["vendi"]["options"]["order"] == "Infinity"
    lone = ganeval.evaluate(
        None, digits[1], metrics=["vendi"], options={"vendi": {"order": np.inf}}, extractor="digits", cache=False
    )
    assert found["vendi"]["value"] == pytest.approx(lone["vendi"].value)


def test_the_range_of_floats_in_files_is_an_option(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Floats in files need --value-range, which the message explains; a wrong range is reported."""
    floats = np.random.RandomState(0).rand(40, 1, 8, 8)
    path = tmp_path / "floats.npy"
    np.save(path, floats)
    refused = run("fid", digits[0], path, *DIGITS)
    assert refused.exit_code == 1
    assert "--value-range on the command line" in refused.stderr
    right = documents(run, "fid", digits[0], path, "--value-range", "0..1")
    np.save(path, np.rint(floats * 255).astype(np.uint8))
    assert right["fid"]["value"] == documents(run, "fid", digits[0], path)["fid"]["value"]
    np.save(path, floats)
    told = run("fid", digits[0], path, "--extractor", "digits", "--no-cache", "--value-range", "[-1,1]", "-v")
    assert "0.00% of its 2,560 values lie in its lower half" in told.stderr
    assert "declared range [-1,1]" in told.stdout
    assert run("fid", digits[0], path, *DIGITS, "--value-range", "[0,2]").exit_code == 2


def test_one_split_is_one_split(run: Run, digits: tuple[str, str]) -> None:
    """The message uses the singular for one split, and names the metric."""
    result = run("is", digits[1], *DIGITS, "--splits", "1", "--num-samples", "1")
    assert "is: The inception score of 1 split needs at least 2 images (2 per split), found 1." in result.stderr
