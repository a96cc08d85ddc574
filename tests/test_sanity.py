"""The sanity benchmark: its draws have the stated supports and moments, its criteria tell shapes apart, and it runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import harness, sanity
from benchmarks.checks import Case, Check, Pictures, as_they_are, on_pictures, published, standardised
from benchmarks.criteria import (
    Criterion,
    as_similarity,
    bell,
    close_to,
    falling,
    first,
    judged,
    last,
    level,
    low_or_high,
    no_better,
    rising,
    valley,
)
from ganeval.metrics import METRICS

Rows = NDArray[np.float64]
PUBLISHED = {check.name: check for check in published()}


def case(check: str, name: str) -> Case:
    return next(one for one in PUBLISHED[check].cases if one.name == name)


def drawn(check: str, name: str, setting: float) -> tuple[Rows, Rows]:
    """Reals and fakes of a published check."""
    return case(check, name).draws(np.random.RandomState(0))(setting)


def curve(*values: float) -> dict[float, float]:
    """Settings 0, 1, 2, ..."""
    return dict(enumerate(values))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_check_draws_two_sets_of_one_width_at_every_setting(name: str) -> None:
    """All rows are finite, the ends of a grid are drawn too, and the same seed gives the same rows."""
    for one in PUBLISHED[name].cases:
        settings = list(one.settings)
        assert settings == sorted(set(settings))
        for setting in (settings[0], settings[len(settings) // 2]):
            real, fake = one.draws(np.random.RandomState(3))(setting)
            again = one.draws(np.random.RandomState(3))(setting)
            assert real.shape[1] == fake.shape[1]
            assert np.isfinite(real).all()
            assert np.isfinite(fake).all()
            assert np.array_equal(real, again[0])
            assert np.array_equal(fake, again[1])


def test_there_are_fifteen_checks_in_the_published_sizes() -> None:
    """Fifteen names; 1,000 rows a side, but where sizes or an outlier are the subject."""
    assert len(PUBLISHED) == 15
    for check in PUBLISHED.values():
        one = check.cases[0]
        real, _ = one.draws(np.random.RandomState(0))(one.settings[0])
        expected = {"Gaussian, mean, with an outlier": 1001, "Hypercubes, both sizes": 100}.get(check.name, 1000)
        assert len(real) == expected


@pytest.mark.parametrize("setting", [0.0, 6.0])
def test_means_are_where_the_setting_says(setting: float) -> None:
    """The fakes' mean is the setting, within five standard errors; an outlier is at the furthest mean."""
    _, fake = drawn("Gaussian, mean", "1 d", setting)
    assert float(fake.mean()) == pytest.approx(setting, abs=5 / np.sqrt(1000))
    real, _ = drawn("Gaussian, mean, with an outlier", "real outlier, 8 d", 0.0)
    assert np.array_equal(real[-1], np.full(8, 3.0))
    assert len(drawn("Gaussian, mean, with an outlier", "fake outlier, 8 d", 0.0)[1]) == 1001


def test_surfaces_have_the_radius_of_the_setting() -> None:
    """Reals are at distance 1 from the origin and fakes at the setting."""
    for setting in case("Surface of a hypersphere", "16 d").settings:
        real, fake = drawn("Surface of a hypersphere", "16 d", setting)
        assert np.allclose(np.linalg.norm(real, axis=1), 1)
        assert np.allclose(np.linalg.norm(fake, axis=1), setting)


@pytest.mark.parametrize("dim", [1, 8, 64])
def test_cubes_share_a_fifth_of_their_volume(dim: int) -> None:
    """A fifth of either set is in the other's cube, within five standard errors of a share."""
    real, fake = drawn("Hypercubes, both sizes", f"{dim} d", 4832)
    start = 1 - 0.2 ** (1 / dim)
    error = 5 * np.sqrt(0.2 * 0.8 / 4832)
    assert float((real >= start).all(1).mean()) == pytest.approx(0.2, abs=error)
    assert float((fake <= 1).all(1).mean()) == pytest.approx(0.2, abs=error)


def test_the_ball_is_in_the_hole_of_the_torus() -> None:
    """The ball ends 0.1 before the torus begins, and the torus has a tube of radius 0.1."""
    ball, torus = drawn("Ball and torus", "ball of reals", 1128)
    assert np.linalg.norm(ball, axis=1).max() <= 0.8
    axis = np.linalg.norm(torus[:, :2], axis=1)
    assert axis.min() >= 0.9
    assert np.hypot(axis - 1, torus[:, 2]).max() <= 0.1
    # A uniform ball has half of its rows beyond the radius of half its volume.
    assert float((np.linalg.norm(ball, axis=1) > 0.8 * 0.5 ** (1 / 3)).mean()) == pytest.approx(0.5, abs=0.08)


def test_modes_are_dropped_and_invented() -> None:
    """The fakes have as many modes as the setting says, near the reals' modes or far from all of them."""
    _, fake = drawn("Modes dropped one by one", "1 d", 7)
    modes = np.bincount(np.abs(fake - np.linspace(0, 10, 10)).argmin(1), minlength=10)
    # Halfway to the next mode are 3.3 deviations.
    assert modes[:3].min() > 250
    assert modes[3:].sum() < 10
    _, fake = drawn("Modes dropped at once", "1 d", 1.0)
    assert np.abs(fake).max() < 6 * (1 / 6)
    real, fake = drawn("Modes dropped and invented", "2 d", 10)
    gaps = np.linalg.norm(real[:, None] - fake[None], axis=2).min(0)
    assert float((gaps > 2).mean()) == pytest.approx(0.5, abs=0.08)


def test_other_checks_draw_what_they_name() -> None:
    """Rounded sides, scaled columns, heavy tails, one column apart, and one mode instead of two."""
    for side, place in (("real", 0), ("fake", 1)):
        sets = drawn("Discrete and continuous", f"{side} discrete", 1.0)
        assert [np.array_equal(one, np.round(one)) for one in sets] == [place == 0, place == 1]
    real, fake = drawn("Scale of one dimension", "2 d", 1000.0)
    assert real[:, 1].std() / real[:, 0].std() == pytest.approx(1000, rel=0.1)
    assert float(fake[:, 0].mean() - real[:, 0].mean()) == pytest.approx(6, abs=0.25)
    real, _ = drawn("Gaussian, mean, and a Pareto dimension", "2 d", 0.0)
    assert real[:, 1].min() >= 1
    assert float((real[:, 1] > 10).mean()) == pytest.approx(10**-1.01, abs=5 * np.sqrt(0.09 / 1000))
    real, fake = drawn("One dimension apart, many alike", "2 d", 10)
    assert real.shape == (1000, 11)
    assert np.abs((fake - real).mean(0) - np.array([6] + [0] * 10)).max() < 0.25
    real, fake = drawn("One mode for two", "1 d", 5.0)
    assert real.std() == pytest.approx(np.sqrt(1 + 25 / 4), rel=0.1)
    assert fake.std() == pytest.approx(np.sqrt(26), rel=0.1)


def test_the_published_checks_are_standardised_by_the_reals() -> None:
    """The reals get mean 0 and deviation 1, the fakes the same transform, and a constant column is only shifted."""
    real, fake = np.array([[1.0, 7.0], [3.0, 7.0]]), np.array([[5.0, 8.0]])
    one, other = standardised(real, fake)
    assert one.tolist() == [[-1, 0], [1, 0]]
    assert other.tolist() == [[3, 1]]
    assert all(each.standardised for check in PUBLISHED.values() for each in check.cases)
    assert [each.standardised for check in as_they_are() for each in check.cases] == [False, False]


@pytest.mark.parametrize(
    ("criterion", "passing", "failing"),
    [
        (bell(1.0), (0.0, 1.0, 0.0), (0.9, 1.0, 0.0)),
        (bell(1.0), (0.5, 1.0, 0.0), (0.0, 0.5, 0.2, 0.7, 0.1)),
        (bell(1.0), (0.78, 1.0, 0.7), (0.78, 1.0, 0.6, 0.75)),
        (falling(), (1.0, 0.75, 0.79), (1.0, 0.75, 0.81)),
        (falling(), (0.9, 1.0, 0.5, 0.4), (0.8, 1.0, 0.5, 0.4)),
        (falling(), (1.0, 0.7, 0.75), (1.0, 0.5, 0.65)),
        (falling(halfway=(1.0, 0.1)), (1.0, 0.85, 0.0), (1.0, 0.95, 0.0)),
        (rising(), (0.0, 0.5, 0.4), (0.2, 0.0, 1.0)),
        (level(), (0.5, 0.54, 0.5), (0.5, 0.56)),
        (level(after=1.0), (0.1, 0.5, 0.52), (0.1, 0.5, 0.58)),
        (close_to(1, last, "here"), (0.0, 0.96), (1.0, 1.06)),
        (no_better(last, "here"), (0.5, 0.1), (0.5, 0.56)),
        (valley(1.0), (40.0, 1.0, 2.0), (1.0, 40.0, 1.0)),
        (valley(1.0), (40.0, 1.0, 9.0), (40.0, 1.0, 1.2)),
        (level(within=0.2), (0.5, 0.69), (0.5, 0.71)),
        (as_similarity(close_to(1, first, "here")), (1.0, 40.0), (4.0, 40.0)),
    ],
)
def test_criteria_pass_and_fail_by_their_tolerances(
    criterion: Criterion, passing: tuple[float, ...], failing: tuple[float, ...]
) -> None:
    """Curves on either side of one tolerance."""
    assert judged(criterion, curve(*passing)).passed
    assert not judged(criterion, curve(*failing)).passed


def test_the_number_that_decides_is_the_one_missed_by_most() -> None:
    """A curve that misses two conditions reports the worse one; one that was refused reports where."""
    found = judged(bell(1.0), curve(0.9, 1.0, 0.0))
    assert (round(found.found, 2), found.words) == (0.1, "fall from the middle to an end, at least 0.2")
    refused = judged(level(), {0.0: 1.0, 2.5: np.nan})
    assert not refused.passed
    assert refused.words == "refused at 2.5"
    assert not judged(as_similarity(level()), curve(0.0, 0.0)).passed


def test_a_diversity_metric_is_low_or_high_and_the_same_in_all_cases() -> None:
    """Low in one case and high in another fails; the kind is shown where it passes."""
    either = low_or_high(close_to(0, last, "wide"), close_to(1, last, "wide"))
    assert judged(either, curve(0.5, 0.01)).kind == "low"
    assert judged(either, curve(0.5, 0.99)).kind == "high"
    assert not judged(either, curve(0.5, 0.4)).passed
    check = PUBLISHED["Gaussian, standard deviation"]
    high = {"1 d": 0.99, "8 d": 0.99, "64 d": 0.99}
    for ends, shown in ((high, "pass (high)"), ({**high, "1 d": 0.01}, "**fail**")):
        curves = {}
        for one in check.cases:
            settings = [float(setting) for setting in one.settings]
            values = dict.fromkeys(settings, 0.99)
            values[settings[0]], values[settings[-1]] = 0.0, ends[one.name]
            curves[check.name, one.name, "recall"] = values
        verdicts = {one.about: one for one in sanity.verdicts_of([check], curves)}
        assert str(verdicts["D4 bounds"]) == shown


@pytest.fixture(scope="module")
def squares() -> Pictures:
    """Four classes of 40 rows in the corners of a square, and the same rows far away as the noisy ones."""
    rng = np.random.RandomState(0)
    labels = np.arange(4).repeat(40)
    rows = rng.normal(size=(160, 2)) * 0.1 + np.array([[0, 0], [0, 9], [9, 0], [9, 9]])[labels]
    return Pictures(rows, labels, {0.0: rows, 1.0: rows + 100})


def test_checks_of_pictures_draw_what_they_name(squares: Pictures) -> None:
    """Classes are missing or new, copies are copies, repeats repeat, and no fake is among the reals otherwise."""
    checks = {check.name: check for check in on_pictures(squares)}

    def sets(name: str, setting: float, place: int = 0) -> tuple[Rows, Rows]:
        return checks[name].cases[place].draws(np.random.RandomState(1))(setting)

    def corners(rows: Rows) -> int:
        return len(np.unique(np.round(rows / 9), axis=0))

    for dropped in range(3):
        real, fake = sets("Classes dropped", dropped)
        assert (len(real), len(fake), corners(real), corners(fake)) == (40, 40, 4, 4 - dropped)
        real, fake = sets("Classes invented", dropped)
        assert (len(real), len(fake), corners(real), corners(fake)) == (40, 40, 2, 2 + dropped)
        assert not np.isin(fake[:, 0], real[:, 0]).any()
    real, fake = sets("Copies of reals", 0.25)
    assert int(np.isin(fake[:, 0], real[:, 0]).sum()) == 10
    assert len(np.unique(sets("Repeated fakes", 0.9)[1], axis=0)) == 4
    real, fake = sets("Noise, with one outlier", 1.0, 0)
    assert (len(real), int((real > 50).all(1).sum()), int((fake > 50).all(1).sum())) == (41, 1, 40)
    real, fake = sets("Noise, with one outlier", 1.0, 1)
    assert (len(real), int((real > 50).all(1).sum()), int((fake > 50).all(1).sum())) == (40, 0, 40)
    assert len(fake) == 41
    assert [len(rows) for rows in sets("Number of images", 80)] == [80, 80]


def test_what_is_judged_compares_two_sets_of_features() -> None:
    """Every judged metric that is installed takes features of both sides."""
    judged_ones = [METRICS[name] for name in sanity.KINDS if name in METRICS]
    assert len(judged_ones) >= 4
    assert all((row.real, row.fake) == ("features", "features") for row in judged_ones)


def test_a_metric_that_refuses_fails_and_others_go_on(squares: Pictures) -> None:
    """Three images a side are too few for neighbourhoods of five; FID takes them."""
    rows: Callable[[float], tuple[Rows, Rows]] = lambda _: (squares.features[:3], squares.features[3:6])  # noqa: E731
    found = sanity.judge_sets(Case("", (0.0,), lambda _: rows), rows, 0.0, ["precision", "recall", "fid"])
    assert np.isnan(found["precision"])
    assert np.isnan(found["recall"])
    assert found["fid"] >= 0


def test_a_tiny_run_ends_in_tables_between_the_marks(
    squares: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invented classes show in precision and not in recall, and the text around the tables stays."""
    wanted = ("Classes invented", "Copies of reals")
    checks: list[Check] = [check for check in on_pictures(squares) if check.name in wanted]
    monkeypatch.setattr(sanity, "groups", lambda: [("Squares", checks)])
    monkeypatch.setattr(sanity, "METRICS", {name: METRICS[name] for name in ("fid", "precision", "recall")})
    monkeypatch.setattr(sanity, "DOCS", tmp_path)
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    page = tmp_path / "sensitivity.md"
    page.write_text(f"# By hand\n\n{sanity.BEGIN}\n\nfrom last time\n\n{sanity.END}\n\nmore by hand\n")
    sanity.main(runs=1)
    text = page.read_text()
    assert text.startswith(f"# By hand\n\n{sanity.BEGIN}\n\n### Squares\n\n| fidelity: check | about | `precision` |")
    assert text.endswith(f"{sanity.END}\n\nmore by hand\n")
    assert "from last time" not in text
    verdicts = json.loads((tmp_path / "results" / "sanity.json").read_text())["verdicts"]["Squares"]
    shape = {
        one["metric"]: one for one in verdicts if one["check"] == "Classes invented" and one["about"] == "D1 purpose"
    }
    assert shape["precision"]["passed"]
    assert shape["fid"]["passed"]
    page.write_text("no marks\n")
    with pytest.raises(ValueError, match="lacks the line"):
        sanity.rewrite(page, "text")


def test_one_metric_is_checked_again_beside_the_earlier_verdicts(
    squares: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other columns stay, as does the order of all; other repeats and what is not judged are refused."""
    checks = [check for check in on_pictures(squares) if check.name in ("Classes invented", "Copies of reals")]
    monkeypatch.setattr(sanity, "groups", lambda: [("Squares", checks)])
    monkeypatch.setattr(sanity, "METRICS", {name: METRICS[name] for name in ("fid", "precision", "recall", "rrke")})
    monkeypatch.setattr(sanity, "DOCS", tmp_path)
    for module in (harness, sanity):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    page, kept = tmp_path / "sensitivity.md", tmp_path / "results" / "sanity.json"
    page.write_text(f"{sanity.BEGIN}\n{sanity.END}\n")
    sanity.main(runs=1)
    whole, verdicts = page.read_text(), kept.read_text()
    assert "| distance: check | about | `fid` | `rrke` |" in whole
    asked: list[str] = []
    values = sanity._values
    monkeypatch.setattr(sanity, "_values", lambda name, *sets: asked.append(name) or values(name, *sets))
    sanity.main(runs=1, metrics=["rrke"])
    assert set(asked) == {"rrke"}
    assert (page.read_text(), kept.read_text()) == (whole, verdicts)
    with pytest.raises(RuntimeError, match="with --runs 1, not 2"):
        sanity.main(runs=2, metrics=["rrke"])
    with pytest.raises(ValueError, match="fkea are not judged"):
        sanity.main(runs=1, metrics=["fkea"])
