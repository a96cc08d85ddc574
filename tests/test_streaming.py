"""The streaming evaluator gives the same numbers as files, for any batching, without side effects."""

import copy
import gc
import io
import json
import pickle
import random
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from core_helpers import SHORT_TRAINING, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import Dataset

from ganeval.errors import ExtractorError, GeneratorError, MetricError, SourceError, UsageError
from ganeval.evaluation import evaluate
from ganeval.metrics import METRICS
from ganeval.results import Evaluation
from ganeval.streaming import UPDATE_BATCH, Evaluator

REALS, FAKES = random_images(24, seed=1), random_images(21, seed=2)
SCHEMA = json.loads((Path(__file__).parents[1] / "docs/result.schema.json").read_text(encoding="utf-8"))


LABELS = {True: torch.arange(24) % 3, False: torch.arange(21) % 3}


class Labelled(Dataset[tuple[Tensor, int]]):
    """Images with their classes, as a torch data set has them."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.targets = images, labels.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.targets[index]


def streamed(cuts: Sequence[int] = (), *, metrics: Sequence[str] = ("fid", "is"), **chosen: Any) -> Evaluation:
    """The result of an Evaluator for all images, split at these indices."""
    evaluator = Evaluator(metrics=metrics, **{"extractor": "digits", **chosen})
    looks_at_reals = any(METRICS[name].real for name in metrics)
    for images, real in ((REALS, True), (FAKES, False)) if looks_at_reals else ((FAKES, False),):
        for start, stop in pairwise([0, *sorted(cuts), len(images)]):
            evaluator.update(images[start:stop], real=real, labels=LABELS[real][start:stop])
    return evaluator.compute()


def test_labels_are_as_many_whole_numbers_as_images() -> None:
    """Fewer, negative, or other labels are refused; a part without labels leaves the classes unknown."""
    evaluator = Evaluator(metrics=["intra_fid"], extractor="digits")
    wrong: tuple[Any, ...] = (LABELS[True][:-1], LABELS[True].double(), LABELS[True] * 1j, LABELS[True].tolist())
    for labels in wrong:
        with pytest.raises(UsageError, match="the labels of 24 images must be as many whole numbers, found"):
            evaluator.update(REALS, real=True, labels=labels)
    with pytest.raises(UsageError, match="a label is -1; a class is a whole number from 0"):
        evaluator.update(REALS, real=True, labels=LABELS[True] - LABELS[True].min() - 1)
    evaluator.update(REALS, real=True)
    evaluator.update(FAKES, real=False, labels=LABELS[False])
    with pytest.raises(UsageError, match="needs the class of every image"):
        evaluator.compute()


def test_it_gives_what_folders_give() -> None:
    """Value, error and signature are those of `evaluate`, and the provenance says that it was a stream."""
    result = streamed()
    expected = evaluate(REALS, FAKES, metrics=["fid", "is"], extractor="digits", cache=False)
    for name in ("fid", "is"):
        assert result[name].value == pytest.approx(expected[name].value, rel=1e-5)
        assert result[name].standard_error == pytest.approx(expected[name].standard_error, rel=1e-4)
    assert result.signature == expected.signature
    document = json.loads(result.to_json())
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    about = document["provenance"]["fake"]
    assert (about["name"], about["kind"], about["count"], about["range"]) == ("fake", "stream", 21, "uint8")


@settings(max_examples=15)
@given(st.lists(st.integers(0, 21), max_size=6), st.none() | st.integers(1, 30))
def test_the_pieces_do_not_matter(cuts: list[int], batch_size: int | None) -> None:
    """Any batching, with empty batches, changes the value by rounding only."""
    result, expected = streamed(cuts, batch_size=batch_size), streamed()
    for name in ("fid", "is"):
        assert result[name].value == pytest.approx(expected[name].value, rel=1e-5)
        assert result[name].n_fake == 21


def test_real_and_fake_may_come_in_turn() -> None:
    """Only the order within each set matters, and for FID not even that."""
    evaluator = Evaluator(extractor="digits")
    for index in reversed(range(24)):
        evaluator.update(REALS[index : index + 1], real=True)
        evaluator.update(FAKES[index : index + 1], real=False)
    assert evaluator.compute()["fid"].value == pytest.approx(streamed()["fid"].value, rel=1e-5)


def test_more_images_may_follow_a_result() -> None:
    """Computing does not reset the state."""
    evaluator = Evaluator(extractor="digits")
    evaluator.update(REALS, real=True)
    evaluator.update(FAKES[:10], real=False)
    first = evaluator.compute()["fid"]
    evaluator.update(FAKES[10:], real=False)
    assert (first.n_fake, evaluator.compute()["fid"].n_fake) == (10, 21)
    assert evaluator.compute()["fid"].value == pytest.approx(streamed()["fid"].value, rel=1e-5)


def test_reset_forgets_the_fakes_and_if_asked_the_reals() -> None:
    """By default reals are kept, as they seldom change during training."""
    evaluator = Evaluator(extractor="digits")
    evaluator.update(REALS, real=True)
    evaluator.update(random_images(9, seed=9)[:, :1], real=False)
    evaluator.reset(real=False)
    with pytest.raises(MetricError, match=r"No fake images were taken in; call update\(images, real=False\) first"):
        evaluator.compute()
    evaluator.update(FAKES, real=False)
    result = evaluator.compute()
    assert result["fid"].value == pytest.approx(streamed()["fid"].value, rel=1e-5)
    assert result.provenance["fake"]["conversions"] == {}
    evaluator.reset()
    evaluator.update(FAKES, real=False)
    with pytest.raises(MetricError, match="No real images were taken in"):
        evaluator.compute()


def test_a_score_of_fakes_needs_and_takes_no_reals() -> None:
    """The inception score uses only the fakes."""
    evaluator = Evaluator(metrics=["is"], extractor="digits")
    with pytest.raises(UsageError, match="None of the metrics is looks at real images"):
        evaluator.update(REALS, real=True)
    evaluator.update(FAKES, real=False)
    result = evaluator.compute()
    assert result["is"].value == pytest.approx(streamed()["is"].value, rel=1e-5)
    assert result.provenance["real"] is None


@pytest.mark.parametrize("value_range", ["[0,1]", "[-1,1]", "0..1", "-1..1"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_range_gives_what_bytes_give(value_range: Any, dtype: torch.dtype) -> None:
    """Floats are rounded to nearest, so bytes are preserved."""
    evaluator = Evaluator(extractor="digits", value_range=value_range)
    for images, real in ((REALS, True), (FAKES, False)):
        unit = images.to(dtype) / 255
        evaluator.update(unit if "-" not in value_range else unit * 2 - 1, real=real)
    result = evaluator.compute()
    assert result["fid"].value == streamed()["fid"].value
    assert result.provenance["real"]["range"] in ("[0,1]", "[-1,1]")


def test_greyscale_is_repeated_and_counted() -> None:
    """One channel becomes three equal ones, and the provenance says so."""
    grey, repeated = (Evaluator(extractor="pixels:4") for _ in range(2))
    for real, images in ((True, REALS[:, :1]), (False, FAKES[:, :1])):
        grey.update(images, real=real)
        repeated.update(images.expand(-1, 3, -1, -1), real=real)
    assert grey.compute()["fid"] == repeated.compute()["fid"]
    assert grey.compute().provenance["real"]["conversions"] == {"greyscale": 24}


@pytest.mark.parametrize(
    ("images", "value_range", "error", "message"),
    [
        (REALS.float(), "[0,1]", GeneratorError, r"real images: declared \[0,1\] but values go from"),
        (torch.full((2, 3, 4, 4), float("nan")), "[0,1]", GeneratorError, "2 of 2 images contain NaN"),
        (REALS / 255, "uint8", GeneratorError, "declared uint8 but returned float32"),
        (REALS, "[0,1]", GeneratorError, "returned uint8; expected floats"),
        (REALS[0], "uint8", SourceError, r"found \[3, 8, 8\]"),
        (torch.full((3,), float("nan")), "[0,1]", SourceError, r"found \[3\]"),
        (REALS[:, :2], "uint8", SourceError, r"found \[24, 2, 8, 8\]"),
        (REALS.numpy(), "uint8", UsageError, "expected a tensor .*, found ndarray"),
    ],
)
def test_images_that_are_none_are_refused(images: Any, value_range: Any, error: type[Exception], message: str) -> None:
    """The error has the set, what was found and what is expected, and no image is added."""
    evaluator = Evaluator(extractor="digits", value_range=value_range)
    with pytest.raises(error, match=message):
        evaluator.update(images, real=True)
    with pytest.raises(MetricError, match="No real images"):
        evaluator.compute()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"value_range": "[0,2]"}, r"'\[0,2\]' is not a range of pixel values"),
        ({"metrics": ["fud"]}, "did you mean 'fid'?"),
        ({"metrics": ["is"], "extractor": "pixels:4"}, "'is' needs logits"),
        ({"extracter": "digits"}, "did you mean 'extractor'?"),
        ({"num_samples": 5}, "An Evaluator reads no source, so it has no 'num_samples'"),
        ({"cache": True}, "so it has no 'cache'"),
    ],
)
def test_a_wrong_choice_is_refused_at_once(chosen: dict[str, Any], message: str) -> None:
    """A setting without a meaning here is refused, too."""
    with pytest.raises(UsageError, match=message):
        Evaluator(**chosen)


def test_one_image_is_refused_when_the_metric_is_computed() -> None:
    """The error is that of `evaluate`."""
    evaluator = Evaluator(extractor="digits")
    evaluator.update(REALS, real=True)
    evaluator.update(FAKES[:1], real=False)
    with pytest.raises(MetricError, match="at least 2 fake images"):
        evaluator.compute()


class Generator(nn.Module):
    """A small generator in training."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3 * 8 * 8)
        self.normalise = nn.BatchNorm1d(3 * 8 * 8)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.normalise(self.linear(z)).tanh().view(-1, 3, 8, 8)
        return images


def test_a_training_step_is_not_disturbed() -> None:
    """Weights, modes, gradients, random state and the graph of the images are unchanged."""

    def step(evaluator: Evaluator | None) -> tuple[list[Tensor], Tensor]:
        torch.manual_seed(0)
        model = Generator()
        images = model(torch.randn(6, 4))
        if evaluator is not None:
            evaluator.update(images, real=False)
            evaluator.compute()
        loss = images.square().mean() + torch.rand(())
        loss.backward()
        assert model.training
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None], loss.detach()

    evaluator = Evaluator(extractor="digits", value_range="[-1,1]")
    evaluator.update(REALS / 127.5 - 1, real=True)
    states = np.random.get_state()[1], random.getstate()  # type: ignore[index]
    watched, alone = step(evaluator), step(None)
    assert torch.equal(watched[1], alone[1])
    assert all(torch.equal(a, b) for a, b in zip(watched[0], alone[0], strict=True))
    assert (np.random.get_state()[1] == states[0]).all()  # type: ignore[index]
    assert random.getstate() == states[1]


def test_autocasting_around_it_changes_nothing() -> None:
    """The caller's autocast does not change the result."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = streamed()
    assert inside["fid"].value == pytest.approx(streamed()["fid"].value, rel=1e-6)


def test_sizes_may_differ_between_calls() -> None:
    """Images may have other sizes in each call, as in a folder of mixed sizes."""
    evaluator = Evaluator(extractor="digits")
    sets = [random_images(8, 5 + index, 9, seed=index) for index in range(3)]
    for images in sets:
        evaluator.update(images, real=True)
        evaluator.update(images.flip(0), real=False)
    assert evaluator.compute()["fid"].value == pytest.approx(0, abs=1e-6)


def test_images_do_not_wait() -> None:
    """Only a row of features per image is kept."""
    images = random_images(5)
    gone = weakref.ref(images)
    evaluator = Evaluator(extractor="digits")
    evaluator.update(images, real=False)
    del images
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_can_be_streamed(name: str) -> None:
    """Every metric of the table gives the same from a stream as from files in as large batches, or the same refusal."""
    if "images" in (METRICS[name].real, METRICS[name].fake):
        pytest.skip("the embedded extractor gives no pixels")

    def outcome(measure: Callable[[], Evaluation]) -> object:
        try:
            return measure()[name].value
        except MetricError as error:
            return str(error)

    sets = Labelled(REALS, LABELS[True]), Labelled(FAKES, LABELS[False])
    asked: dict[str, Any] = {"metrics": [name], "options": {name: SHORT_TRAINING.get(name, {})}}
    whole = outcome(lambda: evaluate(*sets, **asked, extractor="digits", batch_size=UPDATE_BATCH, cache=False))
    expected = whole if isinstance(whole, str) else pytest.approx(whole, rel=1e-9, abs=1e-12)
    assert outcome(lambda: streamed(**asked)) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none")
def test_images_may_be_on_a_gpu() -> None:
    """They are moved to the extractor's device."""
    expected = streamed()["fid"].value
    for device in ("cpu", "cuda"):
        evaluator = Evaluator(extractor="digits", device=device)
        evaluator.update(REALS.cuda(), real=True)
        evaluator.update(FAKES.cuda(), real=False)
        assert evaluator.compute()["fid"].value == pytest.approx(expected, rel=1e-4)


CHOSEN_OPTIONS = {"fid": {"ddof": 0}, "is": {"splits": 2}}


def _taken_in() -> Evaluator:
    """An Evaluator with some images, labels, options and a path among its settings."""
    evaluator = Evaluator(metrics=["fid", "is", "intra_fid"], options=CHOSEN_OPTIONS, extractor="digits")
    evaluator.update(REALS, real=True, labels=LABELS[True])
    evaluator.update(FAKES[:15, :1], real=False, labels=LABELS[False][:15])
    return evaluator


def _torch_saved(evaluator: Evaluator) -> Evaluator:
    file = io.BytesIO()
    torch.save(evaluator, file)
    file.seek(0)
    loaded: Evaluator = torch.load(file, weights_only=False)
    return loaded


def _by_state(evaluator: Evaluator) -> Evaluator:
    file = io.BytesIO()
    torch.save({"evaluator": evaluator.state_dict()}, file)
    file.seek(0)
    fresh = Evaluator(metrics=["fid", "is", "intra_fid"], options=CHOSEN_OPTIONS, extractor="digits")
    fresh.update(FAKES[:3], real=False, labels=LABELS[False][:3])
    fresh.load_state_dict(torch.load(file)["evaluator"])
    return fresh


@pytest.mark.parametrize(
    "copied",
    [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, copy.copy, _torch_saved, _by_state],
    ids=["pickle", "deepcopy", "copy", "torch.save", "state_dict"],
)
def test_an_evaluator_goes_on_where_it_was_saved(copied: Callable[[Evaluator], Evaluator]) -> None:
    """A copy continues to the same result as the original, and neither affects the other."""
    original = _taken_in()
    other = copied(original)
    before = original.compute()
    for evaluator in (other, original):
        evaluator.update(FAKES[15:, :1], real=False, labels=LABELS[False][15:])
        evaluator.update(FAKES[:2, :1], real=False, labels=LABELS[False][:2])
        if evaluator is other:
            assert original.compute().metrics == before.metrics
    one, two = original.compute(), other.compute()
    assert one.metrics == two.metrics
    assert one.warnings == two.warnings
    assert any("repeats itself: 2 of its 23" in warning for warning in one.warnings)
    assert one.provenance["fake"] == two.provenance["fake"]


def test_a_state_belongs_to_its_extractor_and_metrics() -> None:
    """A state of another extractor, or without the logits that are needed, is refused."""
    state = _taken_in().state_dict()
    with pytest.raises(UsageError, match=r"of the extractor digits \(weights 3dc2f7d462cf\), and this .* pixels:8"):
        Evaluator(metrics=["fid"], extractor="pixels:8").load_state_dict(state)
    lesser = Evaluator(metrics=["fid"], extractor="digits")
    lesser.update(FAKES, real=False)
    with pytest.raises(UsageError, match="has no logits of fake images"):
        Evaluator(metrics=["is"], extractor="digits").load_state_dict(lesser.state_dict())


@pytest.mark.parametrize("state", [None, [1], "last.pt"])
def test_a_state_of_another_type_is_refused(state: Any) -> None:
    """With its type, and what it should be."""
    with pytest.raises(UsageError, match=rf"what state_dict\(\) of an Evaluator gives, found {type(state).__name__}\."):
        Evaluator(metrics=["fid"], extractor="digits").load_state_dict(state)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extractor", None),
        ("kept", 3),
        ("kept", {"real": [{"features": torch.zeros(3, 64)}], "fake": []}),
        ("pixels", {"real": [], "fake": []}),
        ("labels", {"real": [torch.zeros(3)], "fake": [torch.zeros(3)]}),
        ("reports", {"real": {}, "fake": {}}),
    ],
)
def test_a_damaged_state_is_refused(key: str, value: object) -> None:
    """Numbers of images that differ as well, which would make another number; the Evaluator stays as it is."""
    evaluator = _taken_in()
    before = evaluator.compute()
    with pytest.raises(UsageError, match="This state is damaged"):
        evaluator.load_state_dict({**evaluator.state_dict(), key: value})
    assert evaluator.compute().metrics == before.metrics


@pytest.mark.gpu
def test_a_state_that_was_loaded_onto_a_gpu_is_used_on_the_cpu(tmp_path: Path) -> None:
    """As `torch.load(file, map_location="cuda")` of a checkpoint does."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none")
    original, again = _taken_in(), _taken_in()
    torch.save(original.state_dict(), tmp_path / "state.pt")
    again.load_state_dict(torch.load(tmp_path / "state.pt", map_location="cuda"))
    for evaluator in (original, again):
        evaluator.update(FAKES[:2, :1], real=False, labels=LABELS[False][:2])
    assert again.compute().metrics == original.compute().metrics


@pytest.mark.parametrize("real", [None, "yes", 2, torch.tensor(True)])
def test_what_does_not_say_which_images_are_meant_is_refused(real: Any) -> None:
    """With what was found."""
    evaluator = Evaluator(metrics=["fid"], extractor="pixels:8")
    for call in (partial(evaluator.update, FAKES), evaluator.reset):
        with pytest.raises(UsageError, match="real must be True or False, found"):
            call(real=real)


def test_images_of_an_update_that_fails_are_not_taken_in() -> None:
    """So that they can be given again, as after an error of memory."""
    failing = [False]

    def features(images: Tensor) -> Tensor:
        if failing[0] and len(images) < 8:
            raise RuntimeError("out of memory")
        return images.float().mean((2, 3))

    evaluator = Evaluator(metrics=["fid", "intra_fid"], extractor=features, batch_size=8)
    evaluator.update(REALS, real=True, labels=LABELS[True])
    evaluator.update(FAKES, real=False, labels=LABELS[False])
    before = evaluator.compute()
    failing[0] = True
    with pytest.raises(ExtractorError, match="out of memory"):
        evaluator.update(FAKES[:, :1], real=False, labels=LABELS[False])
    after = evaluator.compute()
    assert (after.metrics, after.warnings) == (before.metrics, before.warnings)


@pytest.mark.parametrize("state", [{}, {"extractor": ["digits", ""], "kept": {}}])
def test_what_is_no_state_is_refused(state: dict[str, object]) -> None:
    """Another dictionary, such as a whole checkpoint, is refused without changing the Evaluator."""
    with pytest.raises(UsageError, match=r"not a state_dict\(\) of an Evaluator: it lacks .*labels, pixels"):
        _taken_in().load_state_dict(state)
