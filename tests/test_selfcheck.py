"""The self-check of an installation: passing checks, a wrong number, and checks that cannot run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ganeval import selfcheck
from ganeval.errors import SourceError, UsageError
from ganeval.extractors import dinov2
from ganeval.extractors.hub import checkpoint
from ganeval.paths import data_root
from ganeval.progress import silent
from ganeval.results import Evaluation, MetricResult
from ganeval.selfcheck import ADM, EDM2, PUBLISHED, SelfCheck, run_selfcheck
from ganeval.sources import Source, open_source

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
    assert [check.outcome for check in checks] == ["passed"] * 4 + ["not checked"] * 4
    assert "the chosen device is the CPU" in checks[4].detail
    assert all("with --published" in check.detail for check in checks[5:])
    assert [check.name for check in checks[5:-1]] == [name for name, *_ in PUBLISHED]


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
    monkeypatch.setattr(selfcheck, "_encoders", lambda *_: [])
    checks = run_selfcheck(device="cpu", weights=tmp_path, published=True)[-2:]
    assert [check.outcome for check in checks] == outcomes
    assert (asked["real"], asked["fake"], asked["weights"]) == ("cifar10:test", "cifar10:train", tmp_path)
    assert all("\n" not in check.detail for check in checks)


def test_published_numbers_of_encoders_say_what_is_missing() -> None:
    """Without weights and images every row is there, is not checked, and names what is missing."""
    checks = by_name(selfcheck._encoders("cpu", None, silent))
    assert len(checks) == 2 + len(EDM2) + len(ADM)
    assert "VIRTUAL_imagenet256_labeled.npz" in checks["ADM, ImageNet at 256 pixels: sFID"].detail
    assert {check.outcome for check in checks.values()} == {"not checked"}
    assert "dinov2_vitl14_pretrain.pth" in checks["dgm-eval: FD of DINOv2, CIFAR-10"].detail
    assert "reference_images" in checks["cmmd-pytorch: CMMD of its example"].detail
    detail = checks["EDM2: FD of DINOv2 of edm2-img64-s-autog-dino"].detail
    assert str(data_root() / "published" / "img64.pkl") in detail
    assert str(data_root() / "published" / "edm2-img64-s-autog-dino") in detail


@pytest.mark.parametrize(
    ("found", "outcome", "detail"),
    [
        ((69.5, 50_000, True), "passed", "found 69.5, expected 68.64"),
        ((72.0, 50_000, True), "failed", "found 72, expected 68.64"),
        ((68.64, 10_000, True), "not checked", "holds 10000 images, and the number is of 50000"),
        ((68.64, 50_000, False), "not checked", "these are not the published weights"),
    ],
)
def test_published_numbers_of_edm2_are_checked_where_their_images_are(
    found: tuple[float, int, bool], outcome: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are measured by EDM2's protocol; another number, other counts and other weights do not pass."""
    value, count, comparable = found
    root = data_root() / "published"
    (root / "edm2-img512-s-dino").mkdir(parents=True)
    (root / "img512.pkl").touch()
    asked = {}

    def measure(real: str, fake: str, **settings: object) -> Evaluation:
        asked.update(settings, real=real, fake=fake)
        result = MetricResult(value, 0.1, None, "lower", 1, count, "x")
        return Evaluation({"fid": result}, {}, comparable)

    monkeypatch.setattr("ganeval.evaluation.evaluate", measure)
    check = by_name(selfcheck._encoders("cpu", None, silent))["EDM2: FD of DINOv2 of edm2-img512-s-dino"]
    assert check.outcome == outcome
    assert detail in check.detail
    assert (asked["real"], asked["protocol"]) == (str(root / "img512.pkl"), "fd-dinov2-edm2")


def test_published_numbers_of_adm_are_checked_by_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """IS in blocks of 5,000 as they come, balls of 3 neighbours with their surface; what it printed passes."""
    root = data_root() / "published" / "adm"
    root.mkdir(parents=True)
    for name in ("VIRTUAL_imagenet256_labeled.npz", "admnet_guided_upsampled_imagenet256.npz"):
        (root / name).touch()
    printed = {"is": 215.8370361328125, "fid": 3.9425574129223264, "sfid": 6.140433703346162}
    printed |= {"precision": 0.8265, "recall": 0.5309}
    asked = {}

    def measure(real: str, fake: str, *, metrics: list[str], options: object, **settings: object) -> Evaluation:
        (metric,) = metrics
        asked[metric] = options
        assert settings["protocol"] == "tensorflow"
        return Evaluation(
            {metric: MetricResult(printed[metric], 0.1, None, "lower", 1, 50_000, "x")}, {}, comparable=True
        )

    monkeypatch.setattr("ganeval.evaluation.evaluate", measure)
    checks = [check for check in selfcheck._encoders("cpu", None, silent) if check.name.startswith("ADM")]
    assert [check.outcome for check in checks] == ["passed"] * 5
    rule = {"prdc": {"k": 3, "ties": "inclusive"}}
    assert asked["precision"] == asked["recall"] == rule
    assert asked["is"] == {"is": {"splits": 50_000 // 5000, "shuffle_seed": None}}
    printed["sfid"] = 6.2
    checks = [check for check in selfcheck._encoders("cpu", None, silent) if check.name.startswith("ADM")]
    assert [check.outcome for check in checks] == ["passed", "passed", "failed", "passed", "passed"]


def test_dgm_evals_images_are_drawn_as_it_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seed of numpy, without replacement and in order; the number that it prints passes."""
    file = checkpoint(dinov2.URL.format(name="vitl14"))
    file.parent.mkdir(parents=True)
    file.touch()
    counts = {"cifar10:train": 50_000, "cifar10:test": 10_000}

    def numbered(spec: str) -> Source:
        values = np.arange(counts[spec], dtype=np.uint16).view(np.uint8).reshape(-1, 2, 1, 1)
        return open_source(np.tile(np.concatenate([values, values[:, :1]], 1), (1, 1, 4, 4)))

    monkeypatch.setattr("ganeval.sources.open_source", numbered)
    seen = []

    def measure(*sides: torch.Tensor, **_: object) -> tuple[Evaluation, str]:
        seen.extend(side[:, 0, 0, 0].long() + 256 * side[:, 1, 0, 0].long() for side in sides[:2])
        return _measured(862.53745, 1.0), ""

    assert selfcheck._dgm_eval(measure)[0]
    for indices, count in zip(seen, counts.values(), strict=True):
        np.random.seed(13579)
        assert indices.tolist() == sorted(np.random.choice(count, 512, replace=False))
