"""Classes keep their names from the data through training, checkpoints and samples to the scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganeval
from ganeval.errors import CheckpointError, GeneratorError, UsageError
from ganeval.evaluation import evaluate
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.generator import GeneratorSource
from reference_models import build_model, find_variant
from reference_models.batches import Data
from reference_models.data.classes import find_class, listed
from reference_models.data.images import images_of, load_images
from reference_models.engine import checkpoint
from reference_models.engine.loop import Intervals, Loop
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_held_out
from reference_models.engine.resume import resume
from reference_models.engine.run import start
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler
from reference_models.sampling.samples import write_samples

RARELY = Intervals(sample_every=0, save_every=0)


def folders(root: Path, names: Sequence[str], *, each: int = 4) -> Path:
    """A folder of class folders, 8 x 8; the class at place k is noise around a grey of its own."""
    rng = np.random.RandomState(len(root.name))
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for index in range(each):
            pixels = rng.randint(0, 12, (8, 8)) + 20 * place
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{index}.png")
    return root


def run_on(data: Path, output: Path, **more: Any) -> Loop:
    """A conditional model after one step."""
    plan = make_plan("cgan", data=str(data), chosen={"steps": 1, "batch": 4}, **more)
    loop = start(plan, output, intervals=RARELY)
    loop.run()
    return loop


def obvious(loop: Loop) -> Sampler:
    """The run's model, changed to draw the grey of the requested class."""
    model = loop.training.model

    def generate(z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        assert labels is not None
        noise = torch.rand(len(z), 1, 8, 8, generator=torch.Generator().manual_seed(len(z))) * 11
        return (noise + 20 * labels[:, None, None, None]) / 255

    model.generate = generate  # type: ignore[method-assign]
    return Sampler(model)


def labels_of(spec: object) -> tuple[list[int], tuple[str, ...] | None]:
    """The labels of a source, and the names of its classes."""
    source = open_source(spec)
    return list(source.labels or ()), getattr(source, "class_names", None)


@pytest.mark.parametrize(
    ("word", "names", "place"),
    [
        ("1", ["1", "2", "3"], 0),
        ("0", ["1", "2", "3"], None),
        ("3", ["0", "1", "3", "10"], 2),
        ("01", ["0", "1"], 1),
        ("1", ["01", "02"], 0),
        ("cross", ["circle", "cross"], 1),
        ("1", ["circle", "cross"], 1),
        ("2", ["circle", "cross"], None),
        ("1", ["1", "cross"], 0),
        ("cros", ["circle", "cross"], None),
        ("-1", ["circle", "cross"], None),
        ("²", ["circle", "cross", "dot"], None),
        ("9" * 5000, ["circle", "cross"], None),
    ],
)
def test_a_class_goes_by_its_name_then_by_its_number(word: str, names: list[str], place: int | None) -> None:
    """A number is an index only if no class is named by a number."""
    assert find_class(word, names) == place


def test_long_lists_of_classes_are_cut() -> None:
    """The message says how many classes there are."""
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(1000)], 3) == "0, 1, 2, ... (1000 in all)"


@pytest.mark.parametrize(
    ("values", "names"),
    [((1, 2, 3, 4, 5), "12345"), ((99_999, 0), ("0", "99999")), ((0, 1, 3, 10), ("0", "1", "3", "10"))],
)
def test_labels_of_an_npz_are_as_many_classes_as_there_are(
    tmp_path: Path, values: Sequence[int], names: Sequence[str]
) -> None:
    """Only classes with images are trained, a large number costs no memory, and each value is the class's name."""
    pixels = np.zeros((len(values) * 4, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "a.npz", arr_0=pixels, arr_1=np.repeat(values, 4))
    images = load_images(tmp_path / "a.npz", resolution=8)
    assert (images.data.classes, images.data.class_names) == (len(values), tuple(names))
    model = Training(make_plan("cgan", chosen={"batch": 4}), images).model
    assert sum(weight.numel() for weight in model.parameters()) < 5e6
    assert Sampler(model).num_classes == len(values)


def test_a_subset_without_a_class_trains_none_of_it(tmp_path: Path) -> None:
    """Classes that --train-images leaves out are not drawn, and names stay with their images."""
    data = folders(tmp_path / "data", ["a", "b", "c"], each=1)
    images = load_images(data, resolution=8, num_samples=2, seed=0)
    (missing,) = {"a", "b", "c"} - set(images.class_names or ())
    assert images.data.classes == 2
    assert images.labels is not None
    for pixels, label in zip(images.pixels, images.labels.tolist(), strict=True):
        assert images.class_names is not None
        assert int(pixels.min()) // 20 == "abc".index(images.class_names[label]), missing


def test_compact_labels_keep_the_digest_of_a_run_that_goes_on() -> None:
    """Labels without gaps are unchanged, so runs of earlier versions accept their data."""
    pixels, labels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([1, 0, 2, 1])
    assert images_of(pixels, labels).digest == images_of(pixels, labels, class_names=("a", "b", "c")).digest
    assert images_of(pixels, labels).digest == images_of(pixels, labels + torch.tensor([1, 0, 7, 1])).digest


def test_labels_that_are_no_classes_are_said_by_name(tmp_path: Path) -> None:
    """A label of -1 names its image, and stops only a model that needs labels."""

    def batches() -> Any:
        yield torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, -1, 1])

    images = load_images(list(batches()), resolution=8)
    assert images.labels is None
    assert images.unlabelled is not None
    assert "[2] is -1" in images.unlabelled
    with pytest.raises(UsageError, match=r"cgan learns from labels, but .* not classes: .*\[2\] is -1"):
        Training(make_plan("cgan", chosen={"batch": 4}), images)
    assert Training(make_plan("gan", chosen={"batch": 4, "resolution": 8}), images).model.data.classes is None


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Loop]:
    """A data set of named classes, and a run on it."""
    root = tmp_path_factory.mktemp("shapes")
    data = folders(root / "data", ["circle", "cross", "dot"])
    return data, run_on(data, root / "run")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Loop]:
    """Classes 1 to 5, and a run on them."""
    root = tmp_path_factory.mktemp("numbers")
    data = folders(root / "data", list("12345"), each=8)
    return data, run_on(data, root / "run")


def test_names_are_in_the_run_and_in_its_checkpoints(shapes: tuple[Path, Loop]) -> None:
    """config.json, the checkpoint and samples have the names."""
    loop = shapes[1]
    assert loop.folder.read_config()["class_names"] == ["circle", "cross", "dot"]
    path = loop.folder.checkpoint_path("last")
    assert checkpoint.load_model(path).data.class_names == ("circle", "cross", "dot")
    source = open_source(f"ckpt:{loop.folder.root}")
    assert isinstance(source, GeneratorSource)
    assert source.class_names == ("circle", "cross", "dot")


def test_a_checkpoint_without_names_still_loads(shapes: tuple[Path, Loop], tmp_path: Path) -> None:
    """A checkpoint of an earlier version is sampled by number; names that do not match are damage."""
    document = dict(checkpoint.load(shapes[1].folder.checkpoint_path("last")))
    data = {name: value for name, value in document["data"].items() if name != "class_names"}
    torch.save({**document, "data": data}, tmp_path / "old.pt")
    sampler = Sampler(checkpoint.load_model(tmp_path / "old.pt"))
    assert (sampler.class_names, sampler.num_classes, sampler.find_classes(["2"])) == (None, 3, [2])
    write_samples(GeneratorSource(sampler, name="old", num_samples=3, seed=0), tmp_path / "samples")
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["0", "1", "2"]
    for names in (["a", "b"], ["a", "b", 3], 7):
        torch.save({**document, "data": {**data, "class_names": names}}, tmp_path / "bad.pt")
        with pytest.raises(CheckpointError, match="does not fit"):
            checkpoint.load_model(tmp_path / "bad.pt")


def test_classes_are_asked_for_by_name(shapes: tuple[Path, Loop], numbers: tuple[Path, Loop]) -> None:
    """Unknown names are refused with the known ones; class 1 of folders 1 to 5 is the folder 1."""
    assert Sampler(shapes[1].training.model).find_classes(["cross", "circle", "cross"]) == [1, 0, 1]
    assert Sampler(numbers[1].training.model).find_classes(["1", "5"]) == [0, 4]
    with pytest.raises(UsageError, match="'0' is not one of this model's classes: 1, 2, 3, 4, 5"):
        Sampler(numbers[1].training.model).find_classes(["0"])
    plain = Sampler(build_model(find_variant("gan").recipe("quick"), Data(1, 8, 2, ("a", "b"))))
    assert plain.class_names is None
    with pytest.raises(UsageError, match="has no classes"):
        plain.find_classes(["a"])


@pytest.mark.parametrize("form", ["folder", "samples.npz", "live"])
@pytest.mark.parametrize("named", [True, False])
def test_samples_are_scored_as_the_classes_they_were_asked_for(
    shapes: tuple[Path, Loop], numbers: tuple[Path, Loop], tmp_path: Path, form: str, named: bool
) -> None:
    """A folder, an .npz and the live model match the data by names and by numbers, also for some of the classes."""
    data, loop = shapes if named else numbers
    source = GeneratorSource(obvious(loop), name="run", num_samples=60, seed=0)
    if form != "live":
        write_samples(source, tmp_path / form)
    fakes: Any = source if form == "live" else tmp_path / form
    metrics = ("conditional_accuracy", "intra_fid")
    found = evaluate(data, fakes, metrics=metrics, extractor="pixels:4", cache=False)
    assert found["conditional_accuracy"].value == 1
    names = ["circle", "cross", "dot"] if named else list("12345")
    assert list(found["intra_fid"].details) == [f"class {name}" for name in names]
    assert found.warnings == ()


def test_samples_of_some_classes_keep_their_names(shapes: tuple[Path, Loop], tmp_path: Path) -> None:
    """Names are kept in a folder and in an .npz, where numbers begin at 0."""
    source = GeneratorSource(obvious(shapes[1]), name="run", num_samples=4, seed=0, classes=[2, 1])
    write_samples(source, tmp_path / "folder")
    write_samples(source, tmp_path / "samples.npz")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["cross", "dot"]
    assert labels_of(tmp_path / "samples.npz") == ([1, 0, 1, 0], ("cross", "dot"))


@pytest.mark.parametrize("name", ["../out", "a/b", "..", ".hidden", "", "a\\b", "a\0b"])
def test_a_name_that_leads_elsewhere_makes_no_folder(tmp_path: Path, name: str) -> None:
    """Names from a checkpoint that are unsafe as paths are written to an .npz instead."""
    model = build_model(find_variant("cgan").recipe("quick"), Data(1, 8, 2, ("fine", name)))
    source = GeneratorSource(Sampler(model), name="run", num_samples=4, seed=0)
    with pytest.raises(UsageError, match=r"cannot be the name of one; write an \.npz"):
        write_samples(source, tmp_path / "samples")
    assert list(tmp_path.iterdir()) == []


def test_classes_of_one_name_make_no_folder(tmp_path: Path) -> None:
    """Classes of equal names would be mixed in folders, which is refused."""
    model = build_model(find_variant("cgan").recipe("quick"), Data(1, 8, 2, ("a", "a")))
    with pytest.raises(UsageError, match="two classes have the same name"):
        write_samples(GeneratorSource(Sampler(model), name="run", num_samples=4, seed=0), tmp_path / "samples")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["circle", "zross", "dot"], "have others: zross. Give held-out images in a folder for each"),
        (["0", "1", "3"], "have others: 3."),
        ([""], "cgan learns the classes circle, cross, dot, and the held-out images of"),
    ],
)
def test_held_out_classes_that_are_not_the_models_are_refused_by_name(
    shapes: tuple[Path, Loop], tmp_path: Path, names: list[str], said: str
) -> None:
    """Held-out classes are not matched by index."""
    unseen = folders(tmp_path / "unseen", names)
    with pytest.raises(UsageError) as refusal:
        read_held_out(str(unseen), shapes[1].training)
    assert said in str(refusal.value)


def test_held_out_classes_are_the_models_whatever_their_order(
    shapes: tuple[Path, Loop], numbers: tuple[Path, Loop], tmp_path: Path
) -> None:
    """A subset of the classes is accepted; plain numbers are used as indices, with a warning."""
    two = read_held_out(str(folders(tmp_path / "two", ["cross", "dot"])), shapes[1].training)
    assert two.labels is not None
    assert two.labels.tolist() == [1] * 4 + [2] * 4
    assert two.caveat is None
    gaps = read_held_out(str(folders(tmp_path / "gaps", ["02", "5"])), numbers[1].training)
    assert gaps.labels is not None
    assert (gaps.labels.tolist(), gaps.caveat) == ([1] * 4 + [4] * 4, None)
    places = read_held_out(str(folders(tmp_path / "places", ["0", "2"])), shapes[1].training)
    assert places.labels is not None
    assert places.labels.tolist() == [0] * 4 + [2] * 4
    assert places.caveat is not None
    assert "by position: 0 for circle, 2 for dot." in places.caveat


def test_classes_that_were_renamed_are_no_longer_those_of_the_run(tmp_path: Path) -> None:
    """A run is not resumed with renamed classes, even if the pixels are equal."""
    data = folders(tmp_path / "data", ["a", "b"])
    run_on(data, tmp_path / "run")
    (data / "b").rename(data / "c")
    with pytest.raises(UsageError, match="classes were named a, b and are now named a, c"):
        resume(tmp_path / "run", steps=2)


def test_a_generator_may_name_its_classes(tmp_path: Path) -> None:
    """`class_names` has one name for each of num_classes, by which classes are matched with the reals'."""

    class Greys:
        num_classes, class_names, num_samples = 2, ("b", "a"), 40

        def sample(self, n: int, *, labels: torch.Tensor | None = None, rng: torch.Generator) -> torch.Tensor:
            assert labels is not None
            return (torch.randint(0, 12, (n, 3, 8, 8), generator=rng) + 20 * (1 - labels)[:, None, None, None]).byte()

    real = folders(tmp_path / "data", ["a", "b"])
    found = ganeval.evaluate(real, Greys(), metrics=("conditional_accuracy",), extractor="pixels:4", cache=False)
    assert found["conditional_accuracy"].value == 1
    (batch,) = open_source(Greys()).batches(Reading(batch_size=40), ReadReport())
    assert len(batch) == 40
    for names in (("a",), "ab", (1, 2), 3):
        wrong = type("Wrong", (Greys,), {"class_names": names})()
        with pytest.raises(GeneratorError, match="class_names must be 2 names"):
            open_source(wrong)
