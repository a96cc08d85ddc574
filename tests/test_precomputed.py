"""Precomputed features instead of images: what accepts them, and what refuses them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from core_helpers import SHORT_TRAINING

import ganeval
from ganeval import Features
from ganeval.errors import SourceError, UsageError
from ganeval.metrics import METRICS
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport
from ganeval_cli.main import cli

RANDOM = np.random.RandomState(0)
REAL, FAKE = RANDOM.randn(60, 6), RANDOM.randn(50, 6) + 0.5
CLASSES = np.arange(60) % 3, np.arange(50) % 3
OF_FEATURES = [name for name, row in METRICS.items() if row.real in (None, "features") and row.fake == "features"]


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(one) for one in arguments], prog_name="ganeval")


@pytest.fixture(scope="module")
def digits() -> dict[str, torch.Tensor]:
    """The digits' features, as the digits extractor gives them."""
    found = ganeval.evaluate("digits:train", "digits:test", extractor="digits", cache=False)
    assert found.real is not None
    assert found.fake is not None
    return {"real": found.real.rows(), "fake": found.fake.rows()}


@pytest.mark.parametrize("name", OF_FEATURES)
def test_every_metric_of_features_takes_them(name: str) -> None:
    """The values are those of the metrics' functions for the same rows, with classes where they are used."""
    real, fake = (Features(rows, labels=labels) for rows, labels in zip((REAL, FAKE), CLASSES, strict=True))
    row, chosen = METRICS[name], SHORT_TRAINING.get(name, {})
    found = ganeval.evaluate(real, fake, metrics=[name], options={name: chosen})[name]
    sides = [torch.from_numpy(side) for side, wanted in ((REAL, row.real), (FAKE, row.fake)) if wanted]
    data: dict[str, Any] = {}
    if name in ("intra_fid", "conditional_accuracy", "cas"):
        data = dict(zip(("real_labels", "fake_labels"), map(torch.from_numpy, CLASSES), strict=True))
    estimate = row.compute(*sides, **data, **chosen)
    estimate = estimate if not isinstance(estimate, dict) else estimate[name]
    assert found.value == pytest.approx(estimate.value, rel=1e-9, abs=1e-9)
    assert (found.n_real, found.n_fake) == (60 if row.real else None, 50)


def test_features_of_an_extractor_are_what_it_measures(digits: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """From memory and from every kind of file, they give the value that the images give."""
    expected = ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False).value
    real, fake = (digits[side].numpy() for side in ("real", "fake"))
    np.save(tmp_path / "fake.npy", fake)
    np.savez(tmp_path / "real.npz", features=real, extractor="digits", other=np.zeros((2, 2, 2)))
    np.savez(tmp_path / "only.npz", whatever=fake)
    for one in (
        Features(fake),
        Features(digits["fake"]),
        *(f"features:{tmp_path / name}" for name in ("fake.npy", "only.npz")),
    ):
        found = ganeval.evaluate(f"features:{tmp_path / 'real.npz'}", one)
        assert found["fid"].value == pytest.approx(expected, rel=1e-9)
        assert found.provenance["extractor"] == "precomputed:digits"


def test_given_features_are_not_called_comparable() -> None:
    """The result says that the features were given, and names the sets and their content."""
    found = ganeval.evaluate(Features(REAL, name="a"), Features(FAKE, name="b", extractor="dinov2"))
    assert not found.comparable
    assert "The features of a and b were given, not extracted here" in found.warnings[0]
    about = found.provenance
    assert (about["extractor"], about["weights"], about["preprocessing"]) == (
        "precomputed:dinov2",
        "not known",
        "not known",
    )
    assert (about["published_weights"], about["dimensions"]) == (False, 6)
    assert about["fake"]["kind"] == "features"
    assert about["fake"]["measured_with"] == "dinov2"
    assert len(about["fake"]["digest"]) == 64
    assert ganeval.Evaluation.from_json(found.to_json())["fid"].value == found["fid"].value


def test_the_digest_is_of_the_values_their_type_and_their_shape() -> None:
    """One other value, type or shape gives another digest; how the array lies in memory does not."""
    rows = torch.arange(12.0).reshape(4, 3)
    changed = rows.clone()
    changed[3, 2] += 1
    digests = {Features(one).digest() for one in (rows, changed, rows.double(), rows.reshape(3, 4))}
    assert len(digests) == 4
    assert Features(rows.T.contiguous().T).digest() == Features(rows).digest()


def test_features_stand_beside_images_where_they_name_the_extractor(digits: dict[str, torch.Tensor]) -> None:
    """With the extractor's name the value is that of images; no name, another name, or another width is refused."""
    real = digits["real"]
    found = ganeval.evaluate(Features(real, extractor="digits"), "digits:test", extractor="digits", cache=False)
    assert found["fid"].value == pytest.approx(
        ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False).value, rel=1e-9
    )
    assert not found.comparable
    for given, message in (
        (
            Features(real, name="x"),
            "x holds features and does not say of which extractor, and digits:test holds images",
        ),
        (
            Features(real, extractor="inception"),
            "of 'inception', and the images of digits:test would be measured with 'digits'",
        ),
        (Features(real[:, :5], extractor="digits"), "said to be of 'digits', which gives 64 dimensions; it has 5"),
    ):
        with pytest.raises(UsageError, match=message):
            ganeval.fid(given, "digits:test", extractor="digits", cache=False)
    with pytest.raises(UsageError, match="needs logits, but x holds only features"):
        ganeval.evaluate(
            "digits:train", Features(real, extractor="digits", name="x"), metrics=["head_accuracy"], extractor="digits"
        )


def test_features_of_two_extractors_are_refused() -> None:
    """The extractor's name or the width shows it, also among several sets of fakes."""
    with pytest.raises(UsageError, match="a holds features of 'x' and b of 'y': distances between these have"):
        ganeval.fid(Features(REAL, name="a", extractor="x"), Features(FAKE, name="b", extractor="y"))
    with pytest.raises(UsageError, match="a has 6 dimensions and b has 5"):
        ganeval.fid(Features(REAL, name="a"), Features(FAKE[:, :5], name="b"))
    with pytest.raises(UsageError, match="5"):
        ganeval.compare(Features(REAL), {"one": Features(FAKE), "other": Features(FAKE[:, :5])})


def test_features_against_stored_statistics(tmp_path: Path, digits: dict[str, torch.Tensor]) -> None:
    """Statistics of the same width are accepted, unless they are of another extractor."""
    reference = tmp_path / "ref.npz"
    ganeval.write_reference("digits:train", reference, extractor="digits", cache=False)
    expected = ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False).value
    for stated in (None, "digits"):
        found = ganeval.fid(str(reference), Features(digits["fake"], extractor=stated))
        assert found.value == pytest.approx(expected, rel=1e-9)
    with pytest.raises(UsageError, match="measured with extractor 'digits', and this measurement has 'inception'"):
        ganeval.fid(str(reference), Features(digits["fake"], extractor="inception"))
    with pytest.raises(SourceError, match="64 dimensions"):
        ganeval.fid(str(reference), Features(FAKE))


def test_metrics_that_need_more_are_left_out_or_refused() -> None:
    """By default the inception score is left out with the reason, and named explicitly it is refused."""
    found = ganeval.evaluate(Features(REAL), Features(FAKE, name="x"), metrics=None)
    assert "is" not in found.metrics
    assert any("is (x holds only features, and no logits)" in warning for warning in found.warnings)
    with pytest.raises(UsageError, match="The metric 'is' needs logits, but x holds only features"):
        ganeval.inception_score(Features(FAKE, name="x"))
    with pytest.raises(UsageError, match="write their moments with numpy"):
        ganeval.write_reference(Features(REAL), "ref.npz")


def test_subsets_halves_and_comparisons_of_features() -> None:
    """`num_samples`, the noise floor and `compare` treat rows like images."""
    some = ganeval.evaluate(Features(REAL), Features(FAKE), num_samples=20, seed=3)
    assert (some["fid"].n_real, some["fid"].n_fake) == (20, 20)
    rows = np.sort(np.random.RandomState(3).permutation(50)[:20])
    assert torch.equal(open_source(Features(FAKE), num_samples=20, seed=3).rows, torch.from_numpy(FAKE[rows]))
    assert ganeval.noise_floor(Features(REAL), metrics=["kid"])["kid"].n_real == 30
    found = ganeval.compare(Features(REAL), {"a": Features(FAKE), "b": Features(FAKE + 3)}, metrics=["fid"])
    assert found.differences[0].verdict == "worse"


def test_there_are_no_images_behind_features() -> None:
    """Functions that need the images say that there are none."""
    with pytest.raises(SourceError, match="x holds features, and not the images they are of"):
        Features(REAL, name="x").batches(Reading(), ReadReport())


@pytest.mark.parametrize(
    ("array", "labels", "message"),
    [
        (np.zeros(4), None, r"must be \[images, dimensions\], found \[4\]"),
        (np.zeros((0, 4)), None, r"found \[0, 4\]"),
        (np.full((3, 4), np.nan), None, "3 of 3 rows contain NaN or infinity"),
        (np.zeros((3, 4), complex), None, "must be real numbers"),
        (torch.zeros(3, 4, device="meta"), None, "device 'meta'"),
        ([[1.0]], None, "expected a tensor or an array"),
        (np.zeros((3, 4)), [1, 2], "features: labels has 2 labels, and there are 3 images"),
        (np.zeros((3, 4)), [1.5, 2, 3], r"labels\[0\] is 1.5; a class is a whole number from 0"),
        (np.zeros((3, 4)), [0, -1, 2], r"labels\[1\] is -1; a class is a whole number from 0"),
    ],
)
def test_what_is_no_features_is_refused(array: Any, labels: Any, message: str) -> None:
    """Invalid features are refused at once with what was found."""
    with pytest.raises(SourceError, match=message):
        Features(array, labels=labels)


def test_classes_of_features_are_read_as_those_of_images(tmp_path: Path) -> None:
    """They have names in the file, numbers with gaps, or one-hot vectors."""
    classes, names = np.arange(60) % 3, np.array(["cat", "dog", "owl"])
    other = np.array([2, 0, 1])
    np.savez(tmp_path / "a.npz", features=REAL, labels=classes, class_names=names)
    np.savez(tmp_path / "b.npz", features=REAL, labels=other[classes], class_names=names[[1, 2, 0]])
    np.savez(tmp_path / "numbers.npz", features=REAL, labels=classes * 4 + 1)
    np.savez(tmp_path / "hot.npz", features=REAL, labels=np.eye(3)[classes])
    a, b, numbers, hot = (open_source(f"features:{tmp_path / name}.npz") for name in ("a", "b", "numbers", "hot"))
    assert ganeval.evaluate(a, b, metrics=["intra_fid"])["intra_fid"].value == pytest.approx(0, abs=1e-9)
    assert (numbers.class_names, hot.class_names) == (("1", "5", "9"), None)
    assert list(numbers.labels or ()) == list(hot.labels or ()) == classes.tolist()
    part = open_source(f"features:{tmp_path / 'a'}.npz", num_samples=10)
    assert (part.class_names, len(part.labels or ())) == (tuple(names), 10)


@pytest.mark.parametrize(("labels", "reason"), [(CLASSES[0] - 1, r"'labels'\[0\] is -1"), (CLASSES[1], "50 labels")])
def test_what_looks_like_labels_of_features_and_is_none(labels: Any, reason: str, tmp_path: Path) -> None:
    """Invalid labels in a file stop only metrics that need them, with the reason."""
    np.savez(tmp_path / "x.npz", features=REAL, labels=labels)
    spec = f"features:{tmp_path / 'x.npz'}"
    assert ganeval.evaluate(spec, Features(FAKE), metrics=["fid"])["fid"].value > 0
    with pytest.raises(UsageError, match=f"those of .*x.npz are not known: .*{reason}"):
        ganeval.evaluate(spec, Features(FAKE, labels=CLASSES[1]), metrics=["intra_fid"])


def test_types_of_numbers_are_kept_or_widened() -> None:
    """Doubles stay doubles, halves become float32 and whole numbers float64; labels may be a column."""
    assert Features(FAKE).rows.dtype == torch.float64
    assert Features(FAKE.astype("f4")).rows.dtype == Features(torch.rand(3, 2).bfloat16()).rows.dtype == torch.float32
    assert Features(np.ones((3, 2), int), labels=np.ones((3, 1))).rows.dtype == torch.float64
    numbered = Features(torch.rand(3, 2, requires_grad=True), labels=(1, 2, 3))
    assert (numbered.labels, numbered.class_names) == ([0, 1, 2], ("1", "2", "3"))


def test_features_of_other_tools(tmp_path: Path) -> None:
    """torch-fidelity's tensor and dgm-eval's `reps`, next to which are pickled objects, are read exactly."""
    torch.save(torch.from_numpy(REAL), tmp_path / "fidelity.pt")
    np.savez(tmp_path / "reps.npz", model="dinov2", reps=REAL, hparams=np.array({"path": "x"}, dtype=object))
    for file in ("fidelity.pt", "reps.npz"):
        found = open_source(f"features:{tmp_path / file}?extractor=dinov2:vitl14")
        assert isinstance(found, Features)
        assert found.extractor == "dinov2:vitl14"
        np.testing.assert_array_equal(found.rows.numpy(), REAL)


def test_files_that_are_no_features_are_refused(tmp_path: Path) -> None:
    """A missing file, another format, several candidates, a pickle, another query, and a contradiction are refused."""
    np.savez(tmp_path / "two.npz", a=REAL, b=FAKE)
    np.save(tmp_path / "dict.npy", {"a": 1}, allow_pickle=True)
    np.savez(tmp_path / "of.npz", features=REAL, extractor="digits")
    (tmp_path / "x.pt").write_bytes(b"x")
    (tmp_path / "x.bin").write_bytes(b"x")
    torch.save({"a": torch.zeros(3, 2)}, tmp_path / "state.pt")
    for rest, error, message in (
        ("none.npy", SourceError, "does not exist"),
        ("x.bin", UsageError, "save them with numpy.save"),
        ("x.pt", SourceError, "was not loaded: it is damaged"),
        ("state.pt", SourceError, r"must hold one tensor \[N, D\], found dict"),
        ("two.npz", SourceError, r"call it `features`. Found: a \[60, 6\], b \[50, 6\]"),
        ("dict.npy", SourceError, "pickled Python objects, which are never loaded"),
        ("of.npz?extracter=digits", UsageError, "did you mean 'extractor'"),
        ("of.npz?extractor=inception", UsageError, "says that its features are of 'digits', and not of 'inception'"),
    ):
        with pytest.raises(error, match=message):
            open_source(f"features:{tmp_path / rest}")


def test_the_commands_take_features(tmp_path: Path) -> None:
    """`score`, `nn`, `c2st`, `compare` and `noise-floor` take files of features, and mark the results."""
    real, fake = tmp_path / "real.npy", tmp_path / "fake.npz"
    np.save(real, REAL)
    np.savez(fake, features=FAKE, labels=CLASSES[1])
    sides = f"features:{real}", f"features:{fake}?extractor=dinov2"
    for arguments in (
        ("score", *sides),
        ("nn", *sides),
        ("c2st", *sides, "--classifier", "knn"),
        ("noise-floor", sides[0]),
    ):
        result = run(*arguments, "-v")
        assert result.exit_code == 0, result.stderr
        assert "* not comparable with published numbers" in result.stdout
    result = run("compare", *sides, sides[0], "--metrics", "fid", "-q")
    assert "measured with precomputed:dinov2 (weights not known)" in result.stdout
    assert "said to be of the extractor dinov2" in run("fid", *sides, "-v").stdout
    assert "does not say of which extractor" in run("fid", "digits:train", sides[0]).stderr
    assert "holds features, and not the images" in run("nn", *sides, "--grid", tmp_path / "x.png").stderr
    page = tmp_path / "page.html"
    assert run("score", *sides, "--metrics", "fid", "--report", page).exit_code == 0
    assert page.exists()
