"""From two sets to a result: every source, error and protocol, and the provenance."""

import json
import random
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from core_helpers import SHORT_TRAINING, Images, count_decodes, random_images, write_folder
from torch import Tensor
from torch.utils.data import DataLoader

import ganeval
from ganeval import evaluate, evaluate_protocols, inputs, provenance, write_reference
from ganeval.errors import DecodeError, GeneratorError, MetricError, SourceError, UsageError
from ganeval.extraction import extract
from ganeval.extractors import open_extractor
from ganeval.extractors.digits import DigitsNetwork
from ganeval.metrics.fid import fid
from ganeval.metrics.inception_score import inception_score
from ganeval.metrics.moments import Gaussian
from ganeval.protocols import PROTOCOLS, find_protocol
from ganeval.results import Evaluation
from ganeval.sources import open_source
from ganeval.sources.base import Reading

SCHEMA = json.loads((Path(__file__).parents[1] / "docs/result.schema.json").read_text(encoding="utf-8"))
REALS, FAKES = random_images(30, 9, 7, seed=1), random_images(25, 7, 9, seed=2)


def measured(real: object = REALS, fake: object = FAKES, **settings: Any) -> Evaluation:
    """An evaluation by the embedded extractor, without a cache unless one is asked for."""
    return evaluate(real, fake, **{"extractor": "digits", "cache": False, **settings})


def document(result: Evaluation) -> dict[str, Any]:
    """The JSON of a result, validated against the published schema."""
    found: dict[str, Any] = json.loads(result.to_json())
    jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)
    return found


class Untouchable(Images):
    """A data set that must not be read."""

    def __getitem__(self, index: int) -> Tensor:
        pytest.fail("an image was read")


class Drawing:
    """A live generator; `draw` makes its images."""

    value_range = "[0,1]"

    def __init__(self, draw: Callable[[int], object] | None = None) -> None:
        self.draw = draw

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> object:
        return torch.rand(n, 3, 8, 8, generator=rng) if self.draw is None else self.draw(n)


def test_an_evaluation_is_extraction_and_the_metrics_functions() -> None:
    """Value, error, interval and notes are those of the metric's function."""
    result = measured(metrics=["fid", "is"])
    extractor = open_extractor("digits", protocol=find_protocol("tensorflow"))
    real, fake = (
        extract(open_source(images), [extractor], extractor.outputs, Reading())[0].arrays for images in (REALS, FAKES)
    )
    for name, estimate in (("fid", fid(real["features"], fake["features"])), ("is", inception_score(fake["logits"]))):
        for field in ("value", "standard_error", "interval", "method", "details", "notes"):
            assert getattr(result[name], field) == getattr(estimate, field), (name, field)
    assert (result["fid"].n_real, result["fid"].n_fake, result["is"].n_real) == (30, 25, None)
    assert (result["fid"].direction, result["is"].direction) == ("lower", "higher")


def test_the_shortest_way_gives_the_same() -> None:
    """`ganeval.fid` and `ganeval.inception_score` are evaluations of one metric."""
    both = measured(metrics=["fid", "is"])
    assert ganeval.fid(REALS, FAKES, extractor="digits", cache=False) == both["fid"]
    assert ganeval.inception_score(FAKES, extractor="digits", cache=False) == both["is"]


@pytest.mark.parametrize("settings", [{"batch_size": 1}, {"batch_size": 64}, {"workers": 1}, {"workers": 5}])
def test_how_the_work_is_cut_does_not_matter(settings: dict[str, int]) -> None:
    """Batches and threads change a value by rounding alone."""
    assert measured(**settings)["fid"].value == pytest.approx(measured()["fid"].value, rel=1e-5)


def test_a_set_is_at_distance_zero_from_itself() -> None:
    """The distance is zero for every kind of input."""
    assert measured(REALS, REALS.clone())["fid"].value == pytest.approx(0, abs=1e-6)


SOURCES: dict[str, Callable[[Path], object]] = {
    "tensor": lambda _: FAKES,
    "array": lambda _: FAKES.permute(0, 2, 3, 1).numpy(),
    "Dataset": lambda _: Images(list(FAKES)),
    "DataLoader": lambda _: DataLoader(Images(list(FAKES)), batch_size=4),
    "iterator": lambda _: iter(FAKES.split(7)),
    "open source": lambda _: open_source(FAKES),
    "generator": lambda _: _Replaying(),
    ".npy": lambda place: _saved(place / "fakes.npy"),
    ".npz": lambda place: _saved(place / "fakes.npz"),
}


class _Replaying:
    """A generator whose draws are FAKES."""

    value_range = "uint8"

    def __init__(self) -> None:
        self.at = 0

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        self.at += n
        return FAKES[self.at - n : self.at]


def _saved(path: Path) -> Path:
    array = FAKES.permute(0, 2, 3, 1).numpy()
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez(path, arr_0=array)
    return path


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_equal_images_give_an_equal_number_from_any_source(source: Callable[[Path], object], tmp_path: Path) -> None:
    """Files, arrays, data sets, loaders, streams and live generators give the same number."""
    opened = source(tmp_path)
    samples = {"num_samples": len(FAKES)} if isinstance(opened, _Replaying) else {}
    result = measured(fake=opened, metrics=["fid", "is"], **samples)
    expected = measured(metrics=["fid", "is"])
    for name in ("fid", "is"):
        assert result[name].value == pytest.approx(expected[name].value, rel=1e-5)
    found = document(result)["provenance"]["fake"]
    assert found["count"] == len(FAKES)
    assert result.signature == expected.signature


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["fids"]}, "Unknown metric 'fids'; did you mean 'fid'?"),
        ({"metrics": []}, "No metric was requested; choose from: fid"),
        ({"metrics": ["all", "fid"]}, "Unknown metric 'all'; 'all' cannot be combined with other names."),
        (
            {"metrics": ["prdc"]},
            "Unknown metric 'prdc'; give one or more of precision,recall,density,coverage,symmetric_",
        ),
        ({"metrics": ["c2st"]}, "'c2st'; give one or more of c2st_1nn,c2st_knn,c2st_logistic,c2st_mlp."),
        ({"metrics": "fid"}, r"found the text 'fid'; write metrics=\['fid'\]"),
        ({"extractor": "inceptoin"}, "Unknown extractor 'inceptoin'; did you mean 'inception'?"),
        ({"extractor": "pixels:4", "metrics": ["is"]}, "'is' needs logits, and the extractor 'pixels:4' gives only"),
        ({"extractor": "inception:65"}, "'inception:65' is not a tap; choose from: 64, 192, 768, 2048"),
        ({"device": "abacus"}, "The device 'abacus' cannot be used here"),
        ({"device": "meta"}, "The device 'meta' cannot be used here"),
        ({"device": "xpu"}, "The device 'xpu' cannot be used here. This machine has cpu"),
        ({"device": "cuda:99"}, "The device 'cuda:99' cannot be used here"),
        ({"precision": "fp16", "device": "cpu"}, "fp16 needs a GPU"),
        ({"protocol": "tensorfloww"}, "Unknown protocol"),
        ({"batchsize": 3}, "Unknown setting 'batchsize'; did you mean 'batch_size'?"),
        ({"fake": Drawing()}, "say how many images to draw with num_samples"),
        ({"real": None}, "compares with real images, and there are none"),
        ({"fake": 3}, "cannot be read from an object of type int"),
        ({"weights": "w.pth"}, "'digits' takes no weights file"),
    ],
)
def test_what_can_be_wrong_at_once_is_found_before_an_image_is_read(settings: dict[str, Any], message: str) -> None:
    """A usage error is raised before decoding."""
    given = {"real": Untouchable(REALS), "fake": Untouchable(FAKES), **settings}
    with pytest.raises(UsageError, match=message):
        measured(given.pop("real"), given.pop("fake"), **given)


def test_a_missing_path_is_found_before_an_image_is_read(tmp_path: Path) -> None:
    """A missing path is found on either side."""
    for pair in ((tmp_path / "none", Untouchable(FAKES)), (Untouchable(REALS), tmp_path / "none")):
        with pytest.raises(SourceError, match="none"):
            measured(*pair)


def test_the_usual_metrics_are_those_that_the_extractor_allows() -> None:
    """None means the metrics usual in papers, with IS if the extractor has classes."""
    with_classes, without = measured(metrics=None), measured(metrics=None, extractor="pixels:4")
    assert list(with_classes.metrics) == ["fid", "kid", "is", "precision", "recall", "density", "coverage"]
    assert set(with_classes.metrics) - set(without.metrics) == {"is"}
    assert with_classes.warnings == ()
    assert without.warnings == ("Left out: is (the extractor 'pixels:4' gives no logits).",)


def test_the_usual_metrics_are_those_that_statistics_allow(tmp_path: Path) -> None:
    """KID and neighbours need more than a mean and a covariance."""
    result = measured(reference(tmp_path), extractor="pixels:2", metrics=None)
    assert list(result.metrics) == ["fid"]
    (warning,) = result.warnings
    assert "kid, precision, recall, density, coverage (" in warning
    assert "ref.npz holds only statistics)" in warning


def test_all_is_every_metric_that_can_be_had() -> None:
    """Metrics that these sets do not allow are left out with a warning; named explicitly, they are an error."""
    result = measured(REALS[:20], FAKES[:15], metrics="all", options=SHORT_TRAINING, extractor="pixels:4")
    left_out = {text.split()[0] for text in result.warnings if "was not measured: " in text}
    assert {"fid", "kid", "precision", "nn"} <= set(result.metrics)
    assert "is" not in {*result.metrics, *left_out}
    assert "ndb" in left_out
    (warning,) = [text for text in result.warnings if text.startswith("Left out: ")]
    assert "is, mode_coverage, class_balance, head_accuracy (the extractor 'pixels:4' gives no logits)" in warning
    assert "intra_fid, conditional_accuracy, cas (the classes of Tensor are not known)" in warning
    with pytest.raises(MetricError, match="20 images"):
        measured(REALS[:20], FAKES[:15], metrics=["fid", "ndb"], extractor="pixels:4")


def test_where_no_metric_can_be_had_the_first_reason_is_given() -> None:
    """A single image allows none of the metrics, and the first reason is given."""
    with pytest.raises(MetricError, match="at least 2"):
        measured(REALS[:1], FAKES[:1], metrics=None, extractor="pixels:4")


def test_what_float64_cannot_hold_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message gives the size of the features, and other metrics are computed."""
    embed = DigitsNetwork.embed
    monkeypatch.setattr(DigitsNetwork, "embed", lambda self, maps: 1e35 * embed(self, maps))
    with pytest.raises(MetricError, match=r"kid of values as large as .*e\+35 is beyond what float64 can hold"):
        measured(metrics=["kid"])
    assert document(measured(metrics=["nn"]))["metrics"]["nn"]["value"] > 1e35


def test_reals_are_not_opened_for_a_metric_that_does_not_look_at_them(tmp_path: Path) -> None:
    """An inception score does not need reals."""
    result = measured(tmp_path / "none", metrics=["is"])
    assert result.provenance["real"] is None
    assert result["is"].n_real is None


def test_auto_is_a_device_that_works() -> None:
    """The device is the GPU if there is one, and otherwise the CPU."""
    assert inputs.find_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert inputs.find_device(torch.device("cpu")) == "cpu"


# Statistics


def reference(tmp_path: Path, **settings: Any) -> Path:
    """The statistics of REALS in a file."""
    path = tmp_path / "ref.npz"
    write_reference(REALS, path, **{"extractor": "pixels:2", "cache": False, **settings})
    return path


def test_a_reference_stands_for_its_images(tmp_path: Path) -> None:
    """The value is the same, the error bar omits the reals' noise, and the provenance has the file's description."""
    path = reference(tmp_path)
    full, stored = (measured(real, extractor="pixels:2")["fid"] for real in (REALS, path))
    assert stored.value == pytest.approx(full.value, rel=1e-9)
    assert full.standard_error is not None
    assert stored.standard_error is not None
    assert 0 < stored.standard_error < full.standard_error
    assert stored.n_real == len(REALS)
    result = measured(str(path), extractor="pixels:2")
    about = document(result)["provenance"]["real"]
    assert (about["kind"], about["count"], about["measured"]["extractor"]) == ("statistics", len(REALS), "pixels:2")
    assert result.warnings == ()


def test_a_reference_is_plain_numpy_and_equal_sets_give_equal_bytes(tmp_path: Path) -> None:
    """`mu` and `sigma` in float64, as pytorch-fid has them, and a description in JSON."""
    first = reference(tmp_path).read_bytes()
    path = reference(tmp_path)
    assert path.read_bytes() == first
    features = open_extractor("pixels:2", protocol=find_protocol("tensorflow")).prepare(REALS).flatten(1).double()
    with np.load(path, allow_pickle=False) as kept:
        assert np.allclose(kept["mu"], features.mean(0).numpy(), rtol=1e-12)
        assert np.allclose(kept["sigma"], np.cov(features.numpy(), rowvar=False), rtol=1e-10)
        about = json.loads(str(kept["ganeval"]))
    assert (about["count"], about["ddof"], about["measured"]["source"]["count"]) == (30, 1, 30)


@pytest.mark.parametrize(("written", "asked"), [("tensorflow", "stylegan"), ("stylegan", "tensorflow")])
def test_a_reference_is_brought_to_the_ddof_that_is_asked_for(tmp_path: Path, written: str, asked: str) -> None:
    """A file that records its divisor can be used with both."""
    path = reference(tmp_path, protocol=written)
    direct = measured(extractor="pixels:2", protocol=asked)["fid"]
    stored = measured(path, extractor="pixels:2", protocol=asked)["fid"]
    assert stored.value == pytest.approx(direct.value, rel=1e-9)
    assert stored.options == {"ddof": PROTOCOLS[asked].ddof}
    option = {"fid": {"ddof": PROTOCOLS[asked].ddof}}
    assert measured(path, extractor="pixels:2", protocol=written, options=option)["fid"].value == stored.value


def _foreign(path: Path, dimensions: int = 12, **more: Any) -> Path:
    rows = np.random.RandomState(0).randn(40, dimensions)
    np.savez(path, mu=rows.mean(0), sigma=np.cov(rows, rowvar=False), **more)
    return path


@pytest.mark.parametrize("adm", [False, True])
def test_a_reference_of_another_tool_is_taken_at_its_word(tmp_path: Path, adm: bool) -> None:
    """pytorch-fid's and ADM's files have neither settings nor counts, and the result says so."""
    spatial = {"mu_s": np.zeros(5), "sigma_s": np.eye(5)} if adm else {}
    path = _foreign(tmp_path / "theirs.npz", **spatial)
    result = measured(path, extractor="pixels:2")
    assert result["fid"].n_real is None
    (warning,) = result.warnings
    assert f"{path} does not say how its statistics were measured" in warning
    assert "pixels:2 (clean to 2, x/255)" in warning
    assert result.comparable
    document(result)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extractor": "pixels:3"}, "12 dimensions; the extractor 'pixels:3' gives 27"),
        ({"extractor": "digits", "precision": "bf16"}, "12 dimensions"),
    ],
)
def test_a_reference_of_other_dimensions_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    """The dimensions are checked before an image is read."""
    with pytest.raises(SourceError, match=message):
        measured(reference(tmp_path), Untouchable(FAKES), **{"extractor": "pixels:2", **changes})


@pytest.mark.parametrize(
    ("key", "value"),
    [("extractor", "pixels:9"), ("weights_sha256", "0" * 64), ("preprocessing", "x"), ("precision", "bf16")],
)
def test_a_reference_that_was_measured_otherwise_is_refused(tmp_path: Path, key: str, value: str) -> None:
    """Statistics with other settings are refused, and the message names both settings."""
    path = reference(tmp_path)
    with np.load(path) as kept:
        about = json.loads(str(kept["ganeval"]))
        about["measured"][key] = value
        np.savez(path, mu=kept["mu"], sigma=kept["sigma"], ganeval=np.array(json.dumps(about)))
    with pytest.raises(UsageError, match=f"was measured with {key} '{value}'"):
        measured(path, Untouchable(FAKES), extractor="pixels:2")


def test_a_reference_in_single_precision_is_at_distance_zero_from_itself() -> None:
    """Rounding of stored values does not give a negative distance."""
    rows = np.maximum(np.random.RandomState(0).randn(10, 64), 0)
    covariance = torch.from_numpy(np.cov(rows, rowvar=False).astype(np.float32)).double()
    stored = Gaussian(torch.from_numpy(rows.mean(0)), covariance)
    assert 0 <= fid(stored, stored).value < 1e-6


def test_a_metric_of_images_refuses_statistics(tmp_path: Path) -> None:
    """A metric that needs images refuses a mean and a covariance."""
    with pytest.raises(UsageError, match=r"'kid' needs the real images themselves; .*ref\.npz holds only"):
        measured(reference(tmp_path), Untouchable(FAKES), extractor="pixels:2", metrics=["fid", "kid"])


def test_statistics_cannot_be_the_fakes(tmp_path: Path) -> None:
    """The error says that they can be the reals."""
    with pytest.raises(SourceError, match="use it as the real reference only"):
        measured(REALS, reference(tmp_path), extractor="pixels:2")


def test_a_reference_of_one_image_is_refused(tmp_path: Path) -> None:
    """Statistics of one image are neither written nor accepted."""
    with pytest.raises(MetricError, match="at least 2"):
        write_reference(REALS[:1], tmp_path / "one.npz", extractor="pixels:2", cache=False)
    about = json.dumps({"schema": 1, "count": 1, "ddof": 0, "measured": {}})
    path = _foreign(tmp_path / "one.npz", ganeval=np.array(about))
    with pytest.raises(MetricError, match="at least 2 images"):
        measured(path, extractor="pixels:2")


def test_a_reference_must_be_recognisable_as_one(tmp_path: Path) -> None:
    """A file name must end in .npz, which is checked before reading images."""
    with pytest.raises(UsageError, match=r"ref\.dat must end in \.npz"):
        write_reference(Untouchable(REALS), tmp_path / "ref.dat", extractor="digits")


# Protocols


def test_protocols_are_measured_from_one_reading(
    tmp_path: Path, untrained_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every image is decoded once, and every protocol gives the same as alone."""
    real, fake = (
        write_folder(tmp_path / "real", 4, seed=1, size=40),
        write_folder(tmp_path / "fake", 4, seed=2, size=40),
    )
    settings = {"extractor": "inception:64", "weights": untrained_weights, "cache": False}
    decoded = count_decodes(monkeypatch)
    results = evaluate_protocols(real, fake, **settings)
    assert len(decoded) == 8
    assert list(results) == [name for name, protocol in PROTOCOLS.items() if not protocol.prescribes]
    for name in ("clean", "stylegan"):
        alone = evaluate(real, fake, protocol=name, **settings)
        assert results[name]["fid"].value == pytest.approx(alone["fid"].value, rel=1e-5)
        assert results[name].signature == alone.signature
    values = {round(result["fid"].value, 6) for result in results.values()}
    # The resizes are four; StyleGAN's covariance is another one of TensorFlow's features.
    assert len(values) == 5
    assert len({result.signature for result in results.values()}) == len(results)


def test_protocols_belong_to_inception(tmp_path: Path) -> None:
    """Other extractors have one preprocessing, and statistics belong to one protocol."""
    with pytest.raises(UsageError, match="'digits' has a preprocessing of its own"):
        evaluate_protocols(Untouchable(REALS), Untouchable(FAKES), extractor="digits")
    with pytest.raises(UsageError, match="measured by one protocol"):
        evaluate_protocols(_foreign(tmp_path / "ref.npz"), Untouchable(FAKES))


# What is written down


def test_other_weights_are_marked_as_not_comparable(untrained_weights: Path) -> None:
    """The result and its JSON give the reason; the embedded extractor's own weights are not marked."""
    result = measured(REALS[:3], FAKES[:3], extractor="inception:64", weights=untrained_weights)
    assert not result.comparable
    assert any("untrained.pth are not the published ones" in warning for warning in result.warnings)
    assert document(result)["comparable"] is False
    assert measured().comparable
    assert measured().warnings == ()


def test_reduced_precision_is_marked_and_close() -> None:
    """bf16 is recorded, marked as not comparable, and within a few percent."""
    full, reduced = measured(), measured(precision="bf16")
    assert not reduced.comparable
    assert any("bf16" in warning for warning in reduced.warnings)
    assert reduced.provenance["precision"] == "bf16"
    assert reduced["fid"].value == pytest.approx(full["fid"].value, rel=0.02)
    assert reduced.signature != full.signature


def test_the_provenance_is_complete(tmp_path: Path) -> None:
    """It has extractor, weights, preprocessing, protocol, precision, device, seed, both sets, versions and time."""
    folder = write_folder(tmp_path / "fakes", 25)
    about = document(measured(fake=folder, seed=5, num_samples=20, device="cpu"))["provenance"]
    assert (about["extractor"], about["dimensions"], about["protocol"]) == ("digits", 64, "tensorflow")
    assert (about["precision"], about["device"], about["seed"]) == ("fp32", "cpu", 5)
    assert len(about["weights_sha256"]) == 64
    assert set(about["versions"]) >= {"ganeval", "python", "torch", "torchvision", "numpy", "scipy", "pillow"}
    assert about["created"].endswith("+00:00")
    fake = about["fake"]
    assert (fake["name"], fake["kind"], fake["count"], fake["cached"]) == (str(folder), "folder", 20, False)
    assert fake["subset"] == {"num_samples": 20, "of": 25, "seed": 5}
    assert about["real"]["count"] == 20


def test_a_library_under_another_name_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow-SIMD provides Pillow under another name, and a result is given."""

    def version(name: str) -> str:
        if name == "pillow":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(provenance, "version", version)
    assert measured().provenance["versions"]["pillow"] == "unknown"


def test_a_seed_of_numpy_reaches_the_json() -> None:
    """Any of numpy's integers is accepted as a seed."""
    assert document(measured(seed=np.uint32(7)))["provenance"]["seed"] == 7


@pytest.mark.parametrize(
    "settings", [{"batch_size": 3}, {"workers": 2}, {"cache": True}, {"device": "cpu"}, {"on_error": "skip"}]
)
def test_equal_measurements_have_equal_signatures(settings: dict[str, Any]) -> None:
    """The signature does not depend on batch size, threads or cache."""
    assert measured(**settings).signature == measured().signature


@pytest.mark.parametrize(
    "settings",
    [
        {"protocol": "stylegan"},
        {"extractor": "pixels:4"},
        {"num_samples": 20},
        {"precision": "bf16"},
        {"metrics": ["is"]},
    ],
)
def test_other_measurements_have_other_signatures(settings: dict[str, Any]) -> None:
    """Every setting that affects numbers changes the signature."""
    assert measured(**settings).signature != measured().signature


def test_a_cached_result_is_the_same_result(tmp_path: Path) -> None:
    """Value, error and provenance are equal, except for the time and the use of the cache."""
    sets = random_images(30), write_folder(tmp_path / "fakes", 25)
    first, second = (measured(*sets, metrics=None, cache=True, extractor="pixels") for _ in range(2))
    assert second["fid"] == first["fid"]
    assert second.provenance["fake"] == {**first.provenance["fake"], "cached": True}
    assert second.provenance["dimensions"] == first.provenance["dimensions"] == 192


# Images that cannot be read, generators that break their word


def test_an_unreadable_image_is_named_or_left_out(tmp_path: Path) -> None:
    """By default the evaluation stops at it, and with "skip" the result lists it."""
    folder = write_folder(tmp_path / "fakes", 25)
    (folder / "7.png").write_bytes(b"\x89PNG\r\n\x1a\nnot one")
    with pytest.raises(DecodeError, match=r"7\.png"):
        measured(fake=folder)
    result = measured(fake=folder, on_error="skip")
    assert result["fid"].n_fake == 24
    (warning,) = result.warnings
    assert "1 image could not be read" in warning
    ((name, _),) = document(result)["provenance"]["fake"]["skipped"]
    assert name == str(folder / "7.png")
    written = write_reference(folder, tmp_path / "ref.npz", extractor="pixels:2", on_error="skip", cache=False)
    assert (written.count, written.warnings) == (24, (warning,))


def test_too_many_unreadable_images_stop_it_after_all(tmp_path: Path) -> None:
    """A set with a large share of unreadable images is an error."""
    folder = write_folder(tmp_path / "fakes", 25)
    for index in range(5):
        (folder / f"{index}.png").write_bytes(b"")
    with pytest.raises(SourceError, match="could not be read, over the limit of 1%"):
        measured(fake=folder, on_error="skip")


def _raise(_: int) -> Tensor:
    raise KeyError("no such layer")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda n: torch.full((n, 3, 8, 8), float("nan")), "contain NaN or infinity"),
        (lambda n: torch.full((n, 3, 8, 8), -1.0), "declared \\[0,1\\] but values go from -1 to -1"),
        (lambda n: torch.rand(n + 1, 3, 8, 8), r"returned \[26, 3, 8, 8\]; expected \[25, 1 or 3"),
        (lambda n: torch.rand(n, 8, 8), r"returned \[25, 8, 8\]"),
        (lambda n: torch.zeros(n, 3, 8, 8, dtype=torch.uint8), "returned uint8; expected floats"),
        (lambda n: "images", "returned str, not a tensor"),
        (_raise, "raised KeyError: 'no such layer'"),
    ],
)
def test_a_generator_that_breaks_its_word_is_named(draw: Callable[[int], object], message: str) -> None:
    """Each violation of the contract is a GeneratorError that names the generator."""
    with pytest.raises(GeneratorError, match=f"Drawing: .*{message}"):
        measured(fake=Drawing(draw), num_samples=25)


def test_a_generator_is_reproducible_and_leaves_no_trace() -> None:
    """The same seed gives the same number, another seed another, and global random numbers are not affected."""
    states = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # type: ignore[index]
    values = [measured(fake=Drawing(), num_samples=25, seed=seed)["fid"].value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # type: ignore[index]
    assert random.getstate() == states[2]


def test_reals_beside_a_generator_are_used_whole() -> None:
    """`num_samples` does not apply to the reals, even if they are an open source."""
    for real in (REALS, open_source(REALS)):
        result = measured(real, Drawing(), num_samples=25)
        assert (result["fid"].n_real, result["fid"].n_fake) == (30, 25)


def test_warnings_of_the_reading_are_in_the_result(tmp_path: Path) -> None:
    """An unusable cache gives a warning in the result."""
    (tmp_path / "file").write_text("")
    folder = write_folder(tmp_path / "fakes", 25)
    result = measured(fake=folder, cache=True, cache_dir=tmp_path / "file")
    assert result["fid"].value == measured(fake=folder)["fid"].value
    assert any("cannot be written" in warning for warning in result.warnings)


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none")
    return "cuda"


@pytest.mark.gpu
def test_a_gpu_gives_the_same_number(gpu: str, untrained_weights: Path) -> None:
    """The values agree within the documented rounding."""
    for settings in ({"extractor": "digits"}, {"extractor": "inception", "weights": untrained_weights}):
        on_cpu, on_gpu = (measured(REALS, FAKES, device=device, **settings) for device in ("cpu", gpu))
        assert on_gpu["fid"].value == pytest.approx(on_cpu["fid"].value, rel=1e-3)
        assert on_gpu.provenance["device"] == gpu
