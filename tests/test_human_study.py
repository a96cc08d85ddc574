"""Correlation of metrics with dgm-eval's human study."""

import dataclasses
import json
import random
from pathlib import Path

import pytest
from core_helpers import random_images

import ganeval
from ganeval.results import Evaluation
from scripts.human_study import correlation, correlations, human_rates, main

RATES = human_rates()["cifar10"]


@pytest.fixture(scope="module")
def result() -> Evaluation:
    """A result of kid, whose value the tests replace."""
    return ganeval.evaluate(
        random_images(10), random_images(10, seed=1), metrics=["kid"], extractor="pixels:2", cache=False
    )


def write(folder: Path, result: Evaluation, values: dict[str, float]) -> Path:
    """A saved result for every model."""
    for model, value in values.items():
        metrics = {"kid": dataclasses.replace(result.metrics["kid"], value=value)}
        (folder / f"{model}.json").write_text(json.dumps(dataclasses.replace(result, metrics=metrics).to_dict()))
    return folder


@pytest.mark.parametrize("sign", [1, -1])
def test_a_monotone_function_of_the_human_rate_correlates_fully(tmp_path: Path, result: Evaluation, sign: int) -> None:
    """Whatever the scale, such a metric has a correlation of 1 or -1, over all models."""
    folder = write(tmp_path, result, {model: sign * rate**3 for model, rate in RATES.items()})
    (found,) = correlations("cifar10", folder).values()
    assert (round(found.value, 9), found.models) == (sign, 13)
    assert found.interval == pytest.approx((sign, sign))


def test_shuffled_values_have_no_correlation() -> None:
    """Over many shuffles the mean is 0 within its error, 1 / sqrt(12 * 200) = 0.02, and an interval has 0 mostly."""
    values, rng, found = list(RATES.values()), random.Random(0), []
    for _ in range(200):
        shuffled = rng.sample(values, len(values))
        found.append(correlation(shuffled, values, resamples=2).value)
    assert abs(sum(found) / 200) < 0.06
    one = correlation(rng.sample(values, len(values)), values, resamples=200)
    assert one.interval is not None
    assert one.interval[0] < 0 < one.interval[1]


def test_results_of_several_extractors_have_a_row_each(
    tmp_path: Path, result: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A saved result by extractor counts for each, in the printed table."""
    other = dataclasses.replace(result, provenance={**result.provenance, "extractor": "other"})
    for model, rate in RATES.items():
        one, two = (
            dataclasses.replace(each, metrics={"kid": dataclasses.replace(each.metrics["kid"], value=value)}).to_dict()
            for each, value in ((result, rate), (other, -rate))
        )
        (tmp_path / f"{model}.json").write_text(json.dumps({"schema": 1, "extractors": {"pixels:2": one, "o": two}}))
    assert main(["--results", f"cifar10={tmp_path}"]) == 0
    rows = [line.split()[:4] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["cifar10", "kid", "pixels:2", "1.000"], ["cifar10", "kid", "other", "-1.000"]]


def test_what_cannot_be_correlated_is_refused(
    tmp_path: Path, result: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown data, missing folders, too few models and unknown ones are errors that say what there is."""
    write(tmp_path, result, {"BigGAN": 1.0, "LSGM": 2.0, "NVAE": 3.0})
    for text, complaint in (
        ("cifar10", "names no folder"),
        (f"mnist={tmp_path}", "choose from: cifar10, imagenet256"),
        (f"cifar10={tmp_path / 'none'}", "is no folder"),
        (f"cifar10={tmp_path}", "results of 3 models; a correlation needs at least 4"),
    ):
        assert main(["--results", text]) == 2
        assert complaint in capsys.readouterr().err
    write(tmp_path, result, {"MyGAN": 4.0})
    assert main(["--results", f"cifar10={tmp_path}"]) == 2
    assert "has no MyGAN; name results as LSGM" in capsys.readouterr().err
