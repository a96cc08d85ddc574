"""The self-check of an installation: passing checks, a wrong number, and checks that cannot run."""

from pathlib import Path

import pytest

from ganeval import selfcheck
from ganeval.errors import SourceError, UsageError
from ganeval.results import Evaluation, MetricResult
from ganeval.selfcheck import PUBLISHED, SelfCheck, run_selfcheck

SLOW = ("_generated", "_devices")


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the checks that run the inception network."""
    for name in SLOW:
        monkeypatch.setattr(selfcheck, name, lambda device: (True, f"left out on {device}"))


def by_name(checks: list[SelfCheck]) -> dict[str, SelfCheck]:
    """The checks by their names, which are distinct."""
    found = {check.name: check for check in checks}
    assert len(found) == len(checks)
    return found


def test_this_installation_passes() -> None:
    """Embedded checks pass on the CPU; those that need a download or another device are skipped with the reason."""
    checks = run_selfcheck(device="cpu")
    assert [check.outcome for check in checks] == ["passed"] * 4 + ["not checked"] * 3
    assert "the chosen device is the CPU" in checks[4].detail
    assert all("ask for it with --published" in check.detail for check in checks[5:])
    assert [check.name for check in checks[5:]] == [name for name, *_ in PUBLISHED]


@pytest.mark.usefixtures("_quick")
def test_another_number_fails_and_the_others_are_checked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detail says what was found and what was expected."""
    monkeypatch.setattr(selfcheck, "DIGITS_FID", 0.88)
    checks = by_name(run_selfcheck(device="cpu"))
    wrong = checks.pop("digits, embedded extractor: FID")
    assert wrong.outcome == "failed"
    assert wrong.detail.startswith("found 0.888")
    assert "expected 0.88 ±" in wrong.detail
    assert {check.outcome for check in checks.values()} == {"passed", "not checked"}


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("error", [SourceError("The disk is gone."), RuntimeError("The disk is gone.")])
def test_a_check_that_cannot_finish_fails_with_the_reason(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detail is the exception's message, for errors of ganeval and of torch."""

    def broken() -> tuple[bool, str]:
        raise error

    monkeypatch.setattr(selfcheck, "_gaussians", broken)
    first, *others = run_selfcheck(device="cpu")
    assert (first.outcome, first.detail) == ("failed", "The disk is gone.")
    assert {check.outcome for check in others} == {"passed", "not checked"}


def test_a_device_that_is_not_there_is_a_usage_error() -> None:
    """An unknown device is no failure of the installation."""
    with pytest.raises(UsageError, match="'abacus' cannot be used here"):
        run_selfcheck(device="abacus")


def test_another_device_is_held_against_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are compared image by image; here a second name of the CPU stands for the device."""
    passed, detail = selfcheck._devices("cpu:0")
    assert passed
    assert detail.startswith("cpu:0: largest relative difference 0.0e+00")


def _measured(fid: float, score: float, *, comparable: bool = True) -> Evaluation:
    results = {
        name: MetricResult(value, 0.1, None, "lower", 1, 1, "x") for name, value in (("fid", fid), ("is", score))
    }
    return Evaluation(results, {}, comparable)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("result", "outcomes"),
    [
        (_measured(3.1457, 11.23678), ["passed", "passed"]),
        (_measured(3.17, 11.23678), ["failed", "passed"]),
        (_measured(3.1457, 11.3), ["passed", "failed"]),
        (_measured(3.1457, 11.23678, comparable=False), ["not checked", "not checked"]),
        (SourceError("CIFAR-10 could not be downloaded.\nA second line."), ["not checked", "not checked"]),
    ],
)
def test_published_numbers_are_checked_where_they_can_be(
    result: Evaluation | SourceError, outcomes: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They need the published weights and the data set; otherwise the check is skipped with the reason."""
    asked = {}

    def measure(real: str, fake: str, **settings: object) -> Evaluation:
        asked.update(settings, real=real, fake=fake)
        if isinstance(result, SourceError):
            raise result
        return result

    monkeypatch.setattr(selfcheck, "_digits", lambda *_: (True, ""))
    monkeypatch.setattr("ganeval.evaluation.evaluate", measure)
    checks = run_selfcheck(device="cpu", weights=tmp_path, published=True)[-2:]
    assert [check.outcome for check in checks] == outcomes
    assert (asked["real"], asked["fake"], asked["weights"]) == ("cifar10:test", "cifar10:train", tmp_path)
    assert all("\n" not in check.detail for check in checks)
