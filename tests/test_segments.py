"""An interrupted reading of a long source goes on where it stopped, to the same numbers."""

import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from core_helpers import Means, count_decodes, write_folder, write_image
from torch import Tensor

import ganeval
from ganeval import cache as cache_module
from ganeval import segments
from ganeval.cache import Cache
from ganeval.extraction import extract
from ganeval.extractors.base import Extractor
from ganeval.features import FeatureSet
from ganeval.outputs import Output
from ganeval.sources import files, open_source
from ganeval.sources.base import Reading

BOTH: frozenset[Output] = frozenset(("features", "logits"))
COUNT, SEGMENT = 37, 8
HERE = Path(__file__).parent
pytestmark = pytest.mark.usefixtures("_short")


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are of 8 images, and files count as written long ago."""
    monkeypatch.setattr(segments, "SEGMENT", SEGMENT)
    monkeypatch.setattr(files, "FINENESS_NS", -(10**18))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """37 images, two of them equal, and one of which cannot be read."""
    root = write_folder(tmp_path / "images", COUNT)
    write_image(root / "30.png", seed=2)
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


class Stops(Means):
    """The same extractor, which fails after some images."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.left = images

    def prepare(self, images: Tensor) -> Tensor:
        self.left -= len(images)
        if self.left < 0:
            raise KeyboardInterrupt
        return super().prepare(images)


def collected(folder: Path, cache: Cache | None, *extractors: Extractor, on_error: str = "fail") -> FeatureSet:
    """The features of a folder by the first extractor."""
    reading = Reading(batch_size=4, workers=1, on_error=on_error)  # type: ignore[arg-type]
    return extract(open_source(folder), extractors or [Means()], BOTH, reading, cache=cache)[0]


def interrupted(folder: Path, cache: Cache, images: int, *more: Extractor, on_error: str = "fail") -> None:
    """A reading that is interrupted after some images."""
    with pytest.raises(KeyboardInterrupt):
        collected(folder, cache, Stops(images), *more, on_error=on_error)


def kept(cache: Cache) -> list[str]:
    """The names of segments that are there."""
    return sorted(path.name for path in (cache.root / "segments").rglob("*.npz"))


def same(found: FeatureSet, wanted: FeatureSet) -> bool:
    """Whether two sets have the same rows, digests and reports."""
    assert found.pixels is not None
    assert wanted.pixels is not None
    arrays = all(torch.equal(found.arrays[output], wanted.arrays[output]) for output in wanted.arrays)
    return (
        arrays
        and found.digest == wanted.digest
        and torch.equal(found.pixels, wanted.pixels)
        and (found.report == wanted.report)
    )


def test_an_interrupted_reading_goes_on(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was left is decoded; the result is that of one reading; then no segment is left."""
    wanted = collected(folder, None)
    interrupted(folder, cache, 22)
    assert kept(cache) == ["0-5.npz", "1-5.npz"]
    decoded = count_decodes(monkeypatch)
    found = collected(folder, cache)
    assert sorted(int(Path(name).stem) for name in decoded) == list(range(16, COUNT))
    assert same(found, wanted)
    assert kept(cache) == []
    assert collected(folder, cache).cached


def test_progress_counts_images_of_kept_segments(folder: Path, cache: Cache) -> None:
    """The bar of a reading that goes on ends at the number of images."""
    interrupted(folder, cache, 22)
    shown: list[int] = []

    class Bar:
        def __enter__(self) -> object:
            return shown.append

        def __exit__(self, *_: object) -> None: ...

    reading = Reading(batch_size=4, workers=1)
    extract(open_source(folder), [Means()], BOTH, reading, cache=cache, progress=lambda name, total: Bar())  # type: ignore[arg-type, return-value]
    assert shown[:2] == [8, 8]
    assert sum(shown) == COUNT


def test_a_damaged_segment_is_read_again(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as missing; the others are used."""
    wanted = collected(folder, None)
    interrupted(folder, cache, 30)
    (second,) = (path for path in cache.root.rglob("1-5.npz"))
    data = bytearray(second.read_bytes())
    data[data.index(b"pixels.npy") + 160] ^= 1
    second.write_bytes(data)
    decoded = count_decodes(monkeypatch)
    assert same(collected(folder, cache), wanted)
    assert len(decoded) == COUNT - 2 * SEGMENT


def test_several_extractors_share_segments(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment has the rows of all extractors."""
    wanted = collected(folder, None)
    interrupted(folder, cache, 22, Means(name="other"))
    decoded = count_decodes(monkeypatch)
    found = collected(folder, cache, Means(), Means(name="other"))
    assert len(decoded) == COUNT - 16
    assert same(found, wanted)


def test_unreadable_images_are_remembered(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that were skipped before the interruption are in the report; a strict reading begins anew."""
    (folder / "3.png").write_bytes(b"no image")
    wanted = collected(folder, None, on_error="skip")
    interrupted(folder, cache, 30, on_error="skip")
    assert len(kept(cache)) == 3
    decoded = count_decodes(monkeypatch)
    found = collected(folder, cache, on_error="skip")
    assert same(found, wanted)
    assert found.report.skipped_indices == [3]
    assert len(decoded) < COUNT
    interrupted(folder, cache, 30, on_error="skip")
    with pytest.raises(ganeval.GanevalError, match=r"3\.png"):
        collected(folder, cache)


@pytest.mark.parametrize("change", ["an image", "the extractor", "the batch size"])
def test_segments_of_something_else_are_not_used(
    change: str, folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed images, another extractor and another batch size are read from the start."""
    interrupted(folder, cache, 22)
    if change == "an image":
        write_image(folder / "20.png", seed=99)
    extractor = Means(sha256="ab") if change == "the extractor" else Means()
    reading = Reading(batch_size=8 if change == "the batch size" else 4, workers=1)
    decoded = count_decodes(monkeypatch)
    extract(open_source(folder), [extractor], BOTH, reading, cache=cache)
    assert len(decoded) == COUNT


def test_small_sets_have_no_segments(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of no more images than a segment is read at one go."""
    monkeypatch.setattr(segments, "SEGMENT", COUNT)
    interrupted(folder, cache, 30)
    assert kept(cache) == []


def test_files_that_may_change_unseen_have_no_segments(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files written a moment ago could be written again without a trace in their times."""
    monkeypatch.setattr(files, "FINENESS_NS", 10**18)
    interrupted(folder, cache, 30)
    assert kept(cache) == []


def test_a_full_disk_is_a_warning(folder: Path, cache: Cache) -> None:
    """Where segments cannot be written, the result is the same, and a warning says what is lost."""
    (cache.root).mkdir()
    (cache.root / "segments").write_text("no folder")
    wanted = collected(folder, None)
    found = collected(folder, cache)
    assert torch.equal(found.arrays["features"], wanted.arrays["features"])
    assert any("Segments of this reading cannot be kept" in warning for warning in found.warnings)


def test_clearing_the_cache_removes_segments(folder: Path, cache: Cache) -> None:
    """What an abandoned reading left is counted and cleared."""
    interrupted(folder, cache, 30)
    assert cache.info().bytes > 0
    cache.clear()
    assert cache.info() == cache_module.CacheInfo(cache.root, 0, 0)


def test_an_interrupted_shard_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`extract_features` keeps segments, too, and removes them when the file is written."""
    monkeypatch.setattr(segments, "SEGMENT", 4)
    how = {"batch_size": 4, "cache_dir": tmp_path / "cache", "shard": (2, 2)}
    wanted = tmp_path / "wanted.npz"
    ganeval.extract_features(folder, wanted, extractor=Means(), **how)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        ganeval.extract_features(folder, tmp_path / "a.npz", extractor=Stops(10), **how)  # type: ignore[arg-type]
    assert kept(Cache(tmp_path / "cache")) == ["0-5.npz", "1-5.npz"]
    decoded = count_decodes(monkeypatch)
    ganeval.extract_features(folder, tmp_path / "a.npz", extractor=Means(), **how)  # type: ignore[arg-type]
    # The first batch of the set, and what was left.
    assert len(decoded) == 4 + 9
    assert (tmp_path / "a.npz").read_bytes() == wanted.read_bytes()
    assert kept(Cache(tmp_path / "cache")) == []


class Counts:
    """A live generator that counts what it draws."""

    value_range = "uint8"
    drawn = 0

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """Noise."""
        Counts.drawn += n
        return torch.randint(0, 256, (n, 3, 8, 8), generator=rng, dtype=torch.uint8)


def test_an_interrupted_extraction_of_a_generator_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was drawn and extracted before is not drawn again."""
    monkeypatch.setattr(segments, "SEGMENT", 32)
    how = {"batch_size": 32, "num_samples": 128, "cache_dir": tmp_path / "cache"}
    with pytest.raises(KeyboardInterrupt):
        ganeval.extract_features(Counts(), tmp_path / "a.npz", extractor=Stops(70), **how)  # type: ignore[arg-type]
    assert kept(Cache(tmp_path / "cache")) == ["0-4.npz", "1-4.npz"]
    before = Counts.drawn
    ganeval.extract_features(Counts(), tmp_path / "a.npz", extractor=Means(), **how)  # type: ignore[arg-type]
    # The first images, which tell the generator from others, and the two segments that were left.
    assert Counts.drawn - before == 32 + 64
    ganeval.extract_features(Counts(), tmp_path / "b.npz", extractor=Means(), **{**how, "cache": False})  # type: ignore[arg-type]
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


SCRIPT = """
import os, sys, time
sys.path[:0] = [{tests!r}]
import ganeval
from core_helpers import Means
from ganeval import segments
from ganeval.sources import files
segments.SEGMENT, files.FINENESS_NS = 8, -(10**18)
class Slow(Means):
    def prepare(self, images):
        time.sleep(0.05)
        return super().prepare(images)
from pathlib import Path
print(os.getpid(), flush=True)
ganeval.evaluate({folder!r}, {folder!r}, extractor=Slow(), batch_size=4, cache_dir=Path({cache!r}))
"""


def test_a_killed_process_is_taken_up_by_the_next(
    python: Sequence[str], folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9, the next process decodes what was left, and finds what one process finds."""
    code = textwrap.dedent(SCRIPT).format(tests=str(HERE), folder=str(folder), cache=str(cache.root))
    process = subprocess.Popen([*python, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        number = int(told.readline())
    deadline = time.monotonic() + 120
    while len(kept(cache)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    # The process of the code itself, which may be the child of another one.
    os.kill(number, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    done = len(kept(cache))
    assert 2 <= done <= 4
    reading = Reading(batch_size=4, workers=1)
    features: frozenset[Output] = frozenset(("features",))
    wanted = extract(open_source(folder), [Means()], features, reading)[0]
    decoded = count_decodes(monkeypatch)
    found = extract(open_source(folder), [Means()], features, reading, cache=cache)[0]
    assert same(found, wanted)
    assert len(decoded) == COUNT - done * SEGMENT
