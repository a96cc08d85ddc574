"""Degradations as sources: what they do to images, and that all else stays as the original source says it."""

import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from source_helpers import batches_of, encode, images_of, random_images, write_folder

from ganeval import evaluate, fid
from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.sources import SCHEMES, check_spec, lasting, open_source
from ganeval.sources.chosen import images_at
from ganeval.sources.degradations import binarised, edges, enlarged, grey, hole, lowres, recoloured
from ganeval.sources.nested import DEGRADATIONS
from ganeval.testing import check_source

# A spec of every degradation of a source.
SPECS = (
    "lowres:{},2",
    "enlarged:{},3",
    "enlarged:lowres:{},4,4",
    "hole:{}",
    "hole:{},3",
    "edges:{}",
    "grey:{}",
    "recoloured:{}",
    "binarised:{}",
    "edges:lowres:{},4",
)


def photographs(count=3, height=8, width=12):
    """uint8 [count, 3, height, width]."""
    return torch.from_numpy(random_images(count, height, width).transpose(0, 3, 1, 2).copy())


@pytest.fixture
def folder(tmp_path):
    """A folder of six images of 8 x 12 in two classes."""
    names = [f"{kind}/{index}.png" for kind in ("cat", "dog") for index in range(3)]
    return write_folder(tmp_path / "images", random_images(6, 8, 12), names)


def test_lowres_is_pillows_bicubic():
    """Every channel of every image is what Pillow's own resize gives, exactly."""
    images = photographs()
    for image, small in zip(images, lowres(images, 4), strict=True):
        expected = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((3, 2), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(small.permute(1, 2, 0), np.asarray(expected))


def test_enlarged_is_pillows_bicubic():
    """Every image is what Pillow's own resize gives, exactly, and a flat one stays flat."""
    images = photographs()
    for image, large in zip(images, enlarged(images, 3), strict=True):
        expected = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((36, 24), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(large.permute(1, 2, 0), np.asarray(expected))
    assert (enlarged(torch.full((1, 3, 2, 3), 9, dtype=torch.uint8), 4) == 9).all()


@pytest.mark.parametrize(("pixels", "top", "left", "side"), [(None, 2, 4, 4), (3, 2, 4, 3), (8, 0, 2, 8)])
def test_the_hole_is_in_the_middle(pixels, top, left, side):
    """Its pixels are 127, half the shorter side if no size is given, and all others are untouched."""
    images = photographs()
    before = images.clone()
    holed = hole(images, pixels)
    inside = torch.zeros(8, 12, dtype=torch.bool)
    inside[top : top + side, left : left + side] = True
    assert (holed[:, :, inside] == 127).all()
    assert torch.equal(holed[:, :, ~inside], images[:, :, ~inside])
    assert torch.equal(images, before)


def test_grey_is_pillows_luma():
    """All three channels are Pillow's conversion to L, and grey images keep their values."""
    images = photographs()
    for image, found in zip(images, grey(images), strict=True):
        expected = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        np.testing.assert_array_equal(found, np.stack([expected] * 3))
    flat = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    assert torch.equal(grey(flat), flat)


def test_edges_are_sobels():
    """The magnitude is that of the formula written out; its scale makes a step of 128 levels white, and 64 half."""
    images = photographs()
    luma = np.pad(grey(images)[:, 0].numpy().astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    right, left = luma[:, :, 2:], luma[:, :, :-2]
    below, above = luma[:, 2:], luma[:, :-2]
    across = (right - left)[:, :-2] + 2 * (right - left)[:, 1:-1] + (right - left)[:, 2:]
    down = (below - above)[:, :, :-2] + 2 * (below - above)[:, :, 1:-1] + (below - above)[:, :, 2:]
    expected = np.minimum(np.hypot(across, down) * 255 / 512, 255)
    # The formula in float64 and ours in float32 may round a half differently.
    assert np.abs(edges(images)[:, 0].numpy() - expected).max() <= 0.5 + 1e-4
    step = torch.zeros(1, 3, 4, 6, dtype=torch.uint8)
    for height, white in ((64, 128), (128, 255), (255, 255)):
        step[..., 3:] = height
        assert edges(step)[0, 0, 1].tolist() == [0, 0, white, white, 0, 0]
    assert not edges(torch.full((1, 3, 1, 1), 9, dtype=torch.uint8)).any()


def test_binarised_images_are_black_and_white():
    """A luma of 128 or more is white, and binarising again changes nothing."""
    levels = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    found = binarised(levels)
    assert found.dtype == torch.uint8
    assert found[:, 0, 0, 0].tolist() == [0, 0, 255, 255]
    assert torch.equal(binarised(found), found)
    green = torch.tensor([0, 255, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    assert binarised(green).flatten().tolist() == [255, 255, 255]
    assert binarised(255 - green).flatten().tolist() == [0, 0, 0]


def test_recoloured_is_its_own_inverse():
    """Twice is once more the original, white on black becomes blue on yellow, and no two colours become one."""
    images = photographs()
    assert torch.equal(recoloured(recoloured(images)), images)
    ink = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert recoloured(ink)[0, :, 0].T.tolist() == [[255, 255, 0], [0, 0, 255]]


@pytest.mark.parametrize("spec", SPECS)
def test_a_degradation_keeps_to_what_every_source_keeps_to(spec, folder, tmp_path):
    """Over folders, data sets, live generators and arrays from code, degraded sources pass the contract of sources."""
    code = tmp_path / "noise.py"
    code.write_text(
        "import torch\nclass noise:\n    value_range = '[0,1]'\n    num_samples = 9\n"
        "    def sample(self, n, *, labels=None, rng):\n        return torch.rand(n, 3, 8, 8, generator=rng)\n"
    )
    for source in (folder, "digits:test", f"py:{code}:noise"):
        check_source(spec.format(source), num_samples=6)


@pytest.mark.parametrize("spec", SPECS)
def test_all_else_is_the_originals(spec, folder):
    """Names, labels, classes, count, subset and read report are those of the source."""
    original, changed = (open_source(one, num_samples=5, seed=3) for one in (folder, spec.format(folder)))
    assert len(changed) == len(original) == 5
    assert changed.labels == original.labels
    assert changed.class_names == original.class_names == ("cat", "dog")
    assert changed.kind == original.kind
    assert changed.name == spec.format(folder)
    assert [changed.item_name(index) for index in range(5)] == [original.item_name(index) for index in range(5)]
    assert {**changed.describe(), "changed": None} == {**original.describe(), "changed": None}
    assert [batch.labels for batch in batches_of(changed)] == [batch.labels for batch in batches_of(original)]


def test_the_cache_tells_degradations_apart(folder):
    """Neither fingerprints nor digests of two degradations, or of their source, are equal."""
    sources = [
        open_source(spec) for spec in (str(folder), *(spec.format(folder) for spec in SPECS), f"lowres:{folder},4")
    ]
    for told in (lambda source: source.fingerprint().fast, lambda source: source.fingerprint().sizes):
        assert len({told(source) for source in sources}) == len(sources)
    assert len({digest for source in sources for digest in source.digests()}) == 6 * len(sources)
    assert open_source(f"grey:{folder}").fingerprint() == open_source(f"grey:{folder}").fingerprint()


def test_a_cached_degradation_scores_the_same(folder, tmp_path, monkeypatch):
    """A second evaluation takes the features of the degraded images from the cache, and not those of the source."""
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path / "cache"))
    values = [fid(folder, f"edges:{folder}", extractor="pixels:2").value for _ in range(2)]
    assert values[0] == values[1] > fid(folder, folder, extractor="pixels:2").value
    found = evaluate(folder, f"edges:{folder}", metrics=["fid"], extractor="pixels:2")
    assert found.provenance["fake"]["cached"]
    assert found.provenance["fake"]["changed"] == ["edges"]


def test_degradations_are_applied_from_the_inside():
    """`grey:recoloured:X` is grey, `recoloured:grey:X` is coloured, and the description has both in their order."""
    inside, outside = open_source("recoloured:grey:digits:test"), open_source("grey:recoloured:digits:test")
    assert inside.describe()["changed"] == ["grey", "recoloured"]
    image = images_of(outside)[0][0]
    assert (image == image[:1]).all()
    image = images_of(inside)[0][0]
    assert not (image == image[:1]).all()


def test_single_images_are_degraded_too(folder, tmp_path):
    """The report's pictures of a degraded set are degraded; those of a stream are gone."""
    changed = open_source(f"lowres:grey:{folder},2")
    images, _ = images_of(changed)
    for index, image in images_at(changed, [4, 1]).items():
        np.testing.assert_array_equal(image, images[index])
    code = tmp_path / "stream.py"
    code.write_text("import torch\nbatches = iter([torch.zeros(2, 3, 4, 4, dtype=torch.uint8)])\n")
    stream = open_source(f"edges:py:{code}:batches")
    assert len(images_of(stream)[0]) == 2
    with pytest.raises(SourceError, match="is a stream"):
        images_at(stream, [0])


def test_the_first_image_that_a_factor_does_not_divide_is_named(tmp_path):
    """With its size and the factor; images that were skipped before it do not shift the name."""
    write_folder(tmp_path, random_images(2, 8, 8), ["a.png", "d.png"])
    write_folder(tmp_path, random_images(2, 8, 10), ["c.png", "e.png"])
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=rf"^{tmp_path}/c\.png: it has 10 x 8 pixels, which 4 does not divide"):
        images_of(open_source(f"lowres:{tmp_path},4"), on_error="skip", skip_limit=1)
    with pytest.raises(DecodeError, match=r"b\.png: it is not an image"):
        images_of(open_source(f"lowres:{tmp_path},4"))


def test_an_image_that_would_be_too_large_is_refused(folder):
    """Before memory is taken: the image and both sizes are named."""
    with pytest.raises(SourceError, match=r"cat/0\.png: made 99999 times larger it would have 1199988 x 799992 pixels"):
        images_of(open_source(f"enlarged:{folder},99999"))


def test_a_hole_larger_than_the_image_is_refused(folder):
    """The image is named, and a hole of its whole height is not refused."""
    with pytest.raises(SourceError, match=r"cat/0\.png: a hole of 9 x 9 pixels is larger than the image, .* 12 x 8"):
        images_of(open_source(f"hole:{folder},9"))
    assert len(images_of(open_source(f"hole:{folder},8"))[0]) == 6


@pytest.mark.parametrize(
    "spec",
    [
        "lowres:x", "lowres:x,", "lowres:x,1", "lowres:x,0.5", "lowres:x,-2", "lowres:,2", "lowres:x,9999999",
        "enlarged:x", "enlarged:x,1", "enlarged:x,0.5", "enlarged:,2",
        "hole:", "hole:,3", "hole:x,0", "edges:", "grey:", "recoloured:", "binarised:",
    ],
)  # fmt: skip
def test_a_degradation_that_is_not_understood(spec):
    """The message shows how it is written, before anything is opened."""
    for refuse in (check_spec, open_source):
        with pytest.raises(UsageError, match=rf"'{spec}' is not understood; write {spec.partition(':')[0]}:SOURCE"):
            refuse(spec)


def test_a_spec_that_is_nested_without_end():
    """It is refused before the interpreter gives up; one of many degradations is not."""
    check_spec("grey:" * 30 + "digits:test")
    assert len(open_source("recoloured:" * 30 + "digits:test", num_samples=2)) == 2
    for refuse in (check_spec, open_source, lasting):
        with pytest.raises(UsageError, match="nested too deep"):
            refuse("grey:" * 3000 + "digits:test")


def test_what_is_degraded_is_checked_too(tmp_path, monkeypatch):
    """A missing folder, an unknown scheme and a wrong form are found at any depth."""
    monkeypatch.chdir(tmp_path)
    for spec in ("lowres:missing/,4", "hole:grey:missing"):
        with pytest.raises(SourceError, match=rf"{tmp_path}/missing does not exist"):
            check_spec(spec)
    with pytest.raises(UsageError, match="unknown kind of source 'digit:'"):
        check_spec("edges:digit:train")
    with pytest.raises(UsageError, match="'lowres:digits:train' is not understood"):
        check_spec("edges:lowres:digits:train")
    check_spec("edges:lowres:digits:train,2")


def test_an_unreadable_and_an_empty_source_are_told_as_ever(tmp_path):
    """The errors are those of the source itself."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no images"):
        open_source(f"grey:{tmp_path}/empty")
    np.save(tmp_path / "f.npy", np.zeros((3, 2)))
    with pytest.raises(UsageError, match="only images can be changed"):
        open_source(f"grey:features:{tmp_path}/f.npy")


def test_files_of_every_kind_are_converted_first(tmp_path):
    """Greyscale files, transparency and EXIF orientation are treated as without a degradation."""
    grey_pixels, rgba = random_images(1, 8, 8)[0][..., 0], random_images(1, 8, 8)[0]
    (tmp_path / "a.png").write_bytes(encode(grey_pixels))
    (tmp_path / "b.png").write_bytes(encode(rgba, mode="RGBA"))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "c.jpg").write_bytes(encode(rgba, "JPEG", exif=exif.tobytes()))
    plain, before = images_of(open_source(tmp_path))
    changed, report = images_of(open_source(f"recoloured:{tmp_path}"))
    assert report.conversions == before.conversions
    assert report.conversions["EXIF orientation ignored"] == 1
    for one, other in zip(plain, changed, strict=True):
        np.testing.assert_array_equal(recoloured(torch.from_numpy(one)[None])[0], other)


def test_commas_and_selections(tmp_path):
    """The last comma is the argument's; a folder named by a number after a comma takes a slash; patterns apply."""
    for name in ("a,b", "a,4", "a"):
        write_folder(tmp_path / name, random_images(2, 8, 8), ["x.png", "y.png"])
    assert len(open_source(f"lowres:{tmp_path}/a,b,4")) == 2
    assert len(open_source(f"edges:{tmp_path}/a,b")) == 2
    assert open_source(f"hole:{tmp_path}/a,4").item_name(0) == f"{tmp_path}/a/x.png"
    assert open_source(f"hole:{tmp_path}/a,4/").item_name(0) == f"{tmp_path}/a,4/x.png"
    assert open_source(f"hole:{tmp_path}/a,4,4").item_name(0) == f"{tmp_path}/a,4/x.png"
    assert len(open_source(f"grey:{tmp_path}/a", include="x.png")) == 1


def test_paths_of_every_kind_are_degraded(tmp_path):
    """Globs, shards, arrays with a declared range and paths with a colon, as without a degradation."""
    write_folder(tmp_path / "a:b", random_images(4, 8, 8))
    images = random_images(4, 8, 8)
    np.save(tmp_path / "floats.npy", images.astype(np.float32) / 255)
    for index in range(2):
        with tarfile.open(tmp_path / f"s-{index}.tar", "w") as file:
            file.add(tmp_path / "a:b" / f"{index}.png", f"{index}.png")
    for spec, count in (("a:b/[0-2].png", 3), ("s-{0..1}.tar", 2), ("a:b", 4)):
        check_spec(f"lowres:{tmp_path}/{spec},2")
        assert len(images_of(open_source(f"lowres:{tmp_path}/{spec},2"))[0]) == count
    floats = open_source(f"recoloured:{tmp_path}/floats.npy", value_range="[0,1]")
    expected = recoloured(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_array_equal(np.stack(images_of(floats)[0]), expected)
    assert floats.fingerprint() is None


def test_a_stored_spec_holds_anywhere(tmp_path, monkeypatch):
    """Relative paths inside of a spec become absolute, and it still means the same; data sets stay."""
    monkeypatch.chdir(tmp_path)
    assert lasting("lowres:hole:a/b,3,2") == f"lowres:hole:{tmp_path}/a/b,3,2"
    assert lasting("hole:a,4/") == f"hole:{tmp_path}/a,4/"
    assert lasting("edges:digits:train") == "edges:digits:train"
    assert lasting("a") == f"{tmp_path}/a"
    for spec in ("hole:a,4/", "hole:a,4", "lowres:a,b,4"):
        assert lasting(lasting(spec)) == lasting(spec)


def test_degradations_are_checked_without_torch():
    """`check_spec` and `lasting` of them do not import torch."""
    code = (
        "import sys; from ganeval.sources import check_spec, lasting\n"
        "check_spec('lowres:grey:digits:train,2'); lasting('hole:x'); check_spec('unpaired:digits:train,digits:test')\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_objects_are_degraded_where_code_makes_them(tmp_path):
    """A loader from a file of code, by its spec, is a stream that is degraded, too."""
    code = tmp_path / "loader.py"
    code.write_text(
        "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\n"
        "loader = DataLoader(TensorDataset(torch.full((5, 3, 4, 4), 9, dtype=torch.uint8), torch.arange(5)), 2)\n"
    )
    source = open_source(f"recoloured:py:{code}:loader", num_samples=4)
    assert source.fingerprint() is None
    assert [label for batch in batches_of(source) for label in batch.labels] == [0, 1, 2, 3]
    assert {tuple(image[:, 0, 0]) for image in images_of(source)[0]} == {(246, 246, 9)}


def test_every_degradation_is_a_scheme():
    """Every degradation is listed with the sources."""
    assert set(DEGRADATIONS) <= set(SCHEMES)
