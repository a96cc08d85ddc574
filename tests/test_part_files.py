"""Features extracted in parts and merged are those of one extraction, and what does not fit is refused."""

import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core_helpers import Means, count_decodes, random_images, write_folder, write_image
from pytorch_fid.fid_score import compute_statistics_of_path
from torch import Tensor

import ganeval
from ganeval.errors import SourceError, UsageError
from ganeval.part_files import ExtractedPart
from ganeval.sources import files

COUNT, BATCH = 37, 4
METRICS = ["fid", "kid", "is", "precision", "recall", "density", "coverage", "authenticity"]


class Draws:
    """A live generator of two classes, some of whose images are equal; shift: its weights."""

    num_classes = 2
    value_range = "uint8"

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """Draw n images, the first twice."""
        images = torch.randint(0, 200, (n, 3, 8, 8), generator=rng, dtype=torch.uint8) + self.shift
        images[-1] = images[0]
        return images


def folder(root: Path) -> str:
    """Class folders with an image twice in distant parts, and one that cannot be read."""
    for name in ("cat", "dog"):
        write_folder(root / name, COUNT // 2 + 1, seed=len(name) + ord(name[0]))
    shutil.copy(root / "cat" / "1.png", root / "dog" / "17.png")
    (root / "dog" / "3.png").write_bytes(b"no image")
    return str(root)


def array(root: Path) -> str:
    """An .npz of images, with labels."""
    np.savez(
        root / "a.npz", images=random_images(COUNT, seed=3).permute(0, 2, 3, 1).numpy(), labels=np.arange(COUNT) % 3
    )
    return str(root / "a.npz")


SOURCES: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "folder": (folder, {"on_error": "skip"}),
    "subset": (folder, {"on_error": "skip", "num_samples": 21, "seed": 5}),
    "selected": (folder, {"exclude": ["dog/3.png"], "prepared": "by hand"}),
    "npz": (array, {}),
    "generator": (lambda _: Draws(), {"num_samples": 70, "seed": 3}),
    "degraded": (lambda root: f"lowres:{array(root)},2", {}),
}


def extracted(source: object, path: Path | str, number: int = 1, of: int = 1, **settings: Any) -> ExtractedPart:
    """One shard."""
    chosen = {"extractor": Means(), "batch_size": BATCH, "cache": False, **settings}
    return ganeval.extract_features(source, path, shard=(number, of), **chosen)


def shards(source: object, root: Path, of: int, **settings: Any) -> list[Path]:
    """The files of all shards."""
    paths = [root / f"{number}-of-{of}.npz" for number in range(1, of + 1)]
    for number, path in enumerate(paths, 1):
        extracted(source, path, number, of, **settings)
    return paths


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of images without classes."""
    return write_folder(tmp_path / "images", COUNT)


@pytest.mark.parametrize("kind", SOURCES)
def test_merged_parts_are_one_extraction(kind: str, tmp_path: Path) -> None:
    """Whatever the number of shards, uneven or empty, evaluations are to the last digit those of the source."""
    make, settings = SOURCES[kind]
    (tmp_path / "set").mkdir()
    source, reals = make(tmp_path / "set"), random_images(60, seed=9)
    how: dict[str, Any] = {"extractor": Means(), "cache": False}
    wanted = ganeval.evaluate(reals, source, metrics=METRICS, batch_size=BATCH, **how, **{**settings, "prepared": None})
    whole = tmp_path / "whole.npz"
    extracted(source, whole, **settings)
    for of in (1, 3, 40):
        merged = tmp_path / f"merged-{of}.npz"
        ganeval.merge_parts(shards(source, tmp_path, of, **settings), merged)
        # The reals are cut down to as many, which all of the fakes are.
        reals_too = {name: settings[name] for name in ("num_samples", "seed") if kind == "subset"}
        found = ganeval.evaluate(reals, merged, metrics=METRICS, **how, **reals_too)
        assert found.to_dict()["metrics"] == wanted.to_dict()["metrics"]
        assert found.provenance["fake"]["digest"] == wanted.provenance["fake"]["digest"]
        assert found.provenance["fake"]["skipped"] == wanted.provenance["fake"]["skipped"]
        assert found.fake is not None
        assert wanted.fake is not None
        assert found.fake.class_names == wanted.fake.class_names
        assert (found.fake.labels is None) == (wanted.fake.labels is None)
        assert found.fake.labels is None or torch.equal(found.fake.labels, wanted.fake.labels)  # type: ignore[arg-type]
        assert len(found.warnings) == len(wanted.warnings)
        with np.load(merged) as one, np.load(whole) as other:
            assert set(one.files) == set(other.files)
            assert all(np.array_equal(one[name], other[name]) for name in one.files if name != "part")


def test_merged_reals_and_fakes_need_no_images(tmp_path: Path) -> None:
    """Both sides can be files, after the images are gone, and metrics of classes find the classes."""
    source, how = folder(tmp_path / "set"), {"extractor": Means(), "cache": False}
    ganeval.merge_parts(shards(source, tmp_path, 3, on_error="skip"), tmp_path / "a.npz")
    wanted = ganeval.evaluate(source, source, metrics=["fid", "intra_fid"], batch_size=BATCH, on_error="skip", **how)
    shutil.rmtree(source)
    found = ganeval.evaluate(tmp_path / "a.npz", str(tmp_path / "a.npz"), metrics=["fid", "intra_fid"], **how)
    assert {name: one.value for name, one in found.metrics.items()} == {
        name: one.value for name, one in wanted.metrics.items()
    }
    assert found.comparable
    assert found.provenance["real"]["extracted"] == {"name": source, "kind": "folder"}


def test_merging_is_associative_and_order_free(tmp_path: Path) -> None:
    """Merging in any order and in any groups gives the same bytes."""
    parts = shards(folder(tmp_path / "set"), tmp_path, 4, on_error="skip")
    ganeval.merge_parts(parts, tmp_path / "wanted.npz")
    wanted = (tmp_path / "wanted.npz").read_bytes()
    found = tmp_path / "found.npz"
    for order in itertools.permutations(parts):
        ganeval.merge_parts(order, found)
        assert found.read_bytes() == wanted
    for chosen in ((0, 2), (1, 3), (0, 1, 2), (3,)):
        ganeval.merge_parts([parts[one] for one in chosen], tmp_path / "some.npz", partial=True)
        rest = [part for place, part in enumerate(parts) if place not in chosen]
        ganeval.merge_parts([*rest, tmp_path / "some.npz"], found)
        assert found.read_bytes() == wanted


def test_statistics_in_a_merged_file_are_those_of_stats(tmp_path: Path) -> None:
    """mu and sigma are to the last digit those of `write_reference`; pytorch-fid reads them."""
    source = folder(tmp_path / "set")
    ganeval.merge_parts(shards(source, tmp_path, 3, on_error="skip"), tmp_path / "merged.npz")
    ganeval.write_reference(
        source, tmp_path / "stats.npz", extractor=Means(), batch_size=BATCH, cache=False, on_error="skip"
    )
    with np.load(tmp_path / "merged.npz") as merged, np.load(tmp_path / "stats.npz") as stats:
        assert np.array_equal(merged["mu"], stats["mu"])
        assert np.array_equal(merged["sigma"], stats["sigma"])
        assert merged["features"].shape == (37, 12)
        read = compute_statistics_of_path(str(tmp_path / "merged.npz"), None, 1, 12, "cpu")
        assert all(np.array_equal(one, stats[name]) for one, name in zip(read, ("mu", "sigma"), strict=True))


def other_set(root: Path) -> object:
    """Another folder of as many images."""
    return write_folder(root / "other", COUNT, seed=4, size=9)


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "another extractor": ({"extractor": Means(name="medians")}, "differ in extractor: 'means' and 'medians'"),
    "other weights": ({"extractor": Means(sha256="ab")}, "differ in weights sha256: '' and 'ab'"),
    "another preprocessing": ({"extractor": Means(preprocessing="x")}, "differ in preprocessing: 'quarters' and 'x'"),
    "another precision": ({"extractor": Means(precision="bf16")}, "differ in precision: 'fp32' and 'bf16'"),
    "another protocol": ({"protocol": "clean"}, "differ in protocol: 'tensorflow' and 'clean'"),
    "another batch size": ({"batch_size": 8}, "differ in the batch size, .*: '4' and '8'"),
    "other outputs": ({"metrics": ["fid"]}, r"differ in outputs: '\['features', 'logits'\]' and"),
    "another subset": ({"num_samples": COUNT}, "differ in source subset"),
    "other images": ({"source": other_set}, "differ in their images"),
    "another number of shards": ({"of": 2}, "differ in the number of shards: '3' and '2'"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_parts_that_do_not_belong_together_are_refused(case: str, images: Path, tmp_path: Path) -> None:
    """The error names two files, and what they differ in."""
    changed, message = DIFFERENT[case]
    settings: dict[str, Any] = {"of": 3, **changed}
    source = settings.pop("source")(tmp_path) if "source" in settings else images
    extracted(images, tmp_path / "a.npz", 1, 3)
    extracted(source, tmp_path / "b.npz", 2, settings.pop("of"), **settings)
    with pytest.raises(UsageError, match=f"a.npz and .*b.npz {message}"):
        ganeval.merge_parts([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "m.npz", partial=True)
    assert not (tmp_path / "m.npz").exists()


def test_a_generator_that_was_trained_on_is_refused(tmp_path: Path) -> None:
    """Parts of a generator before and after more training, which have the same name, are not merged."""
    for number, shift in ((1, 0), (2, 1)):
        extracted(Draws(shift), tmp_path / f"{number}.npz", number, 2, num_samples=70)
    with pytest.raises(UsageError, match="differ in their images: they are of different sets, or the set changed"):
        ganeval.merge_parts([tmp_path / "1.npz", tmp_path / "2.npz"], tmp_path / "m.npz")


def test_images_that_are_there_twice_are_refused(images: Path, tmp_path: Path) -> None:
    """Two files with the same images are named, as are two that overlap in part."""
    parts = shards(images, tmp_path, 3)
    shutil.copy(parts[1], tmp_path / "again.npz")
    with pytest.raises(UsageError, match=r"2-of-3.npz and .*again.npz both hold image 13, and are of the same images"):
        ganeval.merge_parts([*parts, tmp_path / "again.npz"], tmp_path / "m.npz")
    ganeval.merge_parts(parts[:2], tmp_path / "some.npz", partial=True)
    with pytest.raises(UsageError, match="both hold image 13: leave one of them out"):
        ganeval.merge_parts([tmp_path / "some.npz", *parts[1:]], tmp_path / "m.npz")


def test_missing_shards_are_named(images: Path, tmp_path: Path) -> None:
    """Neither merging nor an evaluation takes some of the shards for all of them."""
    parts = shards(images, tmp_path, 5)
    with pytest.raises(SourceError, match="24 of 37 images are there; missing: shards 2, 5 of 5"):
        ganeval.merge_parts([parts[0], parts[2], parts[3]], tmp_path / "m.npz")
    assert ganeval.merge_parts(parts[:4], tmp_path / "m.npz", partial=True).missing == (5,)
    with pytest.raises(UsageError, match=r"m.npz holds 32 of 37 images; missing: shard 5 of 5"):
        ganeval.fid(images, tmp_path / "m.npz", extractor=Means(), cache=False)


def test_a_damaged_part_is_named(images: Path, tmp_path: Path) -> None:
    """A part that is cut off, has a wrong byte, is gone or is another file is named; nothing is written."""
    parts = shards(images, tmp_path, 3)
    data = parts[1].read_bytes()
    at = data.index(b"features.npy") + 200
    for damaged in (data[:-100], data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :], b""):
        parts[1].write_bytes(damaged)
        with pytest.raises(SourceError, match=r"2-of-3.npz is damaged .*; remove it and extract that shard again"):
            ganeval.merge_parts(parts, tmp_path / "m.npz")
    parts[1].unlink()
    with pytest.raises(SourceError, match=r"2-of-3.npz does not exist"):
        ganeval.merge_parts(parts, tmp_path / "m.npz")
    np.savez(parts[1], mu=np.zeros(2))
    folder, note = tmp_path / "folder.npz", tmp_path / "note.json"
    folder.mkdir()
    note.write_text("{}")
    for other in (parts[1], folder, images, note):
        with pytest.raises(UsageError, match=f"^{other} holds no extracted features"):
            ganeval.merge_parts([parts[0], other, parts[2]], tmp_path / "m.npz")
    assert not (tmp_path / "m.npz").exists()


def test_a_whole_part_is_not_extracted_again(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the same images is left as it is, touched or not; a changed, damaged or other one is replaced."""
    monkeypatch.setattr(files, "FINENESS_NS", -(10**18))
    path, decoded = tmp_path / "2.npz", count_decodes(monkeypatch)

    def again(**settings: Any) -> bool:
        decoded.clear()
        written = extracted(images, path, 2, 3, **settings).written
        # The first batch of the set tells it from others.
        assert len(decoded) == (BATCH + 12 if written else BATCH)
        return written

    assert again()
    assert not again()
    os.utime(images / "20.png")
    assert not again()
    shutil.copytree(images, tmp_path / "copy")
    assert not extracted(tmp_path / "copy", path, 2, 3).written
    data = path.read_bytes()
    path.write_bytes(data[:-50])
    assert again()
    assert path.read_bytes() == data or not again()
    assert again(extractor=Means(sha256="ab"))
    assert again()
    # Names sort as numbers: 13 is in the second of three parts, 30 in the last.
    write_image(images / "30.png", seed=77)
    assert not again()
    write_image(images / "13.png", seed=77)
    assert again()


def test_an_image_that_could_not_be_read_is_read_again_once_it_can(tmp_path: Path) -> None:
    """It is told; it stays left out only while the file is as it was, and only where that is allowed."""
    images, path = write_folder(tmp_path / "images", 21), tmp_path / "f.npz"
    good = (images / "7.png").read_bytes()
    # As long as it was, so that the sizes of the files do not tell.
    (images / "7.png").write_bytes(good[:50] + bytes(len(good) - 50))
    for name in (images, *images.iterdir()):
        os.utime(name, (1, 1))
    found = extracted(images, path, on_error="skip")
    assert found.warnings[0].startswith(f"{images}: 1 image could not be read and was left out ({images}/7.png: ")
    assert ganeval.merge_parts([path], tmp_path / "m.npz").warnings == found.warnings
    with pytest.raises(SourceError, match=r"7\.png"):
        extracted(images, path)
    assert path.exists()
    (images / "7.png").write_bytes(good)
    found = extracted(images, path, on_error="skip")
    assert (found.written, found.skipped, found.warnings) == (True, 0, ())
    assert not extracted(images, path).written


def test_a_part_of_a_generator_is_drawn_again_only_if_that_changed(tmp_path: Path) -> None:
    """A generator is recognised by its first images."""
    path = tmp_path / "p.npz"
    assert extracted(Draws(), path, 2, 2, num_samples=70).written
    assert not extracted(Draws(), path, 2, 2, num_samples=70).written
    assert extracted(Draws(1), path, 2, 2, num_samples=70).written
    assert extracted(Draws(1), path, 2, 2, num_samples=70, seed=1).written


def test_a_file_is_measured_as_it_was_extracted(images: Path, tmp_path: Path) -> None:
    """Another extractor, an output that is not there, and another preparation are refused."""
    path, how = tmp_path / "f.npz", {"extractor": Means(), "cache": False}
    found = extracted(images, path, metrics=["fid"], prepared="by hand")
    assert (found.images, found.outputs, found.missing) == (COUNT, {"features": 12}, ())
    with pytest.raises(UsageError, match=r"f.npz was measured with weights_sha256 '', and this measurement has 'ab'"):
        ganeval.fid(path, images, extractor=Means(sha256="ab"), cache=False)
    with pytest.raises(UsageError, match=r"'is' needs logits, but .*f.npz holds only features"):
        ganeval.inception_score(path, **how)
    with pytest.raises(UsageError, match="were prepared as 'by hand', not as 'x'"):
        ganeval.fid(path, images, prepared="x", **how)
    assert ganeval.evaluate(path, images, **how).provenance["real"]["prepared"] == "by hand"
    with pytest.raises(UsageError, match="holds features already"):
        extracted(path, tmp_path / "g.npz")
    with pytest.raises(UsageError, match="only images can be changed"):
        ganeval.fid(images, f"lowres:{path},2", **how)


@pytest.mark.parametrize("seed", range(4))
def test_a_subset_of_a_file_is_that_of_a_folder(seed: int, tmp_path: Path) -> None:
    """num_samples chooses the same images of a file as of the folder, the unreadable one among them or not."""
    images = folder(tmp_path / "set")
    extracted(images, tmp_path / "f.npz", on_error="skip")
    how: dict[str, Any] = {"extractor": Means(), "cache": False, "num_samples": 21, "seed": seed, "on_error": "skip"}
    one, other = (ganeval.evaluate(None, of, metrics=["is"], **how) for of in (images, tmp_path / "f.npz"))
    assert one.fake is not None
    assert other.fake is not None
    assert one.fake.pixels is not None
    assert torch.equal(one.fake.pixels, other.fake.pixels)  # type: ignore[arg-type]
    assert one.fake.digest == other.fake.digest
    assert torch.equal(one.fake.labels, other.fake.labels)  # type: ignore[arg-type]
    assert one.provenance["fake"]["skipped"] == other.provenance["fake"]["skipped"]


BAD: dict[str, tuple[object, dict[str, Any], str]] = {
    "no such shard": (random_images(4), {"number": 3, "of": 2}, "Shard 3 of 2 does not exist"),
    "another ending": (random_images(4), {"path": "x.dat"}, "must end in .npz"),
    "a stream": (iter([random_images(4)]), {"of": 2}, "can only be read from its beginning"),
    "features": (ganeval.Features(torch.rand(4, 3)), {}, "holds features already"),
    "a plain function": (
        random_images(4),
        {"extractor": lambda images: images.flatten(1).float()},
        "may change unseen",
    ),
    "no logits": (random_images(4), {"extractor": "pixels:4", "metrics": ["is"]}, "need logits, and .* gives only"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_extracted_is_refused(case: str, tmp_path: Path) -> None:
    """The error says what is wrong."""
    source, settings, message = BAD[case]
    with pytest.raises(UsageError, match=message):
        extracted(source, tmp_path / settings.pop("path", "x.npz"), **settings)


@pytest.mark.parametrize("shard", [3, "1/3", (1.0, 3), (1, 2, 3)])
def test_a_shard_is_two_whole_numbers(shard: Any, tmp_path: Path) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(
        UsageError, match=r"A shard is given as its number and the number of shards, as in \(3, 8\), found"
    ):
        ganeval.extract_features("digits:test", tmp_path / "f.npz", shard=shard)
    with pytest.raises(UsageError, match=r"Parts are a list of files, and f\.npz is one; write \['f\.npz'\]"):
        ganeval.merge_parts("f.npz", tmp_path / "g.npz")


def test_a_stream_is_extracted_whole(tmp_path: Path) -> None:
    """An iterable has no shards, and one file."""
    found = extracted(iter([random_images(4), random_images(3)]), tmp_path / "f.npz")
    assert (found.images, found.total, found.missing) == (7, 7, ())
    assert ganeval.fid(random_images(9), tmp_path / "f.npz", extractor=Means(), cache=False).n_fake == 7


def test_parts_may_lie_in_an_object_store(images: Path, tmp_path: Path) -> None:
    """Parts and merged files are written to URLs, read from them and recognised there; wildcards are expanded."""
    fs = pytest.importorskip("fsspec").filesystem("memory")
    whole = tmp_path / "whole.npz"
    ganeval.merge_parts(shards(images, tmp_path, 2), whole)
    try:
        for number in (1, 2):
            assert extracted(images, f"memory://parts/{number}.npz", number, 2).written
        assert not extracted(images, "memory://parts/1.npz", 1, 2).written
        ganeval.merge_parts(["memory://parts/*.npz"], "memory://whole.npz")
        assert fs.cat("/whole.npz") == whole.read_bytes()
        how: dict[str, Any] = {"extractor": Means(), "cache": False}
        values = [ganeval.fid("memory://whole.npz", images, **how).value, ganeval.fid(whole, images, **how).value]
        assert values[0] == values[1]
    finally:
        fs.store.clear()


def test_nothing_to_merge_is_refused(tmp_path: Path) -> None:
    """Without files there is an error."""
    nothing: Sequence[Path] = []
    with pytest.raises(UsageError, match="nothing to merge"):
        ganeval.merge_parts(nothing, tmp_path / "x.npz")
    with pytest.raises(UsageError, match=r"No file matches .*parts-\*\.npz; give the files of all shards"):
        ganeval.merge_parts([tmp_path / "parts-*.npz"], tmp_path / "x.npz")


def test_too_many_unreadable_images_of_all_shards_are_refused(tmp_path: Path) -> None:
    """The limit of skipped images is that of the whole set, over all shards."""
    root = write_folder(tmp_path / "set", 40)
    for name in ("3", "30"):
        (root / f"{name}.png").write_bytes(b"no image")
    parts = shards(root, tmp_path, 2, on_error="skip")
    with pytest.raises(SourceError, match="2 of 40 images could not be read, over the limit of 1%"):
        ganeval.merge_parts(parts, tmp_path / "m.npz")
