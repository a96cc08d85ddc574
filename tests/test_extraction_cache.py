"""The cache finds features again, and detects every change of the images."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from core_helpers import Means, count_decodes, random_images, write_folder, write_image
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval import cache as cache_module
from ganeval.cache import Cache
from ganeval.errors import CacheError, DecodeError
from ganeval.evaluation import evaluate
from ganeval.extraction import extract
from ganeval.features import FeatureSet
from ganeval.metrics.moments import Moments
from ganeval.outputs import Output
from ganeval.places import FileFingerprint
from ganeval.sources import files, open_source
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.remarks import skips

FEATURES: frozenset[Output] = frozenset(("features",))
BOTH: frozenset[Output] = frozenset(("features", "logits"))
COUNT = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images of one size in pixels and in bytes."""
    return write_folder(tmp_path / "images", COUNT)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as written long ago, so that their modification times are trusted."""
    monkeypatch.setattr(files, "FINENESS_NS", -(10**18))


def collected(
    source: object,
    cache: Cache | None,
    *,
    outputs: frozenset[Output] = FEATURES,
    extractor: Means | None = None,
    on_error: str = "fail",
    num_samples: int | None = None,
    seed: int = 0,
) -> tuple[FeatureSet, list[str]]:
    """The features of a source, and the warnings of reading it."""
    reading = Reading(batch_size=4, workers=1, on_error=on_error)  # type: ignore[arg-type]
    opened = open_source(source, num_samples=num_samples, seed=seed)
    (features,) = extract(opened, [extractor or Means()], outputs, reading, cache=cache)
    return features, list(features.warnings)


def same(found: FeatureSet, expected: FeatureSet) -> bool:
    """Whether two sets have the same arrays of the same content."""
    arrays = found.arrays.keys() == expected.arrays.keys() and all(
        torch.equal(found.arrays[output], expected.arrays[output]) for output in expected.arrays
    )
    return arrays and found.digest == expected.digest and found.report == expected.report


def entries(cache: Cache, suffix: str) -> list[Path]:
    """The files of one kind in the cache."""
    return sorted(path for path in cache.root.rglob("*") if path.is_file() and path.name.endswith(suffix))


def test_a_second_run_decodes_nothing(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the same arrays, and says that they are from the cache."""
    decoded = count_decodes(monkeypatch)
    first, _ = collected(folder, cache, outputs=BOTH)
    assert len(decoded) == COUNT
    second, warnings = collected(folder, cache, outputs=BOTH)
    assert len(decoded) == COUNT
    assert same(second, first)
    assert (first.cached, second.cached, warnings) == (False, True, [])


@pytest.mark.usefixtures("_settled")
def test_files_that_were_not_touched_are_not_even_read(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged sizes and times stand for unchanged content."""
    first, _ = collected(folder, cache)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    assert same(collected(folder, cache)[0], first)


def test_conversions_are_remembered(tmp_path: Path, cache: Cache) -> None:
    """The provenance of a cached run counts what was converted when the images were read."""
    from PIL import Image

    (tmp_path / "grey").mkdir()
    for index in range(3):
        Image.fromarray(np.full((4, 4), index, np.uint8)).save(tmp_path / "grey" / f"{index}.png")
    first, second = (collected(tmp_path / "grey", cache)[0] for _ in range(2))
    assert second.cached
    assert first.report.conversions == second.report.conversions == {"greyscale": 3}


def _change_one(folder: Path) -> None:
    write_image(folder / "3.png", seed=77)


def _change_one_and_restore_its_times(folder: Path) -> None:
    before = (folder / "3.png").stat()
    write_image(folder / "3.png", seed=78)
    os.utime(folder / "3.png", ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap_two(folder: Path) -> None:
    (folder / "1.png").rename(folder / "x")
    (folder / "2.png").rename(folder / "1.png")
    (folder / "x").rename(folder / "2.png")


def _rename_out_of_order(folder: Path) -> None:
    (folder / "0.png").rename(folder / "9.png")


CHANGES = {
    "one image": _change_one,
    "one image, times restored": _change_one_and_restore_its_times,
    "two swapped": _swap_two,
    "renamed to another place in the order": _rename_out_of_order,
    "added": lambda folder: write_image(folder / "6.png", seed=79),
    "added in a folder below": lambda folder: write_folder(folder / "more", 1, seed=5),
    "removed": lambda folder: (folder / "5.png").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("trusted", [False, True])
def test_a_change_is_noticed(
    change: Callable[[Path], object], trusted: bool, folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed content or order gives the features of a first run, with trusted times or without."""
    if trusted:
        monkeypatch.setattr(files, "FINENESS_NS", -(10**18))
    before, _ = collected(folder, cache)
    change(folder)
    after, _ = collected(folder, cache)
    assert not after.cached
    assert same(after, collected(folder, None)[0])
    assert after.digest != before.digest


def _copy(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name("copy")))


def _touch(folder: Path) -> Path:
    for path in folder.iterdir():
        path.touch()
    return folder


def _rename_files(folder: Path) -> Path:
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"image-{path.name}")
    return folder


def _add_what_is_no_image(folder: Path) -> Path:
    (folder / "notes.txt").write_text("kept")
    return folder


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return folder.with_suffix(".zip")


ELSEWHERE = {
    "folder renamed": lambda folder: folder.rename(folder.with_name("renamed")),
    "folder copied": _copy,
    "files touched": _touch,
    "files renamed in order": _rename_files,
    "another file": _add_what_is_no_image,
}


@pytest.mark.parametrize("move", ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_same_content_is_not_decoded_again(
    move: Callable[[Path], Path], folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and times are not part of an entry's key."""
    first, _ = collected(folder, cache)
    decoded = count_decodes(monkeypatch)
    again, _ = collected(move(folder), cache)
    assert again.cached
    assert same(again, first)
    assert decoded == []


def test_times_that_a_rewriting_may_leave_as_they_are_are_not_trusted(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file rewritten with the same size within one tick of a coarse clock is detected."""
    monkeypatch.setattr(
        "ganeval.places.fingerprint_of", lambda seen: FileFingerprint(seen.st_size, b"the same", seen.st_mtime_ns)
    )
    collected(folder, cache)
    write_image(folder / "3.png", seed=78)
    assert same(collected(folder, cache)[0], collected(folder, None)[0])


def test_times_are_trusted_once_they_are_old(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only recently written files are hashed a second time, and none a third time."""
    first, _ = collected(folder, cache)
    monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    collected(folder, cache)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    assert same(collected(folder, cache)[0], first)


@pytest.mark.usefixtures("_settled")
@pytest.mark.parametrize("kind", ["zip", "npy"])
def test_a_file_replaced_after_it_was_opened_is_not_mistaken_for_its_successor(
    kind: str, folder: Path, cache: Cache
) -> None:
    """Features of the old file, read through an open handle, are not found under the new file's times."""

    def write(seed: int) -> Path:
        if kind == "zip":
            shutil.rmtree(folder)
            return _zip(write_folder(folder, COUNT, seed=seed))
        np.save(folder / "new.npy", random_images(COUNT, seed=seed).permute(0, 2, 3, 1).numpy())
        return (folder / "new.npy").replace(folder / "images.npy")

    path = write(1)
    opened = open_source(path)
    kept = path.with_name("kept")
    path.rename(kept)
    write(2)
    old, _ = collected(opened, cache)
    new, _ = collected(path, cache)
    assert same(new, collected(path, None)[0])
    assert old.digest != new.digest


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "touch", "swap", "remove", "subset"]), st.integers(0, 4), st.integers(0, 2)
        ),
        max_size=7,
    ),
    st.booleans(),
)
def test_the_cache_never_shows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], trusted: bool
) -> None:
    """After any sequence of changes to a folder, runs with and without a cache agree."""
    place = tmp_path_factory.mktemp("history")
    folder, cache = write_folder(place / "images", 5), Cache(place / "cache")
    with pytest.MonkeyPatch.context() as patch:
        if trusted:
            patch.setattr(files, "FINENESS_NS", -(10**18))
        for kind, index, seed in [("none", 0, 0), *steps]:
            _step(folder, kind, index, seed)
            samples = 2 if kind == "subset" else None
            found, _ = collected(folder, cache, num_samples=samples, seed=seed)
            assert same(found, collected(folder, None, num_samples=samples, seed=seed)[0])


def _step(folder: Path, kind: str, index: int, seed: int) -> None:
    path, other = folder / f"{index}.png", folder / f"{seed}.png"
    if kind == "write":
        write_image(path, seed=seed)
    elif kind == "touch" and path.exists():
        path.touch()
    elif kind == "remove" and path.exists() and len(list(folder.iterdir())) > 2:
        path.unlink()
    elif kind == "swap" and index != seed and path.exists() and other.exists():
        path.rename(folder / "x")
        other.rename(path)
        (folder / "x").rename(other)


@pytest.mark.parametrize(
    "other",
    [
        Means(name="others"),
        Means(sha256="0" * 64),
        Means(preprocessing="halves"),
        Means(precision="bf16"),
    ],
    ids=["name", "weights", "preprocessing", "precision"],
)
def test_extractors_do_not_mix(other: Means, folder: Path, cache: Cache) -> None:
    """Every setting that affects numbers has its own entries."""
    features, _ = collected(folder, cache)
    assert features.digest is not None
    assert cache.load(features.digest, Means(), FEATURES) is not None
    assert cache.load(features.digest, other, FEATURES) is None
    cache.store_moments(features.digest, Means(), Moments.of(features.arrays["features"]))
    assert cache.load_moments(features.digest, other) is None


def test_specs_protocols_and_taps_do_not_mix(folder: Path, untrained_weights: Path) -> None:
    """In one cache, each combination of settings gives the same as without a cache."""
    shallow = {"weights": untrained_weights, "extractor": "inception:64"}
    ways: list[dict[str, object]] = [
        {"extractor": "pixels:4"},
        {"extractor": "pixels:5"},
        {"extractor": "digits"},
        {"extractor": "digits", "precision": "bf16"},
        {**shallow, "protocol": "tensorflow"},
        {**shallow, "protocol": "clean"},
        {**shallow, "extractor": "inception:192"},
    ]
    other = write_folder(folder.with_name("other"), 3, seed=3)
    fresh = [evaluate(folder, other, cache=False, **way)["fid"].value for way in ways]
    for _ in range(2):
        for way, expected in zip(ways, fresh, strict=True):
            assert evaluate(folder, other, **way)["fid"].value == pytest.approx(expected, rel=1e-6)


def test_subsets_do_not_mix(folder: Path, cache: Cache) -> None:
    """Another number of images or another seed is another entry."""
    for _ in range(2):
        for num_samples, seed in ((None, 0), (3, 0), (3, 1), (4, 0)):
            found, _ = collected(folder, cache, num_samples=num_samples, seed=seed)
            assert same(found, collected(folder, None, num_samples=num_samples, seed=seed)[0])


def test_an_output_that_is_missing_is_made(folder: Path, cache: Cache) -> None:
    """Cached features do not stand for missing logits."""
    collected(folder, cache, outputs=FEATURES)
    found, _ = collected(folder, cache, outputs=BOTH)
    assert not found.cached
    assert found.arrays.keys() == BOTH
    assert collected(folder, cache, outputs=BOTH)[0].cached


def test_without_a_cache_none_is_read_or_made(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cache=False` neither reads nor changes the folder."""
    there, none = tmp_path / "there", tmp_path / "none"
    evaluate(folder, folder, extractor="digits", cache_dir=there)
    for name in ("features", "load", "store", "load_moments", "store_moments"):
        monkeypatch.setattr(Cache, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    for place in (there, none):
        assert not evaluate(folder, folder, extractor="digits", cache=False, cache_dir=place).warnings
    assert not none.exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "one byte off": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "overwritten": lambda data: b"\0" * len(data),
    "JSON of something else": lambda data: b"null",
    "a list": lambda data: b'{"conversions": [], "count": 6}',
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("suffix", [".npy", ".json", ".npz"])
def test_damaged_entries_are_replaced(
    damage: Callable[[bytes], bytes], suffix: str, tmp_path: Path, cache: Cache
) -> None:
    """The numbers are those of a first run, and the next run finds valid entries."""
    folder = write_folder(tmp_path / "images", 16)

    def measure(cache: Cache | None) -> tuple[FeatureSet, Moments]:
        (features,) = extract(open_source(folder), [Means()], FEATURES, Reading(), moments=FEATURES, cache=cache)
        return features, features.moments["features"]

    expected, moments = measure(cache)
    written = entries(cache, suffix)
    assert written
    for path in written:
        path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        found, again = measure(cache)
        assert same(found, expected)
        assert torch.equal(again.scatter, moments.scatter)
    assert found.cached


def test_a_pickled_entry_is_not_loaded(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code in a cache entry is not run."""

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return pytest.fail, ("the pickle was run",)

    expected, _ = collected(folder, cache)
    (path,) = entries(cache, ".npy")
    np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    assert same(collected(folder, cache)[0], expected)


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("before", ["nothing", "the same", "another extractor's", "touched"])
def test_a_full_disk_costs_a_warning(before: str, folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number is returned, with one warning and no partial entry."""
    expected, _ = collected(folder, None)
    if before != "nothing":
        collected(folder, cache, extractor=Means(name="others") if "another" in before else None)
        monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    if before == "touched":
        _touch(folder)
    there = entries(cache, "")
    monkeypatch.setattr(Path, "replace", _full)
    found, warnings = collected(folder, cache)
    assert same(found, expected)
    (warning,) = warnings
    assert "No space left on device" in warning
    assert "--no-cache" in warning
    assert entries(cache, "") == there


def test_a_disk_that_fills_up_within_an_array_is_called_full(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """numpy's error has numbers alone, and no errno."""

    def cut(*_: object, **__: object) -> None:
        raise OSError("172800 requested and 16352 written")

    monkeypatch.setattr(np, "save", cut)
    _, (warning,) = collected(folder, cache)
    assert "cannot be written: disk full (172800 requested and 16352 written). The result is not affected" in warning


def test_a_cache_that_cannot_be_made_costs_a_warning(folder: Path, tmp_path: Path) -> None:
    """A file in place of the folder, as an example of an unwritable place, gives a warning."""
    (tmp_path / "file").write_text("")
    found, warnings = collected(folder, Cache(tmp_path / "file"))
    assert same(found, collected(folder, None)[0])
    (warning,) = warnings
    assert str(tmp_path / "file") in warning


@pytest.mark.usefixtures("_settled")
def test_what_is_known_is_not_written_again(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only cache filled by others is used without a warning."""
    collected(folder, cache)
    monkeypatch.setattr(cache_module, "atomic_path", lambda *_: pytest.fail("something was written"))
    found, warnings = collected(folder, cache)
    assert found.cached
    assert warnings == []


def test_entries_are_readable_by_whom_the_user_lets_read(folder: Path, cache: Cache) -> None:
    """A cache can be shared: entries have the permissions of the user's umask."""
    mask = os.umask(0o022)
    try:
        collected(folder, cache)
    finally:
        os.umask(mask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in entries(cache, "")} == {0o644}


def test_info_and_clear(folder: Path, cache: Cache) -> None:
    """Counts are those of the files, and clearing also removes files of a killed process."""
    assert cache.info() == cache.clear() == cache_module.CacheInfo(cache.root, 0, 0)
    collected(folder, cache, outputs=BOTH)
    (cache.root / "features" / ".ganeval-1-dead.tmp").write_bytes(b"12345")
    (cache.root / "weights").mkdir()
    found = cache.info()
    assert found.entries == 2
    assert found.bytes == sum(path.stat().st_size for path in entries(cache, ""))
    assert cache.clear() == found
    assert [path.name for path in cache.root.iterdir()] == ["weights"]
    assert cache.info().bytes == 0


def test_a_cache_that_cannot_be_cleared_is_an_error(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the place and the reason."""
    collected(folder, cache)

    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(CacheError, match=r"cache cannot be cleared: Permission denied\."):
        cache.clear()


def _while_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once, after the first image was decoded."""
    decode, done = files.decode, []

    def decoded(data: bytes, name: str) -> object:
        result = decode(data, name)
        if not done:
            done.append(act())
        return result

    monkeypatch.setattr(files, "decode", decoded)


@pytest.mark.parametrize("change", [_change_one, _touch, lambda folder: (folder / "0.png").unlink()])
def test_a_source_that_changes_while_it_is_read_is_not_kept(
    change: Callable[[Path], object], folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is returned with a warning, and the next run reads again."""
    with monkeypatch.context() as patch:
        _while_reading(patch, lambda: change(folder))
        found, warnings = collected(folder, cache)
    assert len(found) == COUNT
    assert warnings == [f"{folder} changed while it was read; its features were not kept."]
    again, _ = collected(folder, cache)
    assert not again.cached
    assert same(again, collected(folder, None)[0])


def test_features_with_images_left_out_are_not_kept(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run reads the damaged image again, and reports it."""
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:100])
    decoded = count_decodes(monkeypatch)
    for run in (1, 2):
        found, warnings = collected(folder, cache, on_error="skip")
        assert (len(found), len(decoded)) == (COUNT - 1, COUNT * run)
        (warning,) = warnings
        assert f"{folder}: 1 image could not be read and was left out ({folder}/2.png: " in warning
    with pytest.raises(DecodeError, match=r"2\.png"):
        collected(folder, cache)


def test_many_skipped_images_are_summed_up() -> None:
    """Three are named and the others counted."""
    report = ReadReport(skipped=[(f"{index}.png", "broken") for index in range(5)])
    assert list(skips("Tensor", report)) == [
        "Tensor: 5 images could not be read and were left out (0.png: broken; 1.png: broken; 2.png: broken; "
        "and 2 more)."
    ]


@pytest.mark.parametrize("stored", [False, True])
def test_an_image_that_cannot_be_opened_is_left_to_the_reading(stored: bool, folder: Path, cache: Cache) -> None:
    """The cache does not fail for an image that the reading skips."""
    (folder / "3.png").rename(folder.with_name("elsewhere"))
    (folder / "3.png").symlink_to(folder.with_name("elsewhere"))
    if stored:
        collected(folder, cache)
    folder.with_name("elsewhere").unlink()
    found, warnings = collected(folder, cache, on_error="skip")
    assert len(found) == COUNT - 1
    assert len(warnings) == 1
    with pytest.raises(DecodeError, match=r"3\.png"):
        collected(folder, cache)


def test_an_image_that_cannot_be_hashed_is_left_to_the_reading(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image has modification times but no readable bytes."""
    collected(folder, cache)
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "3.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    found, warnings = collected(folder, cache, on_error="skip")
    assert len(found) == COUNT - 1
    assert "Permission denied" in warnings[0]


def test_moments_are_kept_and_equal(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run gets the same moments bit for bit without computing them."""
    folder = write_folder(tmp_path / "images", 20)

    def moments() -> Moments:
        (features,) = extract(open_source(folder), [Means()], FEATURES, Reading(), moments=FEATURES, cache=cache)
        return features.moments["features"]

    first = moments()
    monkeypatch.setattr(cache_module.Moments, "of", lambda *_: pytest.fail("moments were taken again"))
    second = moments()
    assert second.count == first.count == 20
    assert torch.equal(second.mean, first.mean)
    assert torch.equal(second.scatter, first.scatter)


def test_arrays_from_the_cache_cannot_reach_it(folder: Path, cache: Cache) -> None:
    """Changing the arrays does not change the entry."""
    expected, _ = collected(folder, cache)
    collected(folder, cache)[0].arrays["features"].zero_()
    assert same(collected(folder, cache)[0], expected)


@pytest.mark.parametrize("source", [lambda: iter([random_images(4)]), lambda: torch.utils.data.DataLoader([])])
def test_streams_are_not_cached(source: Callable[[], object], cache: Cache) -> None:
    """A source that cannot be identified before reading leaves no entry."""
    stream = open_source(source())
    assert stream.fingerprint() is None
    assert list(stream.digests()) == []
    if not isinstance(source(), torch.utils.data.DataLoader):
        collected(stream, cache)
    assert not cache.root.exists()


def _script(cache: Cache, folder: Path, before: str) -> list[str]:
    code = f"""
        import sys
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from core_helpers import Means
        from ganeval import cache as cache_module
        from ganeval.cache import Cache
        from ganeval.extraction import extract
        from ganeval.sources import open_source
        from ganeval.sources.base import Reading
        {before}
        for _ in range(20):
            cache = Cache(Path({str(cache.root)!r}))
            wanted = frozenset(("features",))
            source = open_source({str(folder)!r})
            (features,) = extract(source, [Means()], wanted, Reading(), moments=wanted, cache=cache)
            assert not features.warnings, features.warnings
            cache.store(features, Means())
    """
    return ["-c", textwrap.dedent(code)]


def test_processes_share_a_cache_and_one_that_is_killed_leaves_no_half_entry(
    python: Sequence[str], tmp_path: Path, cache: Cache
) -> None:
    """Two processes write the same entries repeatedly while a third is killed during a write."""
    folder = write_folder(tmp_path / "images", 16)
    dying = (
        "import os, signal; cache_module.np.save = lambda file, array: "
        "(file.write(array.tobytes()[:40]), file.flush(), os.kill(os.getpid(), signal.SIGKILL))"
    )
    commands = [_script(cache, folder, before) for before in ("", "", dying)]
    running = [subprocess.Popen([*python, *command]) for command in commands]
    assert [process.wait(120) for process in running] == [0, 0, -signal.SIGKILL]
    found, warnings = collected(folder, cache)
    assert found.cached
    assert same(found, collected(folder, None)[0])
    assert warnings == []
    assert len([path for path in entries(cache, "") if path.suffix == ".tmp"]) == 1
    cache.clear()
    assert entries(cache, "") == []
