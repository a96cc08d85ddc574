"""Samples are written completely or not at all, and sample i of a seed is the same image everywhere."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import ganeval
from ganeval.errors import GanevalError, ResultError, UsageError
from ganeval.grids import grid
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.generator import GeneratorSource
from reference_models import VARIANTS, build_model
from reference_models.base import GAN
from reference_models.batches import Data
from reference_models.sampling.interpolation import (
    arithmetic,
    interpolate,
    latents,
    linear,
    parse_arithmetic,
    render,
    spherical,
)
from reference_models.sampling.sampler import Sampler
from reference_models.sampling.samples import write_samples


def live_of(variant: str, *, classes: int | None = None) -> Sampler:
    """A model of a variant with large random weights, for greyscale images of strong contrast."""
    recipe = VARIANTS[variant].recipe("quick")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = build_model(recipe, Data(1, recipe.resolution, classes))
        for weight in model.parameters():
            # New weights make images that are grey all over, and alike.
            weight.mul_(20 if weight.ndim > 1 else 1)
        return Sampler(model)


@pytest.fixture(scope="module")
def plain() -> Sampler:
    """A model without classes, of uniform latents."""
    return live_of("dcgan")


@pytest.fixture(scope="module")
def conditional() -> Sampler:
    """A model of ten classes."""
    return live_of("cgan", classes=10)


def source_of(sampler: Sampler, count: int, **options: Any) -> GeneratorSource:
    """So many images of a live model."""
    return GeneratorSource(sampler, name="run", num_samples=count, seed=4, **options)


def read(spec: object) -> tuple[Tensor, list[int]]:
    """All images and labels of a source."""
    batches = list(ganeval.open_source(spec).batches(Reading(), ReadReport()))
    labels = [label for batch in batches for label in batch.labels or ()]
    return torch.cat([group.images for batch in batches for group in batch.groups]), labels


def test_a_folder_an_npz_and_a_grid_hold_the_same_samples(plain: Sampler, tmp_path: Path) -> None:
    """Every format holds the images that a metric would use, in their order."""
    source = source_of(plain, 37)
    wanted, _ = read(source)
    for name in ("folder", "samples.npz", "grid.png"):
        write_samples(source, tmp_path / name, columns=5)
    for name in ("folder", "samples.npz"):
        assert torch.equal(read(tmp_path / name)[0], wanted)
    with Image.open(tmp_path / "grid.png") as found:
        assert (np.array(found) == np.array(grid(wanted, columns=5))).all()
    with Image.open(tmp_path / "folder" / "00.png") as first:
        assert first.mode == "L"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "grid.png", "samples.npz"]


def test_classes_are_kept_with_the_samples(conditional: Sampler, tmp_path: Path) -> None:
    """A folder has one subfolder per class and an .npz an array of labels, and both are read back as requested."""
    source = source_of(conditional, 12, classes=[3, 1, 4])
    assert source.labels == [3, 1, 4] * 4
    wanted, _ = read(source)
    write_samples(source, tmp_path / "samples.npz")
    images, labels = read(tmp_path / "samples.npz")
    assert torch.equal(images, wanted)
    assert labels == [1, 0, 2] * 4
    assert ganeval.open_source(tmp_path / "samples.npz").class_names == ("1", "3", "4")  # type: ignore[attr-defined]
    write_samples(source, tmp_path / "folder")
    assert {path.name: len(list(path.iterdir())) for path in (tmp_path / "folder").iterdir()} == {
        "1": 4,
        "3": 4,
        "4": 4,
    }


def test_a_class_makes_a_difference(conditional: Sampler) -> None:
    """The same latents give other images for another class."""
    threes, fours = (read(source_of(conditional, 4, classes=[label]))[0] for label in (3, 4))
    assert not torch.equal(threes, fours)


def test_classes_that_are_not_there_are_refused(plain: Sampler, conditional: Sampler) -> None:
    """A model without classes refuses labels, and one with ten accepts 0 to 9."""
    with pytest.raises(UsageError, match="has no classes"):
        source_of(plain, 4, classes=[0])
    with pytest.raises(UsageError, match="classes 0 to 9, found 10"):
        source_of(conditional, 4, classes=[3, 10])
    with pytest.raises(UsageError, match="found none"):
        source_of(conditional, 4, classes=[])


def test_places_where_no_samples_can_go_are_refused(plain: Sampler, tmp_path: Path) -> None:
    """A non-empty folder, a folder named like a file, and a missing folder are refused."""
    source = source_of(plain, 2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old.png").touch()
    (tmp_path / "folder.npz").mkdir()
    for name, reason in (
        ("full", "not an empty folder"),
        ("folder.npz", "is a folder"),
        ("samples.jpg", "kind of file that samples cannot be written to"),
        ("samples.txt", "kind of file that samples cannot be written to"),
        ("missing/samples.npz", "does not exist"),
    ):
        with pytest.raises(UsageError, match=reason):
            write_samples(source, tmp_path / name)
    (tmp_path / "empty").mkdir()
    write_samples(source, tmp_path / "empty")
    assert len(list((tmp_path / "empty").iterdir())) == 2


@pytest.mark.parametrize("name", ["folder", "samples.npz"])
def test_samples_that_cannot_be_finished_leave_nothing(
    plain: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """If the disk becomes full, neither partial samples nor a temporary file are left."""

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ResultError, match="No space left"):
        write_samples(source_of(plain, 3), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_latents_are_those_of_the_samples(plain: Sampler) -> None:
    """Sample i is the image of latent i, also beyond one batch."""
    z = latents(plain, range(40), seed=4)
    assert torch.equal(latents(plain, [39, 3, 3], seed=4), z[[39, 3, 3]])
    drawn, _ = read(source_of(plain, 40))
    assert not _near(drawn[0], drawn[1])
    assert torch.equal(render(plain, z[:32], None), drawn[:32])
    assert int((render(plain, z[32:], None).int() - drawn[32:].int()).abs().max()) <= 1


def test_walks_begin_and_end_at_samples(plain: Sampler) -> None:
    """Row r goes from sample 2r to sample 2r + 1, and its images change along the way."""
    images = interpolate(plain, rows=2, columns=5, seed=4).view(2, 5, 3, 32, 32)
    drawn, _ = read(source_of(plain, 4))
    for row in range(2):
        for end, sample in ((0, 2 * row), (4, 2 * row + 1)):
            assert int((images[row, end].int() - drawn[sample].int()).abs().max()) <= 1
        assert not torch.equal(images[row, 0], images[row, 2])


vectors = st.lists(st.floats(-3, 3), min_size=4, max_size=4).map(lambda v: torch.tensor(v, dtype=torch.float64))


@given(vectors, vectors)
@settings(max_examples=40)
def test_a_spherical_walk_has_its_ends_and_an_even_angle(start: Tensor, end: Tensor) -> None:
    """It has the given ends, and between unit vectors it stays on the sphere, in equal angles."""
    ways = torch.linspace(0, 1, 5, dtype=torch.float64)
    walk = spherical(start, end, ways)
    if float(start.norm()) < 1e-2 or float(end.norm()) < 1e-2:
        return
    assert torch.allclose(walk[0], start, atol=1e-9)
    assert torch.allclose(walk[-1], end, atol=1e-9)
    one, other = start / start.norm(), end / end.norm()
    angle = math.acos(max(-1.0, min(1.0, float(one @ other))))
    if 0.01 < angle < math.pi - 0.01:
        arc = spherical(one, other, ways)
        assert torch.allclose(arc.norm(dim=1), torch.ones(5, dtype=torch.float64))
        steps = torch.arccos((arc[1:] * arc[:-1]).sum(1).clamp(-1, 1))
        assert torch.allclose(steps, torch.full((4,), angle / 4, dtype=torch.float64), atol=1e-6)


def test_opposite_and_equal_vectors_are_walked_along_the_line() -> None:
    """Where no arc is defined, the interpolation is straight and finite."""
    ways, start = torch.linspace(0, 1, 3), torch.tensor([1.0, 0.0])
    assert torch.equal(spherical(start, -start, ways), linear(start, -start, ways))
    assert torch.equal(spherical(start, start, ways), start.expand(3, 2))


def test_an_arithmetic_is_parsed_into_terms() -> None:
    """Signs and numbers are read, the first sign may be left out, and anything else is refused."""
    found = parse_arithmetic("0,3 - 1,2 + 4")
    assert [(term.sign, term.samples) for term in found] == [(1, (0, 3)), (-1, (1, 2)), (1, (4,))]
    assert [term.sign for term in parse_arithmetic("-7+1")] == [-1, 1]
    for wrong in ("", "1-", "a-b", "1,,2", "1*2", "0x3"):
        with pytest.raises(UsageError, match="is not latent arithmetic"):
            parse_arithmetic(wrong)


def test_a_sample_out_of_reach_is_refused_before_latents_are_drawn(plain: Sampler) -> None:
    """A mistyped large index is refused without allocating memory."""
    with pytest.raises(UsageError, match="no sample 9999999999 to name; samples are numbered from 0 to 999999"):
        arithmetic(plain, parse_arithmetic("0-9999999999"), seed=4)


def test_an_arithmetic_is_that_of_mean_latents(plain: Sampler) -> None:
    """Each row shows its samples and their mean, and the last row the image of the sum."""
    images, captions, columns = arithmetic(plain, parse_arithmetic("0,1-2+3"), seed=4)
    assert columns == 3
    assert captions == ("0", "1", "+mean", "2", "", "-mean", "3", "", "+mean", "result", "near", "near")
    assert len(images) == len(captions)
    z = latents(plain, range(4), seed=4)
    result = z[:2].mean(0) - z[2] + z[3]
    assert _near(images[9], render(plain, result[None], None)[0])
    assert _near(images[2], render(plain, z[:2].mean(0)[None], None)[0])
    assert _near(images[3], images[5])
    assert not _near(images[9], images[10])
    assert bool((images[4] == 255).all())


def _near(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding, which depends on the batch size."""
    return int((one.int() - other.int()).abs().max()) <= 1


def test_walks_of_a_conditional_model_need_a_class(plain: Sampler, conditional: Sampler) -> None:
    """A class must be given exactly if the model has classes."""
    seven = interpolate(conditional, rows=1, columns=3, seed=0, label=7)
    assert len(seven) == 3
    assert torch.equal(interpolate(conditional, rows=1, columns=3, seed=0, label="7"), seven)
    with pytest.raises(UsageError, match="'x' is not one of this model's classes"):
        interpolate(conditional, rows=1, columns=3, seed=0, label="x")
    with pytest.raises(UsageError, match="the classes 0, 1, 2"):
        interpolate(conditional, rows=1, columns=3, seed=0)
    with pytest.raises(UsageError, match="the classes 0, 1, 2"):
        interpolate(conditional, rows=1, columns=3, seed=0, label=10)
    with pytest.raises(UsageError, match="no classes"):
        interpolate(plain, rows=1, columns=3, seed=0, label=7)
    with pytest.raises(UsageError, match="1 row and 2 columns"):
        interpolate(plain, rows=1, columns=1, seed=0)


def test_a_broken_model_is_named(plain: Sampler) -> None:
    """Images that are not finite are refused with the model's name."""

    class Broken(GAN):
        """A model that makes NaN."""

        def players(self) -> tuple[()]:
            """None."""
            return ()

        def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            """NaN."""
            return torch.full((len(z), 1, 4, 4), math.nan)

    broken = Broken(Data(1, 4), plain.model.recipe)
    broken.register_parameter("weight", torch.nn.Parameter(torch.zeros(1)))
    with pytest.raises(GanevalError, match="dcgan: 1 of 1 images contain NaN"):
        render(Sampler(broken), torch.zeros(1, 100), None)
