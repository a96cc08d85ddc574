"""Objects instead of names: a user's extractors and metrics, and the errors for wrong objects."""

import gc
import inspect
import pickle
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any, NewType, SupportsFloat, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganeval
from ganeval.errors import ExtractorError, GanevalError, MetricError, SourceError, UsageError
from ganeval.extractors import EXTRACTORS, Request, extractor_name, open_extractor
from ganeval.extractors.base import Extractor, Weights
from ganeval.extractors.digest import digest_of
from ganeval.metrics import (
    METRICS,
    PAIR_METRICS,
    Metric,
    PairMetric,
    inception_score,
    memorization,
    nearest_distance,
    patch_frechet,
    prdc,
    psnr,
    segmentation,
)
from ganeval.metrics.kid import kid
from ganeval.protocols import find_protocol
from ganeval.sources import SCHEMES
from ganeval.uncertainty import Estimate

REALS, FAKES = (
    torch.randint(0, top, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(top))
    for top, count in ((256, 40), (200, 30))
)


@pytest.fixture(autouse=True)
def _tables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that a test registers are removed after it."""
    for table in (METRICS, EXTRACTORS, SCHEMES):
        monkeypatch.setattr(table, "_rows", dict(table._rows))  # type: ignore[attr-defined]


def gap(real: Tensor, fake: Tensor, *, p: float = 2.0) -> Tensor:
    """Distance of the means."""
    return (real.mean(0) - fake.mean(0)).norm(p)


def spread(fake: Tensor) -> float:
    return float(fake.std(0).mean())


def colours(images: Tensor) -> Tensor:
    """Mean colours."""
    assert images.dtype == torch.uint8
    return images.float().mean((2, 3))


class Net(nn.Module):
    """Seven features, of images of any size."""

    size = 4

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.factor, self.head = factor, nn.Linear(48, 7)
        self.drop = nn.Dropout()

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.drop(self.head(images.flatten(1).float() / 255))


def scored(**settings: Any) -> ganeval.Evaluation:
    return ganeval.evaluate(REALS, FAKES, **{"metrics": [gap], "extractor": "pixels:4", **settings})


def opened(extractor: object, **options: Any) -> Extractor:
    return open_extractor(extractor, protocol=find_protocol("clean"), **options)


def test_names_functions_and_rows_are_metrics_together() -> None:
    """Each has its own name, and a function of ganeval's is its row in the table."""
    row = Metric("Means", lambda real, fake: Estimate(3.0, None, None, "given"), "features", "features", "lower", "")
    row.compute.__name__ = "means"
    found = scored(metrics=["fid", gap, spread, row, METRICS["vendi"], kid])
    assert list(found.metrics) == ["fid", "gap", "spread", "means", "vendi", "kid"]
    pixels = [images.float().div(255).flatten(1) for images in (REALS, FAKES)]
    alike = scored(extractor="pixels:8")
    assert alike["gap"].value == pytest.approx(float(gap(*pixels)), rel=1e-5)
    assert (found["gap"].standard_error, found["gap"].direction, found["gap"].n_real) == (None, "lower", 40)
    assert (found["spread"].n_real, found["means"].value) == (None, 3.0)


def test_a_function_has_options_like_any_metric() -> None:
    """They are checked by their types, and recorded."""
    found = scored(options={"gap": {"p": 1}})
    assert found["gap"].options == {"p": 1.0}
    assert found["gap"].value > scored()["gap"].value
    with pytest.raises(UsageError, match=r"'gap.p' must be a number, found 'x'"):
        scored(options={"gap": {"p": "x"}})
    with pytest.raises(UsageError, match="unknown metric 'gaps'; did you mean 'gap'"):
        scored(options={"gaps": {"p": 1}})


def test_functions_are_compared_have_a_floor_and_are_streamed() -> None:
    """All functions that take names of metrics take functions."""
    both = ganeval.compare(REALS, {"one": FAKES, "other": REALS}, metrics=[gap], extractor=Net())
    assert [one.metric for one in both.differences] == ["gap"]
    assert ganeval.noise_floor(REALS, metrics=[gap], extractor=Net())["gap"].value > 0
    evaluator = ganeval.Evaluator(metrics=[gap], extractor=Net())
    evaluator.update(REALS, real=True)
    evaluator.update(FAKES, real=False)
    assert evaluator.compute()["gap"].value == scored(extractor=Net())["gap"].value
    assert pickle.loads(pickle.dumps(evaluator)).compute()["gap"] == evaluator.compute()["gap"]


def test_a_module_is_an_extractor_and_stays_as_it_was() -> None:
    """It runs in evaluation mode, as a copy, under its class's name."""
    net = Net().train()
    first = scored(extractor=net)
    assert net.training
    assert first.provenance["extractor"] == "Net"
    assert first.provenance["preprocessing"] == "clean to 4, rounded"
    assert first["gap"].value == scored(extractor=Net(), cache=False)["gap"].value


def test_modules_are_told_apart_by_all_that_they_hold() -> None:
    """Parameters and other attributes are part of the digest; attributes without a stable form prevent one."""
    assert digest_of(Net()) == digest_of(Net())
    assert len({digest_of(Net(factor)) for factor in (1.0, 2.0)}) == 2
    other = Net()
    with torch.no_grad():
        other.head.bias[0] += 1
    assert digest_of(other) != digest_of(Net())
    other.activation = lambda x: x  # type: ignore[assignment]
    assert digest_of(other) is None


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:The .grad attribute of a Tensor")
def test_a_module_of_torchscript_is_an_extractor() -> None:
    """Its features are those of the module it was made of; torch gives it no lasting form, so they are not kept."""
    net = torch.nn.Sequential(torch.nn.Flatten(1), torch.nn.Linear(48, 5))
    traced = torch.jit.trace(net, torch.zeros(1, 3, 4, 4))  # type: ignore[no-untyped-call]
    found, same = (scored(extractor=ganeval.extractor(one, size=4, value_range="[0,1]")) for one in (traced, net))
    assert found["gap"].value == same["gap"].value
    assert any("were not kept" in text for text in found.warnings)


def test_a_module_without_values_is_refused() -> None:
    """A module on the device "meta" has shapes and no values."""
    with pytest.raises(ExtractorError, match=r"Net cannot be copied .*meta tensor"):
        scored(extractor=Net().to("meta"))


def test_features_of_a_module_are_kept_and_those_of_a_function_are_not(tmp_path: Path) -> None:
    """A function may change without notice, so its features are not cached, and the result says so."""
    for extractor, cached in ((Net(), True), (ganeval.extractor(Net(), name="mine"), True), (colours, False)):
        folder = tmp_path / extractor_name(extractor)
        first, second = (scored(extractor=extractor, cache_dir=folder) for _ in range(2))
        assert first.fake is not None
        assert second.fake is not None
        assert (first.fake.cached, second.fake.cached) == (False, cached)
        said = [text for text in second.warnings if "were not kept" in text]
        assert len(said) == (0 if cached else 1)


def test_an_extractor_says_its_size_and_range() -> None:
    """Images are resized, and floats in the range; the preprocessing's description and the cache key include both."""
    seen: list[Tensor] = []

    def look(images: Tensor) -> Tensor:
        seen.append(images)
        return images.flatten(1).float()

    for value_range, low in (("[0,1]", 0.0), ("[-1,1]", -1.0)):
        made = opened(ganeval.extractor(look, name="look", size=6, value_range=value_range))
        made.forward(made.prepare(torch.zeros(2, 3, 9, 9, dtype=torch.uint8)), frozenset(("features",)))
        assert seen[-1].shape == (2, 3, 6, 6)
        assert seen[-1].dtype == torch.float32
        assert seen[-1].unique().tolist() == [low]
        assert (made.name, made.preprocessing) == ("look", f"clean to 6, rounded, {value_range}")


class Whole:
    """An extractor in full, without a base class."""

    name, dimensions, outputs = "whole", 3, frozenset(("features",))
    preprocessing, weights, precision, device = "none", Weights("none", "", published=False), "fp32", "cpu"

    def prepare(self, images: Tensor) -> Tensor:
        return images.float()

    def forward(self, inputs: Tensor, outputs: frozenset[str]) -> dict[str, Tensor]:
        return {"features": inputs.mean((2, 3))}


def test_an_extractor_is_taken_as_it_is() -> None:
    """An object with all parts of an Extractor is one; an Extractor that lacks a part cannot be instantiated."""
    whole = Whole()
    assert opened(whole) is whole
    assert scored(extractor=whole).provenance["extractor"] == "whole"
    with pytest.raises(UsageError, match="runs in fp32, but bf16 was requested"):
        scored(extractor=whole, precision="bf16")
    with pytest.raises(TypeError, match="abstract"):
        Extractor()  # type: ignore[misc]

    class Half(Extractor):
        name = "half"

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_what_is_registered_is_known_by_its_name() -> None:
    """A metric, an extractor with an argument, and a source can be used by name like built-in ones."""
    asked: list[Request] = []

    def open_net(request: Request) -> nn.Module:
        """A small network."""
        asked.append(request)
        return Net(float(request.argument or 1))

    ganeval.register_metric("gap", gap, direction="closer", ideal=0.0, title="A gap", source="a test")
    ganeval.register_metric("shapes", lambda real, fake: float(len(real) - len(fake)), output="logits")
    ganeval.register_extractor("net", open_net)
    ganeval.register_source("fakes", lambda rest: FAKES[: int(rest)])
    found = ganeval.evaluate(REALS, "fakes:20", metrics=["gap"], extractor="net:2")
    assert (found["gap"].ideal, found["gap"].n_fake, METRICS["gap"].title) == (0.0, 20, "A gap")
    assert found.provenance["extractor"] == "net:2"
    assert asked[-1].argument == "2"
    assert (EXTRACTORS["net"].title, METRICS["shapes"].real) == ("A small network", "logits")
    for register, name, what in (
        (ganeval.register_metric, "fid", gap),
        (ganeval.register_extractor, "digits", open_net),
        (ganeval.register_source, "py", open_net),
    ):
        with pytest.raises(UsageError, match=f"There is already a .* '{name}'; choose another name"):
            register(name, what)  # type: ignore[operator]
    assert scored(metrics="all", extractor="net")["gap"].ideal == 0.0


def test_what_a_registered_opener_raises_is_told_by_its_name() -> None:
    """Of a source and of an extractor, given as a function or as an Entry; errors of ganeval stay as they are."""

    def broken(asked: object) -> object:
        raise KeyError(getattr(asked, "argument", asked))

    def refused(asked: object) -> object:
        raise UsageError("not here")

    ganeval.register_source("broken", broken)
    ganeval.register_source("refused", refused)
    ganeval.register_extractor("broken", broken)
    ganeval.register_extractor("broken-row", replace(EXTRACTORS["digits"], open=broken))
    with pytest.raises(SourceError, match="The source 'broken' raised KeyError: 'bucket'"):
        ganeval.open_source("broken:bucket")
    with pytest.raises(UsageError, match=r"^not here$"):
        ganeval.open_source("refused:bucket")
    for name in ("broken", "broken-row"):
        with pytest.raises(ExtractorError, match=f"The extractor '{name}' raised KeyError"):
            scored(extractor=name)


def test_a_metric_of_pairs_is_known_by_its_name() -> None:
    """A registered function of image pairs is measured like a built-in one, in the direction that was said."""

    def agreement(real: Tensor, fake: Tensor) -> Tensor:
        """Pixels that agree."""
        return (real == fake).double().mean((1, 2, 3))

    ganeval.register_pair_metric("agreement", agreement, direction="higher", source="a test")
    found = ganeval.evaluate_pairs(REALS, REALS, metrics=["agreement", "l1"])
    assert (found["agreement"].value, found["agreement"].direction, found["l1"].value) == (1.0, "higher", 0.0)
    assert (PAIR_METRICS["agreement"].title, PAIR_METRICS["agreement"].source) == ("Pixels that agree", "a test")
    with pytest.raises(UsageError, match="There is already a metric of pairs 'l1'; choose another name"):
        ganeval.register_pair_metric("l1", agreement)
    with pytest.raises(UsageError, match="has the direction 'closer' and the ideal None"):
        ganeval.register_pair_metric("nearer", agreement, direction="closer")
    with pytest.raises(UsageError, match="must be a function of image pairs"):
        ganeval.register_pair_metric("three", 3)  # type: ignore[arg-type]


def test_what_a_metric_of_yours_returns_is_made_of_pythons_numbers() -> None:
    """So that a result can be written; one of other things is refused."""

    def of_numpy(real: Tensor, fake: Tensor) -> Estimate:
        low, high = np.float32(0.5), np.float32(1.5)
        return Estimate(torch.tensor(1.0), np.float64(0.25), (low, high), "by hand", {"more": np.float32(2)}, "A note.")  # type: ignore[arg-type]

    def of_text(real: Tensor, fake: Tensor) -> Estimate:
        return Estimate("one", None, None, "by hand")  # type: ignore[arg-type]

    found = ganeval.Evaluation.from_json(scored(metrics=[of_numpy]).to_json())["of_numpy"]
    assert (found.value, found.standard_error, found.interval) == (1.0, 0.25, (0.5, 1.5))
    assert (found.details, found.notes) == ({"more": 2.0}, ("A note.",))
    with pytest.raises(MetricError, match="an Estimate with fields that are not numbers"):
        scored(metrics=[of_text])


def test_options_of_a_metric_of_yours_need_no_annotations_that_can_be_evaluated() -> None:
    """Names that only type checkers know, a default of None, and lists are taken; functions of C have no options."""

    def wide(real: "Unknown", fake: "Unknown", *, k: "Unknown" = 2, w=None, s: list[int] = [1]) -> float:  # type: ignore[no-untyped-def,name-defined] # noqa: B006, F821
        return float(k)

    found = scored(metrics=[wide], options={"wide": {"k": 3, "w": "any", "s": [1, 2]}})["wide"]
    assert (found.value, found.options) == (3.0, {"k": 3, "w": "any", "s": [1, 2]})
    with pytest.raises(UsageError, match=r"'wide.k' must be a whole number, found 'three'"):
        scored(metrics=[wide], options={"wide": {"k": "three"}})
    with pytest.raises(MetricError, match=r"max: The function raised RuntimeError"):
        scored(metrics=[max])


_Number = NewType("_Number", int)
_Some = TypeVar("_Some")


@pytest.mark.parametrize(
    ("annotation", "default", "taken", "refused"),
    [
        (Any, 1, "two", None),
        (object, 1, [2], None),
        (_Number, 1, 2, None),
        (_Some, 1, 2, None),
        (SupportsFloat, 1, 2, None),
        (Sequence[int], (1,), [2], 2),
        (Mapping[str, int], {}, {"a": 1}, [1]),
        (Number, 1, 2.5, "two"),
        (int | Sequence[int], 1, (2, 3), 2.5),
        (Callable, max, min, "min"),
        (inspect.Parameter.empty, lambda row: row, min, "min"),
    ],
)
def test_annotations_of_options_are_kinds_of_values(annotation: Any, default: Any, taken: Any, refused: Any) -> None:
    """A value is of an annotated class if Python says so; what cannot be asked, as Any, allows every value."""

    def kinds(real, fake, *, p=default):  # type: ignore[no-untyped-def]
        return 1.0

    if annotation is not inspect.Parameter.empty:
        kinds.__annotations__["p"] = annotation
    assert scored(metrics=[kinds], options={"kinds": {"p": taken}})["kinds"].value == 1
    if refused is not None:
        with pytest.raises(UsageError, match=r"The option 'kinds.p' must be .*, found"):
            scored(metrics=[kinds], options={"kinds": {"p": refused}})


def test_a_metric_of_yours_may_be_an_object_without_a_hash() -> None:
    """As is that of a dataclass."""

    @dataclass
    class Scaled:
        by: float = 2.0

        def __call__(self, real: Tensor, fake: Tensor, *, k: int = 1) -> float:
            return self.by * k

    assert scored(metrics=[Scaled()], options={"Scaled": {"k": 3}})["Scaled"].value == 6


def test_a_metric_of_yours_is_not_kept_after_its_evaluation() -> None:
    """It may hold a model, of which the next evaluation has another."""

    class Held:
        def __call__(self, real: Tensor, fake: Tensor, *, k: int = 1) -> float:
            return 1.0

    held = Held()
    gone = weakref.ref(held)
    assert scored(metrics=[held], options={"Held": {"k": 2}})["Held"].value == 1
    del held
    gc.collect()
    assert gone() is None


def test_options_of_metrics_of_pairs_are_checked_as_others_are() -> None:
    """An array as default, and none, ended in an error of Python."""

    def weighted(real: Tensor, fake: Tensor, *, weights: object = np.ones(2)) -> Tensor:
        return torch.zeros(len(real))

    def needing(real: Tensor, fake: Tensor, *, weight: float) -> Tensor:
        return torch.zeros(len(real))

    row = PairMetric(title="A row", compute=needing, direction="lower", source="")
    with pytest.raises(UsageError, match=r"default of the option 'weighted.weights' must be a number, .* found array"):
        ganeval.evaluate_pairs(REALS, REALS, metrics=[weighted])
    for metric in (needing, row):
        with pytest.raises(UsageError, match=r"The option 'needing.weight' has no default; give it one"):
            ganeval.evaluate_pairs(REALS, REALS, metrics=[metric])


def test_options_that_no_result_can_hold_are_refused() -> None:
    """An array as default, or as a value."""

    def weighted(real: Tensor, fake: Tensor, *, weights: object = np.ones(2)) -> float:
        return 1.0

    def free(real: Tensor, fake: Tensor, *, weights=None) -> float:  # type: ignore[no-untyped-def]
        return 1.0

    with pytest.raises(UsageError, match=r"default of the option 'weighted.weights' must be a number, .* found array"):
        scored(metrics=[weighted])
    for value in (np.ones(2), [torch.ones(2)], {1: 2}):
        with pytest.raises(UsageError, match=r"The option 'free.weights' must be a number, a text, .* which a result"):
            scored(metrics=[free], options={"free": {"weights": value}})


def test_an_extractor_may_return_short_floats() -> None:
    """They are kept as float32, and give the number that these give."""

    def short(images: Tensor) -> Tensor:
        return colours(images).to(torch.float8_e4m3fn)

    def longer(images: Tensor) -> Tensor:
        return short(images).float()

    assert scored(extractor=short).metrics == scored(extractor=longer).metrics


@pytest.mark.parametrize(
    ("function", "name"), [(inception_score, "is"), (nearest_distance, "nn"), (memorization, "ct"), (kid, "kid")]
)
def test_a_function_of_ours_is_the_metric_that_it_computes(function: Callable[..., Estimate], name: str) -> None:
    """With the outputs that the metric uses and its direction, whatever the name of the function."""
    asked: dict[str, Any] = {"extractor": "digits", "cache": False, "num_samples": 60}
    found = ganeval.evaluate("digits:train", "digits:test", metrics=[function], **asked)
    assert found.metrics == ganeval.evaluate("digits:train", "digits:test", metrics=[name], **asked).metrics


def test_an_interval_is_from_low_to_high() -> None:
    """A turned one is refused, since no reader would take the saved result."""

    def turned(real: Tensor, fake: Tensor) -> Estimate:
        return Estimate(1.0, 0.5, (2.0, 0.0), "none")

    with pytest.raises(MetricError, match=r"turned returned the interval \(2\.0, 0\.0\)"):
        scored(metrics=[turned])


def test_a_function_of_several_metrics_or_of_the_other_kind_is_refused() -> None:
    """With the names to give in its place, or the function that measures it."""
    with pytest.raises(UsageError, match=r"prdc\(\) gives several metrics: write one or more of \['precision'"):
        scored(metrics=[prdc])
    with pytest.raises(UsageError, match=r"psnr\(\) is not a metric of this kind; .*ganeval.evaluate_pairs"):
        scored(metrics=[psnr])
    with pytest.raises(UsageError, match=r"kid\(\) is not a metric of this kind; .*ganeval.evaluate\)"):
        ganeval.evaluate_pairs(REALS, REALS, metrics=[kid])
    with pytest.raises(UsageError, match=r"segmentation\(\) is for direct calls: write .* \['pixel_accuracy'"):
        ganeval.evaluate_pairs(REALS, REALS, metrics=[segmentation])
    with pytest.raises(UsageError, match=r"patch_frechet\(\) is not a metric of this kind; .*ganeval.evaluate_pairs"):
        scored(metrics=[patch_frechet])


def test_what_a_function_of_pairs_or_a_segmenter_raises_is_a_metric_error() -> None:
    """It names the pair and what was raised; of all metrics, the others are measured."""

    def broken(real: Tensor, fake: Tensor) -> Tensor:
        raise ValueError("no such pixels")

    with pytest.raises(MetricError, match=r"broken of .*: The function raised ValueError: no such pixels"):
        ganeval.evaluate_pairs(REALS, REALS, metrics=[broken])
    segmented = {"segmentation": {"segmenter": lambda _: 1 // 0}}
    with pytest.raises(MetricError, match="The segmenter raised ZeroDivisionError"):
        ganeval.evaluate_pairs(REALS, REALS, metrics=["iou"], options=segmented)


@pytest.mark.parametrize("also", ["features", ["feature"], 3, [["logits"]]])
def test_what_are_no_outputs_to_keep_is_refused(also: Any) -> None:
    """A misspelt one would be kept by no extractor."""
    with pytest.raises(UsageError, match="also is a list of outputs out of features, logits, spatial, images, found"):
        ganeval.evaluate(REALS, FAKES, extractor="pixels:4", also=also)


@pytest.mark.parametrize("given", [None, 5, True])
def test_arguments_of_another_type_are_refused(given: Any) -> None:
    """In words, where one of a few words, a path, or a list is expected."""
    for setting in ("protocol", "precision", "on_error"):
        with pytest.raises(UsageError, match=f"'{given}'.*(choose from|names are)"):
            scored(**{setting: given})
    with pytest.raises(UsageError, match=f"Expected the path of a file or folder, or a URL, found {given}"):
        ganeval.write_reference(REALS, given, extractor="pixels:4")
    with pytest.raises(UsageError, match=f"Parts are a list of files, found {given}"):
        ganeval.merge_parts(given, "merged.npz")
    with pytest.raises(UsageError, match=f"extractors must be two or more, .* found {given}"):
        ganeval.evaluate_extractors(REALS, FAKES, extractors=given)
    with pytest.raises(UsageError, match="The runs of 'A' are a list, a run each; found dict"):
        ganeval.compare_runs(REALS, {"A": {given: FAKES}, "B": [FAKES]}, extractor="pixels:4")  # type: ignore[dict-item]


WRONG: dict[str, tuple[dict[str, Any], type[GanevalError], str]] = {
    "a number as extractor": ({"extractor": 3}, UsageError, "extractor must be a name .* or a function .*; found 3"),
    "a list as extractor": ({"extractor": []}, UsageError, r"found \[\]"),
    "a class as extractor": ({"extractor": Net}, UsageError, "extractor is the class Net; give an instance of it"),
    "no tensor": ({"extractor": lambda images: 1}, ExtractorError, "returned int as features; expected a tensor"),
    "not a row an image": ({"extractor": lambda images: images.float()}, ExtractorError, r"expected floats \[2, D\]"),
    "a taken name": ({"extractor": ganeval.extractor(colours, name="digits")}, UsageError, "name yours with"),
    "weights": ({"extractor": Net(), "weights": "x.pth"}, UsageError, "Net is an object and takes no weights file"),
    "a number for metrics": ({"metrics": 3}, UsageError, "metrics is a list of names or functions, found int"),
    "a number as a metric": ({"metrics": [3]}, UsageError, "must be a function of feature arrays, .* of type int"),
    "a class as a metric": ({"metrics": [Net]}, UsageError, "must be a function of feature arrays, .* the class Net"),
    "a lambda": ({"metrics": [lambda real, fake: 1.0]}, UsageError, "which has no name: results are by name"),
    "one function": ({"metrics": gap}, UsageError, r"found function; write metrics=\['fid'\]"),
    "a mapping": ({"metrics": {"gap": gap}}, UsageError, "found dict"),
}


@pytest.mark.parametrize(("settings", "kind", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_object_gets_a_sentence(settings: dict[str, Any], kind: type[GanevalError], message: str) -> None:
    """The message says what was found and what is allowed."""
    with pytest.raises(kind, match=message):
        scored(**settings)


def text(real: Tensor, fake: Tensor) -> str:
    return "x"


def not_a_number(real: Tensor, fake: Tensor) -> float:
    return float("nan")


def raises(real: Tensor, fake: Tensor) -> Tensor:
    return real[10**6]


def several(real: Tensor, fake: Tensor) -> dict[str, float]:
    return {"one": 1.0}


def three(one: Tensor, two: Tensor, three: Tensor) -> float:
    return 1.0


def unnamed(real: Tensor, fake: Tensor, k: int = 3) -> float:
    return 1.0


FUNCTIONS = {
    text: (MetricError, "text: The function returned str; expected a number or an Estimate"),
    not_a_number: (MetricError, "The function returned nan for these sets"),
    raises: (MetricError, "The function raised IndexError"),
    several: (MetricError, r"several values by name \(one\), and none is called 'several'"),
    three: (UsageError, r"'three' takes \(one.*; expected \(real, fake\) or \(fake\)"),
    unnamed: (UsageError, r"options after a \*, each with a default"),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_function_is_an_error_that_names_it(function: Callable[..., object]) -> None:
    """The error says what it returned, raised or takes."""
    kind, message = FUNCTIONS[function]
    with pytest.raises(kind, match=message):
        scored(metrics=[function])
