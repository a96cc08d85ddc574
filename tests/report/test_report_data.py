"""A report's selection follows the features, and its pictures are of the selected images."""

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganeval import evaluate, write_reference
from ganeval.errors import SourceError
from ganeval.metrics import rarity_scores, realism_scores
from ganeval.report.data import GalleryImage, ReportData, media_type
from ganeval.report_data.build import PAIRS, SAMPLES, K, build_report_data, select_report_data
from ganeval.report_data.image_set import LARGEST, ImageSet, thumbnail
from ganeval.results import Evaluation
from ganeval.sources import open_source
from ganeval.sources.chosen import images_at


def images(count: int, seed: int, *, size: int = 6) -> Tensor:
    """uint8 [count, 3, size, size]."""
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def side(name: str, pixels: Tensor, *, logits: Tensor | None = None) -> ImageSet:
    """Images that are their own features."""
    return ImageSet(name, open_source(pixels), pixels.flatten(1).float(), logits=logits)


def pixels_of(found: ReportData, key: str) -> Tensor:
    """A thumbnail, uint8 [3, H, W]."""
    picture = Image.open(io.BytesIO(found.images[key]))
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def test_pairs_are_the_nearest_reals_and_copies_come_first() -> None:
    """A naive search finds the same pairs, and a copied real is first with ratio 0."""
    reals, fakes = images(20, 0), images(10, 1)
    fakes[7] = reals[3]
    found = select_report_data(side("real", reals), side("fake", fakes), created="now")
    assert (found.pairs[0].fake, found.pairs[0].reals[0], found.pairs[0].ratio) == ("fake-7", "real-3", 0.0)
    distances = torch.cdist(fakes.flatten(1).double(), reals.flatten(1).double())
    for pair in found.pairs:
        row = distances[int(pair.fake.split("-")[1])]
        assert [int(key.split("-")[1]) for key in pair.reals] == row.argsort()[: len(pair.reals)].tolist()
        assert pair.distances == pytest.approx(row.sort().values[: len(pair.distances)].tolist())
    assert [pair.ratio for pair in found.pairs] == sorted(pair.ratio for pair in found.pairs)


def test_typical_images_are_near_to_reals() -> None:
    """The mean distance to the nearest reals is ascending for typical images, and descending for the others."""
    reals, fakes = images(20, 0), images(10, 1)
    found = select_report_data(side("real", reals), side("fake", fakes), created="now")
    means = torch.cdist(fakes.flatten(1).double(), reals.flatten(1).double()).sort(1).values[:, :K].mean(1)
    typical, untypical = found.galleries["typical"].fake, found.galleries["untypical"].fake
    assert [one.value for one in typical] == pytest.approx(means.sort().values[: len(typical)].tolist())
    assert [one.value for one in untypical] == pytest.approx(means.sort(descending=True).values[:8].tolist())


def test_modes_are_of_the_set_that_has_them() -> None:
    """Dark fakes and light reals are each the first mode of their set, with the share of the images that are so."""
    reals, fakes = images(40, 0) // 8 + 100, images(40, 1) // 8 + 100
    reals[:10] += 100
    fakes[20:] -= 90
    found = select_report_data(side("real", reals), side("fake", fakes), created="now").modes
    assert [mode.side for mode in found] == ["fake"] * 4 + ["real"] * 4
    dark, light = found[0], found[4]
    assert dark.excess == pytest.approx(0.5, abs=0.05)
    assert light.excess == pytest.approx(0.25, abs=0.1)
    assert all(int(one.picture.split("-")[1]) >= 20 and one.picture.startswith("fake") for one in dark.images)
    assert {one.picture for one in light.images} <= {f"real-{row}" for row in range(40)}
    assert all(len(mode.images) <= 8 for mode in found)


def test_common_modes_are_the_groups_of_each_set() -> None:
    """Of dark and light images each group is a mode, with its share and its images, in the set that they are of."""
    reals, fakes = images(40, 0) // 32 + 200, images(40, 1) // 32 + 200
    reals[:10] -= 190
    fakes[:30] -= 190
    found = select_report_data(side("real", reals), side("fake", fakes), created="now").common_modes
    for name, share, of_most in (("real", 0.75, range(10, 40)), ("fake", 0.75, range(30))):
        first, second = [mode for mode in found if mode.side == name][:2]
        assert (first.excess, second.excess) == pytest.approx((share, 1 - share), abs=0.05)
        assert {one.picture for one in first.images} <= {f"{name}-{row}" for row in of_most}
        assert {one.picture for one in second.images}.isdisjoint(f"{name}-{row}" for row in of_most)
        assert len(first.images) == len(second.images) == 8
        assert all(one.value is not None and one.value > 0.9 for one in (*first.images, *second.images))


def test_realism_and_rarity_are_those_of_the_metrics() -> None:
    """Galleries are in the order of the scores; a copy has no number, and images outside of all balls are not rare."""
    reals, fakes = images(40, 0, size=2), images(30, 1, size=2)
    fakes[7] = reals[int(realism_scores(reals.flatten(1).float()).argmax())]
    found = select_report_data(side("real", reals), side("fake", fakes), created="now")
    x, y = reals.flatten(1).double(), fakes.flatten(1).double()
    realism, rarity = realism_scores(x, y), rarity_scores(x, y)
    assert found.galleries["realistic"].fake[0] == GalleryImage("fake-7", None)
    most, least, rare = (found.galleries[name].fake for name in ("realistic", "unrealistic", "rare"))
    assert [one.value for one in most[1:]] == pytest.approx(realism.sort(descending=True).values[1:8].tolist())
    assert [one.value for one in least] == pytest.approx(realism.sort().values[:8].tolist())
    inside = rarity[rarity > 0].sort(descending=True).values
    assert [one.value for one in rare] == pytest.approx(inside[:8].tolist())
    assert [one.value for one in found.galleries["rare"].real] == pytest.approx(
        rarity_scores(x).sort(descending=True).values[:8].tolist()
    )


def test_pictures_are_of_their_images() -> None:
    """Small images are kept bit for bit, with the name and index that they have in the source."""
    reals, fakes = images(40, 0), images(40, 1)
    found = select_report_data(side("real", reals), side("fake", fakes), created="now")
    assert set(found.pictures) == set(found.images)
    for key, picture in found.pictures.items():
        name, row = key.split("-")
        assert picture.index == int(row)
        assert torch.equal(pixels_of(found, key), (reals if name == "real" else fakes)[int(row)])


def test_pictures_of_what_follows_skipped_images_are_right(sets: Sequence[Path], tmp_path: Path) -> None:
    """Indices are right after a skipped image."""
    folder = tmp_path / "some"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(np.full((4, 4, 3), 20 * number, np.uint8)).save(folder / f"{number:02}.png")
    (folder / "03.png").write_bytes(b"no image")
    evaluation = evaluate(sets[0], folder, metrics=("kid",), extractor="pixels:4", on_error="skip", cache=False)
    found = build_report_data(evaluation)
    names = {picture.name.rpartition("/")[2]: key for key, picture in found.pictures.items() if key[0] == "f"}
    assert set(names) == {f"{number:02}.png" for number in range(12) if number != 3}
    for name, key in names.items():
        assert int(pixels_of(found, key)[0, 0, 0]) == 20 * int(name[:2])
        row = int(key.split("-")[1])
        assert found.pictures[key].index == int(name[:2]) == row + (row >= 3)


class Noise:
    """A generator of seeded noise."""

    value_range = "uint8"

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        return torch.randint(0, 256, (n, 3, 6, 6), generator=rng).to(torch.uint8)


def test_a_generator_draws_the_same_images_again() -> None:
    """Pictures of a live generator are of the evaluated images."""
    evaluation = evaluate(images(20, 0), Noise(), metrics=("kid",), extractor="pixels:6", num_samples=50, seed=3)
    found = build_report_data(evaluation)
    assert evaluation.fake is not None
    features = evaluation.fake.rows()
    assert any(int(key.split("-")[1]) >= 32 for key in found.pictures if key.startswith("fake"))
    for key in found.pictures:
        name, row = key.split("-")
        if name == "fake":
            again = pixels_of(found, key).flatten().float()
            assert (again - again.mean()).sign().tolist() == pytest.approx(
                (features[int(row)] - features[int(row)].mean()).sign().tolist()
            )


def test_the_images_of_a_stream_are_gone() -> None:
    """Everything except the pictures is there, with the reason for their absence."""
    batches = iter([images(10, 2), images(10, 3)])
    found = build_report_data(evaluate(images(20, 0), batches, metrics=("kid",), extractor="pixels:6"))
    assert found.pictures == {}
    assert found.galleries == {}
    assert found.pairs == ()
    assert "is a stream" in found.left_out["pictures"]
    assert found.distances is not None
    assert found.projection is not None


def test_stored_statistics_leave_the_fakes_alone(tmp_path: Path) -> None:
    """Without real images there are samples of fakes, but no pairs."""
    write_reference(images(200, 0), tmp_path / "ref.npz", extractor="pixels:4")
    found = build_report_data(evaluate(tmp_path / "ref.npz", images(200, 1), metrics=("fid",), extractor="pixels:4"))
    assert len(found.galleries["samples"].fake) == SAMPLES
    assert found.galleries["samples"].real == ()
    assert "real images are not available" in found.left_out["pairs"]


def test_too_few_images_leave_out_what_needs_more() -> None:
    """Two images per set cannot train a classifier: the reason is kept, and the rest is made."""
    found = select_report_data(side("real", images(2, 0)), side("fake", images(2, 1)), created="now")
    assert "told_apart" not in found.galleries
    assert found.left_out["told_apart"]
    assert len(found.pairs) == 2


def test_report_data_stay_small_whatever_the_images() -> None:
    """Large images are reduced to thumbnails, with a limited number."""
    large = [open_source(images(300, seed, size=128)) for seed in range(2)]
    features = [torch.randn(300, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    found = select_report_data(
        ImageSet("real", large[0], features[0]), ImageSet("fake", large[1], features[1]), created="now"
    )
    assert len(found.pairs) == PAIRS
    assert sum(map(len, found.images.values())) < 2_000_000
    assert {media_type(image) for image in found.images.values()} == {"image/jpeg"}
    wide = Image.open(io.BytesIO(thumbnail(torch.zeros(3, 100, 400, dtype=torch.uint8))))
    assert wide.size == (LARGEST, LARGEST // 4)


def test_classes_are_named_by_labels_that_the_classifier_agrees_with() -> None:
    """Digits are recognised, so classes are counted by the classifier, as shares of either set."""
    evaluation = evaluate(
        "digits:train", "digits:test", metrics=("fid",), also=("logits",), extractor="digits", num_samples=200
    )
    found = build_report_data(evaluation)
    assert found.classes_by == "classifier"
    assert {one.name for one in found.classes} == set("0123456789")
    assert sum(one.real for one in found.classes) == sum(one.fake for one in found.classes) == 200
    assert all(one.score is not None and 0.5 < one.score < 2 for one in found.classes)
    assert any(one.accuracy is not None and one.accuracy > 0.8 for one in found.classes)


def test_classes_are_those_of_the_labels_where_nothing_classifies(report_data: dict[str, ReportData]) -> None:
    """Class folders are counted by name, including hostile names."""
    for found in report_data.values():
        assert found.classes_by == "labels"
        assert {(one.real, one.fake) for one in found.classes} == {(8, 8)}
        assert len(found.classes) == 3


@pytest.mark.parametrize(
    ("fakes", "names", "expected"),
    [
        ((10, 1, 3, 1), None, {"1": 2, "3": 1, "10": 1}),
        ((0, 1, 0, 1), ("3", "10"), {"1": 0, "3": 2, "10": 2}),
        ((0, 1, 2, 1), None, {"1": 1, "3": 2, "10": 1}),
        ((1, 3, 9, 1), None, None),
        ((0, 1, 0, 1), ("3", "9"), None),
    ],
)
def test_class_folders_that_are_numbers_are_classes_of_labels(
    fakes: Sequence[int], names: Sequence[str] | None, expected: dict[str, int] | None
) -> None:
    """Classes are matched as by metrics, and are not shown if only the fakes have one of them."""
    real = replace(side("real", images(6, 0)), labels=torch.tensor([0, 0, 1, 1, 2, 2]), class_names=("1", "3", "10"))
    fake = replace(side("fake", images(4, 1)), labels=torch.tensor(fakes), class_names=names)
    found = select_report_data(real, fake, created="now")
    assert {one.name: one.fake for one in found.classes} == (expected or {})
    assert all(one.real == 2 for one in found.classes)


def test_the_plane_keeps_apart_what_is_apart() -> None:
    """The first axis separates two distant clouds, and has nearly all of the variance."""
    far = side("fake", images(30, 1))
    real = side("real", images(20, 0))
    moved = ImageSet("fake", far.source, far.features + 5000)
    found = select_report_data(real, moved, created="now").projection
    assert found is not None
    assert max(x for x, _ in found.real) < min(x for x, _ in found.fake)
    assert found.explained[0] > 0.99
    assert len(found.real) == len(found.fake) == 20


def test_identical_sets_have_identical_distances_of_zero() -> None:
    """Every fake equals a real and has distance 0, while the reals' own distances are positive."""
    same = images(20, 0)
    found = select_report_data(side("real", same), side("fake", same), created="now").distances
    assert found is not None
    assert (found.fake_median, found.fake[0]) == (0.0, 20)
    assert found.real_median > 0


def test_constant_images_do_not_break_a_figure() -> None:
    """Identical images cannot be discriminated, and cause no error."""
    same = torch.zeros(12, 3, 6, 6, dtype=torch.uint8)
    found = select_report_data(side("real", same), side("fake", same), created="now")
    assert found.distances is not None
    assert sum(found.distances.fake) == 12
    assert found.projection is not None
    assert found.projection.explained == (0.0, 0.0)


def test_images_of_a_source_are_found_by_index(evaluations: Mapping[str, Evaluation]) -> None:
    """Images are found in any order and number; a stream has none."""
    source = open_source(images(10, 0))
    found = images_at(source, [7, 2, 7])
    assert {index: image.sum().item() for index, image in found.items()} == {
        index: images(10, 0)[index].sum().item() for index in (2, 7)
    }
    with pytest.raises(SourceError, match="is a stream"):
        images_at(open_source(iter([images(2, 0)])), [0])


def test_an_image_that_went_away_leaves_the_pictures_out(tmp_path: Path, sets: Sequence[Path]) -> None:
    """The report says so, and the evaluation does not fail."""
    folder = shutil.copytree(sets[1], tmp_path / "copy")
    evaluation = evaluate(sets[0], folder, metrics=("kid",), extractor="pixels:8", cache=False)
    shutil.rmtree(folder)
    found = build_report_data(evaluation)
    assert found.pictures == {}
    assert found.left_out["pictures"]
