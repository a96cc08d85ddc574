"""Evaluating pairs of images: partners, values and errors, comparisons, bounds and everything that is refused."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ganeval
from ganeval.errors import DecodeError, MetricError, SourceError, UsageError
from ganeval.metrics import psnr, ssim
from ganeval.results import Evaluation
from ganeval.sources.degradations import enlarged, grey, hole, lowres


def drawn(count: int, *, noise: int = 20, seed: int = 0, size: int = 16) -> tuple[Tensor, Tensor]:
    """Random reals and the same with noise whose strength varies, uint8 [count, 3, size, size] each."""
    rng = torch.Generator().manual_seed(seed)
    real = torch.randint(0, 256, (count, 3, size, size), generator=rng)
    strength = torch.rand(count, 1, 1, 1, generator=rng) * noise + 1
    fake = real + (strength * torch.randn(real.shape, generator=rng)).round().long()
    return real.to(torch.uint8), fake.clamp(0, 255).to(torch.uint8)


def write(folder: Path, images: Tensor, names: list[str] | None = None) -> Path:
    """Images as PNGs, by number if they have no names."""
    for number, image in enumerate(images):
        path = folder / (f"{number}.png" if names is None else names[number])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return folder


def test_the_value_is_the_mean_over_pairs_with_the_error_of_a_mean() -> None:
    """And the interval is Student's; min, median and max are in the details."""
    real, fake = drawn(9)
    found, values = ganeval.evaluate_pairs(real, fake)["psnr"], psnr(real, fake).numpy()
    error = values.std(ddof=1) / 3
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-12)
    # The 97.5% point of Student's distribution with 8 degrees of freedom.
    assert found.interval == pytest.approx(
        (values.mean() - 2.306004 * error, values.mean() + 2.306004 * error), rel=1e-6
    )
    assert found.details == pytest.approx(
        {
            "median": np.median(values),
            "min": values.min(),
            "max": values.max(),
            "standard_deviation": values.std(ddof=1),
        }
    )
    assert (found.n_real, found.n_fake, found.direction) == (9, 9, "higher")


def test_the_usual_metrics_are_psnr_ssim_and_l1() -> None:
    """Where none is named; the values of single pairs are kept by name."""
    real, fake = drawn(3)
    found = ganeval.evaluate_pairs(real, fake)
    assert list(found) == ["psnr", "ssim", "l1"]
    assert found.pairs is not None
    assert list(found.pairs.values["ssim"]) == ssim(real, fake).tolist()
    assert found.pairs.real == ["Tensor[0]", "Tensor[1]", "Tensor[2]"]


def test_options_reach_their_metric_and_are_written_down() -> None:
    """With the defaults of the others."""
    real, fake = drawn(2)
    found = ganeval.evaluate_pairs(real, fake, metrics=["psnr"], options={"psnr": {"channel": "y", "border": 4}})
    assert found["psnr"].options == {"channel": "y", "border": 4, "cap": None}
    assert found["psnr"].value == pytest.approx(psnr(real, fake, channel="y", border=4).mean().item(), abs=1e-12)


def test_a_result_survives_its_json() -> None:
    """Values, options and provenance; the signature says that these are pairs."""
    found = ganeval.evaluate_pairs(*drawn(4))
    assert Evaluation.from_json(found.to_json()) == found
    assert found.signature.startswith("extractor=none|weights_sha256=|preprocessing=none:_pairs_of_images_as_they_are|")
    assert found.provenance["real"]["count"] == 4
    assert found.provenance["real"]["digest"] != found.provenance["fake"]["digest"]


def test_files_belong_together_by_name(tmp_path: Path) -> None:
    """In any order, in any format without loss, and in folders below the two."""
    real, fake = drawn(3)
    write(tmp_path / "real", real, ["a.png", "b/c.png", "d.png"])
    write(tmp_path / "fake", fake[[2, 0, 1]], ["d.bmp", "a.png", "b/c.png"])
    found = ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake", metrics=["psnr"])
    assert found["psnr"].value == ganeval.evaluate_pairs(real, fake, metrics=["psnr"])["psnr"].value
    assert found.pairs is not None
    assert [Path(name).stem for name in found.pairs.fake] == [Path(name).stem for name in found.pairs.real]


def test_folders_that_each_set_lies_in_do_not_matter(tmp_path: Path) -> None:
    """A list in one place and a folder in another."""
    real, fake = drawn(2)
    write(tmp_path, real, ["hr/a.png", "hr/b.png"])
    write(tmp_path / "sr", fake, ["a.png", "b.png"])
    (tmp_path / "list.txt").write_text("hr/b.png\nhr/a.png\n")
    found = ganeval.evaluate_pairs(tmp_path / "list.txt", tmp_path / "sr", metrics=["l1"])
    assert found["l1"].value == ganeval.evaluate_pairs(real, fake, metrics=["l1"])["l1"].value


def test_the_order_of_pairs_does_not_matter() -> None:
    """Value and error are the same to rounding."""
    real, fake = drawn(7)
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    one, other = ganeval.evaluate_pairs(real, fake), ganeval.evaluate_pairs(real[order], fake[order])
    for name in one:
        assert one[name].value == pytest.approx(other[name].value, rel=1e-14)
        assert one[name].standard_error == pytest.approx(other[name].standard_error, rel=1e-12)


def test_sizes_may_differ_from_pair_to_pair(tmp_path: Path) -> None:
    """As in test sets of super-resolution; the value is the mean of the values of the pairs."""
    sides = [drawn(1, size=size) for size in (16, 24)]
    for side, folder in enumerate(("real", "fake")):
        for number, pair in enumerate(sides):
            write(tmp_path / folder, pair[side], [f"{number}.png"])
    found = ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake", metrics=["psnr"])
    assert found["psnr"].value == pytest.approx(np.mean([psnr(*pair).item() for pair in sides]), abs=1e-12)
    assert found.warnings == ()


def test_num_samples_takes_a_seeded_subset_of_the_pairs() -> None:
    """The same pairs of both sets."""
    real, fake = drawn(10)
    found = ganeval.evaluate_pairs(real, fake, metrics=["l1"], num_samples=4, seed=3)
    chosen = sorted(np.random.RandomState(3).permutation(10)[:4])
    assert found["l1"].value == pytest.approx(ganeval.evaluate_pairs(real[chosen], fake[chosen])["l1"].value, rel=1e-14)
    assert found["l1"].n_fake == 4
    assert found.provenance["fake"]["subset"] == {"num_samples": 4, "of": 10, "seed": 3}
    with pytest.raises(SourceError, match="11 images were requested, but there are only 10"):
        ganeval.evaluate_pairs(real, fake, num_samples=11)


def test_the_standard_error_is_the_spread_over_draws_of_pairs() -> None:
    """Over 150 draws of 10 pairs, to a tenth; their spread is known to 6%. Errors are those of 60 of them."""
    errors, covered = [], 0
    real, fake = drawn(1500, size=11)
    ratios = psnr(real, fake)
    everything, values = ratios.mean().item(), ratios.reshape(150, 10).mean(1).numpy()
    for draw in range(60):
        chosen = slice(10 * draw, 10 * draw + 10)
        found = ganeval.evaluate_pairs(real[chosen], fake[chosen], metrics=["psnr"])["psnr"]
        assert found.standard_error is not None
        assert found.interval is not None
        assert found.value == pytest.approx(values[draw])
        errors.append(found.standard_error)
        covered += found.interval[0] <= everything <= found.interval[1]
    assert np.std(values) == pytest.approx(math.sqrt(np.mean(np.square(errors))), rel=0.1)
    # 95% of 60 draws are known to 3%.
    assert 0.88 <= covered / 60 <= 0.99


def test_one_pair_has_a_value_and_no_error() -> None:
    """A spread needs two."""
    found = ganeval.evaluate_pairs(*drawn(1))["psnr"]
    assert (found.standard_error, found.interval) == (None, None)
    assert "needs two" in found.method


def test_equal_pairs_have_no_mean_psnr() -> None:
    """The first of them and their number are named, with the option that makes a mean of them."""
    real, fake = drawn(3)
    fake[1:] = real[1:]
    with pytest.raises(MetricError, match=r"psnr is inf for 2 of 3 pairs, the first Tensor\[1\].*psnr\.cap=80"):
        ganeval.evaluate_pairs(real, fake, metrics=["psnr"])
    capped = ganeval.evaluate_pairs(real, fake, metrics=["psnr"], options={"psnr": {"cap": 80}})["psnr"]
    assert capped.value == pytest.approx((psnr(real, fake)[0].item() + 160) / 3)
    # Nobody asked for it, so the others are measured.
    lenient = ganeval.evaluate_pairs(real, fake)
    assert list(lenient) == ["ssim", "l1"]
    assert lenient.warnings[0].startswith("Not measured: psnr is inf for 2 of 3 pairs")


def test_a_function_of_pairs_is_a_metric() -> None:
    """By its own name; what it returns is checked."""

    def largest(real: Tensor, fake: Tensor) -> Tensor:
        """The largest difference."""
        return (real.double() - fake.double()).abs().flatten(1).max(1).values

    def wrong(real: Tensor, fake: Tensor) -> float:
        return 1.0

    real, fake = drawn(3)
    found = ganeval.evaluate_pairs(real, fake, metrics=[largest])
    assert found["largest"].value == pytest.approx(largest(real, fake).mean().item())
    with pytest.raises(UsageError, match="'wrong' must return one value for each pair"):
        ganeval.evaluate_pairs(real, fake, metrics=[wrong])


def test_a_comparison_is_that_of_paired_differences() -> None:
    """Mean, standard error and p-value of the paired t-test, on the same inputs."""
    from scipy.stats import ttest_rel

    real, fake = drawn(8)
    _, other = drawn(8, noise=30)
    found = ganeval.compare_pairs(real, {"A": fake, "B": other}, metrics=["psnr"])
    (difference,) = found.differences
    first, second = psnr(real, fake).numpy(), psnr(real, other).numpy()
    assert difference.value == pytest.approx((second - first).mean(), abs=1e-12)
    assert difference.standard_error == pytest.approx((second - first).std(ddof=1) / math.sqrt(8), rel=1e-9)
    assert difference.p_value == pytest.approx(ttest_rel(first, second).pvalue, rel=1e-9)
    assert difference.paired


def test_what_is_common_to_both_methods_cancels() -> None:
    """A difference that pairs tell is lost in errors that do not know of them."""
    real, fake = drawn(12)
    shifted = torch.where(fake < 250, fake + 2, fake)
    found = ganeval.compare_pairs(real, {"A": fake, "B": shifted}, metrics=["l1"])
    (difference,) = found.differences
    errors = [one["l1"].standard_error or 0.0 for one in found.evaluations.values()]
    assert difference.standard_error is not None
    assert difference.standard_error < math.hypot(*errors) / 4
    assert difference.verdict == "worse"


def test_a_pair_with_an_unreadable_image_is_left_out_of_all_methods(tmp_path: Path) -> None:
    """With on_error="skip"; otherwise the image is named."""
    real, fake = drawn(5)
    for folder, images in (("real", real), ("a", fake), ("b", fake)):
        write(tmp_path / folder, images)
    (tmp_path / "b" / "3.png").write_bytes(b"broken")
    fakes = {name: tmp_path / name for name in ("a", "b")}
    with pytest.raises(DecodeError, match=r"b/3\.png"):
        ganeval.compare_pairs(tmp_path / "real", fakes)
    found = ganeval.compare_pairs(tmp_path / "real", fakes, on_error="skip")
    assert [one["psnr"].n_fake for one in found.evaluations.values()] == [4, 4]
    assert found.evaluations["a"]["psnr"].value == found.evaluations["b"]["psnr"].value
    assert any("3.png" in warning for warning in found.evaluations["b"].warnings)


def test_a_missing_partner_is_named_with_the_number_of_others(tmp_path: Path) -> None:
    """On either side."""
    real, fake = drawn(4)
    write(tmp_path / "real", real)
    write(tmp_path / "fake", fake, ["0.png", "1.png", "2_sr.png", "3_sr.png"])
    with pytest.raises(
        SourceError, match=r"real/2\.png has no image of the same name in .*fake, nor has another \(of 4\)"
    ):
        ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake")
    (tmp_path / "fake" / "2_sr.png").rename(tmp_path / "fake" / "2.png")
    (tmp_path / "real" / "3.png").unlink()
    with pytest.raises(SourceError, match=r"fake/3_sr\.png has no image of the same name in .*real \(of 4\)"):
        ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake")
    found = ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake", exclude=["*_sr.png"])
    assert found["l1"].n_fake == 3


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which of them is meant is not known."""
    real, fake = drawn(2)
    write(tmp_path / "real", real[[0, 0]], ["0.png", "0.bmp"])
    write(tmp_path / "fake", fake, ["0.png", "1.png"])
    with pytest.raises(SourceError, match="have the same name except for the ending"):
        ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake")


def test_sizes_that_differ_inside_a_pair_are_refused(tmp_path: Path) -> None:
    """The pair and both sizes are named."""
    write(tmp_path / "real", drawn(1)[0])
    write(tmp_path / "fake", drawn(1, size=12)[0])
    with pytest.raises(SourceError, match=r"real/0\.png has 16 x 16 pixels and .*fake/0\.png has 12 x 12"):
        ganeval.evaluate_pairs(tmp_path / "real", tmp_path / "fake")


def test_sets_without_names_must_be_of_one_length(tmp_path: Path) -> None:
    """Their images belong together by position."""
    real, fake = drawn(4)
    with pytest.raises(SourceError, match="has 4 images and Tensor has 3"):
        ganeval.evaluate_pairs(real, fake[:3])
    write(tmp_path, fake)
    assert ganeval.evaluate_pairs(real, tmp_path)["l1"].value == ganeval.evaluate_pairs(real, fake)["l1"].value


def test_streams_generators_and_features_have_no_pairs(tmp_path: Path) -> None:
    """The kind is named, and what to do, also where a stream is degraded."""
    real, fake = drawn(4)
    code = tmp_path / "stream.py"
    code.write_text("import torch\nbatches = iter([torch.zeros(4, 3, 16, 16, dtype=torch.uint8)])\n")
    for other in (iter([fake]), ganeval.Features(torch.zeros(4, 8)), f"grey:hole:py:{code}:batches"):
        with pytest.raises(UsageError, match="cannot be read in pairs"):
            ganeval.evaluate_pairs(real, other)


def test_degraded_images_are_pairs_with_their_originals(tmp_path: Path) -> None:
    """By name or by position, on either side, as if the degraded images were in a folder of their own."""
    (real, _), names = drawn(5), ["b.png", "a.png", "c.png", "e.png", "d.png"]
    write(tmp_path / "real", real, names)
    for name, change in (("hole", hole), ("grey", grey)):
        spec, made = f"{name}:{tmp_path}/real", change(real)
        found = ganeval.evaluate_pairs(tmp_path / "real", spec, num_samples=3)
        expected = ganeval.evaluate_pairs(tmp_path / "real", write(tmp_path / name, made, names), num_samples=3)
        assert found["l1"].value == expected["l1"].value
        assert ganeval.evaluate_pairs(spec, tmp_path / "real", num_samples=3)["l1"].value == expected["l1"].value
        assert found.pairs is not None
        assert found.pairs.fake == found.pairs.real
        assert found.provenance["fake"]["changed"] == [name]
        assert found.provenance["fake"]["digest"] != found.provenance["real"]["digest"]
    nested = ganeval.evaluate_pairs(real, f"recoloured:recoloured:{tmp_path}/grey")["l1"]
    in_order = grey(real)[[1, 0, 2, 4, 3]]
    assert nested.value == ganeval.evaluate_pairs(real, in_order)["l1"].value


def test_bicubic_interpolation_is_a_source(tmp_path: Path) -> None:
    """`enlarged:lowres:` is compared with the original; without `enlarged:` the sizes differ, and the error says so."""
    real, _ = drawn(3)
    write(tmp_path, real)
    found = ganeval.evaluate_pairs(real, f"enlarged:lowres:{tmp_path},4,4", metrics=["psnr"])["psnr"]
    assert found.value == pytest.approx(psnr(real, enlarged(lowres(real, 4), 4)).mean().item(), abs=1e-12)
    message = r"0\.png has 16 x 16 pixels and .*0\.png of lowres:.*,4 has 4 x 4.*enlarged:SOURCE,FACTOR"
    with pytest.raises(SourceError, match=message):
        ganeval.evaluate_pairs(tmp_path, f"lowres:{tmp_path},4")


def test_a_degraded_pair_with_an_unreadable_image_is_left_out(tmp_path: Path) -> None:
    """On both sides, where that is asked for; an image that cannot be changed is an error all the same."""
    write(tmp_path, drawn(3)[0])
    (tmp_path / "1.png").write_bytes(b"no image")
    found = ganeval.evaluate_pairs(tmp_path, f"hole:{tmp_path}", metrics=["l1"], on_error="skip")
    assert found["l1"].n_fake == 2
    with pytest.raises(SourceError, match=r"0\.png: a hole of 17 x 17 pixels is larger"):
        ganeval.evaluate_pairs(tmp_path, f"hole:{tmp_path},17", on_error="skip")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metrics": ["fid"]}, "it is a metric of sets of images: ganeval score"),
        ({"metrics": ["pnsr"]}, "did you mean 'psnr'"),
        ({"metrics": []}, "No metric was requested; choose from: psnr"),
        ({"metrics": "psnr"}, r"write metrics=\['psnr'\]"),
        ({"options": {"psnr": {"borders": 4}}}, "Unknown option 'psnr.borders'; did you mean 'border'"),
        ({"options": {"psnr": {"channel": "g"}}}, "must be 'rgb' or 'y', found 'g'"),
        ({"metrics": ["psnr"], "options": {"ssim": {"border": 4}}}, "'ssim', which is not measured"),
        ({"extractor": "digits"}, "Metrics of pairs have no setting 'extractor'"),
        ({"num_samples": 0}, "num_samples must be at least 1"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(given: dict[str, object], message: str) -> None:
    """By what was found."""
    with pytest.raises(UsageError, match=message):
        ganeval.evaluate_pairs(*drawn(2), **given)  # type: ignore[arg-type]


def test_a_metric_of_pairs_is_no_metric_of_sets() -> None:
    """`evaluate` says where it is."""
    with pytest.raises(UsageError, match="it is a metric of pairs of images: ganeval pairs"):
        ganeval.evaluate(*drawn(2), metrics=["psnr"])


def test_a_pair_that_a_metric_cannot_take_is_named() -> None:
    """With what the metric needs."""
    with pytest.raises(
        MetricError, match=r"ssim of Tensor\[0\] and Tensor\[0\]: SSIM needs images of at least 11 x 11"
    ):
        ganeval.evaluate_pairs(*drawn(2, size=8), metrics=["ssim"])


def test_a_comparison_needs_two_methods() -> None:
    """One alone is an evaluation."""
    real, fake = drawn(2)
    with pytest.raises(UsageError, match="at least two methods, found 1"):
        ganeval.compare_pairs(real, {"A": fake})


def test_images_are_not_held() -> None:
    """However slow a metric is, threads read no more than a few pairs ahead of it."""
    loaded: list[int] = []
    ahead: list[int] = []

    class Set(torch.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> Tensor:
            if index >= len(self):
                raise IndexError
            loaded.append(index)
            return torch.zeros(3, 8, 8, dtype=torch.uint8)

    def waiting(real: Tensor, fake: Tensor) -> Tensor:
        time.sleep(0.005)
        ahead.append(len(loaded) - 2 * len(ahead))
        return torch.zeros(len(real))

    ganeval.evaluate_pairs(Set(), Set(), metrics=[waiting], workers=1)
    # The pair at hand, one that waits for each of the two places, and the one that is being read.
    assert max(ahead) <= 2 * 4 + 2


def darkness(images: Tensor) -> Tensor:
    """Classes by brightness: a segmenter."""
    return (images.double().mean(1) // 64).long()


def test_label_maps_are_those_of_the_segmenter(tmp_path: Path) -> None:
    """Of both images, or of the fake alone where the real one is a label map; logits are taken as well."""
    from ganeval.metrics import segmentation

    real, fake = drawn(5)
    metrics = ["pixel_accuracy", "class_accuracy", "iou"]
    found = ganeval.evaluate_pairs(real, fake, metrics=metrics, options={"segmentation": {"segmenter": darkness}})
    expected = segmentation(darkness(real), darkness(fake))
    assert {name: found[name].value for name in found} == {name: one.value for name, one in expected.items()}
    assert found["iou"].standard_error == expected["iou"].standard_error
    assert found["iou"].options == {"segmenter": f"{__name__}.darkness", "truth": "segmented", "ignore": 255}
    assert Evaluation.from_json(found.to_json()) == found
    labels = darkness(real)[:, None].expand(-1, 3, -1, -1).to(torch.uint8).contiguous()

    def logits(images: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(darkness(images), 4).permute(0, 3, 1, 2).float()

    options = {"segmentation": {"segmenter": logits, "truth": "labels"}}
    assert ganeval.evaluate_pairs(labels, fake, metrics=["iou"], options=options)["iou"].value == found["iou"].value
    with pytest.raises(MetricError, match="not grey"):
        ganeval.evaluate_pairs(real, fake, metrics=["iou"], options=options)


def test_a_segmenter_that_cannot_be_used_is_refused() -> None:
    """None, a text that is no file, and one that returns something else."""
    real, fake = drawn(2)

    def iou(segmenter: object) -> None:
        options = {"segmentation": {} if segmenter is None else {"segmenter": segmenter}}
        ganeval.evaluate_pairs(real, fake, metrics=["iou"], options=options)

    with pytest.raises(UsageError, match=r"need a segmenter.*segmentation\.segmenter=py:FILE"):
        iou(None)
    with pytest.raises(UsageError, match="'fcn' is not understood; write py:FILE"):
        iou("fcn")
    with pytest.raises(UsageError, match="must be a text or a function or null, found 3"):
        iou(3)
    with pytest.raises(MetricError, match="The segmenter must return classes"):
        iou(lambda images: images[:, 0, 0])


def test_pooled_metrics_compare_by_the_same_groups() -> None:
    """The error of a difference is that of the jackknife of the difference."""
    from ganeval.metrics import patch_frechet

    real, fake = drawn(6)
    _, other = drawn(6, noise=60)
    (difference,) = ganeval.compare_pairs(real, {"A": fake, "B": other}, metrics=["patch_frechet"]).differences
    without = []
    for left in range(6):
        kept = [place for place in range(6) if place != left]
        without.append(patch_frechet(real[kept], other[kept]).value - patch_frechet(real[kept], fake[kept]).value)
    assert difference.standard_error == pytest.approx(math.sqrt(5 * np.var(without)), rel=1e-6)
