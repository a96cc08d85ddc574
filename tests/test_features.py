"""From a source to arrays: order, sizes, memory, the disk, and an extractor's environment."""

import gc
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from core_helpers import Images, Means, default_dtype, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval import precision, preprocess, spool
from ganeval.errors import ExtractorError, SourceError
from ganeval.evaluation import evaluate
from ganeval.extraction import extract
from ganeval.extractors import open_extractor
from ganeval.extractors.base import Extractor
from ganeval.features import FeatureSet
from ganeval.outputs import Output
from ganeval.precision import full_precision, tf32_products
from ganeval.progress import silent
from ganeval.protocols import find_protocol
from ganeval.sources import open_source
from ganeval.sources.base import Group, ImageBatch, Reading, ReadReport

FEATURES: frozenset[Output] = frozenset(("features",))
BOTH: frozenset[Output] = frozenset(("features", "logits"))


def extracted(
    source: object, extractor: Extractor | None = None, outputs: frozenset[Output] = FEATURES, *, batch_size: int = 4
) -> FeatureSet:
    (found,) = extract(open_source(source), [extractor or Means()], outputs, Reading(batch_size=batch_size, workers=1))
    return found


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(2, 9), st.integers(2, 9)), min_size=1, max_size=12), st.integers(1, 5))
def test_images_of_mixed_sizes_come_out_in_order(sizes: list[tuple[int, int]], batch_size: int) -> None:
    """Row i is image i's, for batches of mixed sizes."""
    images = [random_images(1, *size, seed=index)[0] for index, size in enumerate(sizes)]
    found = extracted(Images(images), outputs=BOTH, batch_size=batch_size)
    alone = torch.cat([Means().prepare(image[None]).flatten(1) for image in images])
    assert torch.equal(found.arrays["features"], alone)
    assert found.arrays["logits"].shape == (len(images), 3)
    assert len(found) == len(images)


def test_a_batch_of_mixed_sizes_passes_the_network_once() -> None:
    """Images are grouped by size only for the resize."""

    class Counting(Means):
        passes = 0

        def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
            self.passes += 1
            return super().forward(inputs, outputs)

    extractor = Counting()
    extracted(Images([random_images(1, 4 + index % 3)[0] for index in range(8)]), extractor, batch_size=4)
    assert extractor.passes == 2


def test_features_are_plain_float32_tensors() -> None:
    """They can be part of a gradient computation, though they have none themselves."""
    array = extracted(random_images(6)).arrays["features"]
    assert array.dtype == torch.float32
    assert not array.is_inference()
    scale = torch.ones(12, requires_grad=True)
    (array * scale).sum().backward()
    assert scale.grad is not None


def test_the_digest_is_of_the_content_in_order() -> None:
    """Equal images give an equal digest; another order gives another."""
    images = random_images(5)
    assert extracted(images).digest == extracted(images.clone(), batch_size=2).digest
    assert extracted(images).digest != extracted(images.flip(0)).digest


@pytest.mark.parametrize("limit", [0, 100, 400])
def test_arrays_that_wait_on_disk_are_the_same(limit: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows beyond a limit are stored in files, with the same result, and no file is left."""
    expected = extracted(random_images(11), outputs=BOTH)
    monkeypatch.setattr(spool, "SPOOL_BYTES", limit)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = extracted(random_images(11), outputs=BOTH)
    assert list(tmp_path.iterdir()) == []
    gc.collect()
    for output in BOTH:
        assert torch.equal(found.arrays[output], expected.arrays[output])


def test_a_reading_that_fails_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files of rows are removed with the rows."""
    # What it imports may make folders of its own.
    extracted(Images(list(random_images(2))))
    monkeypatch.setattr(spool, "SPOOL_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SourceError, match="must be uint8, found float32"):
        extracted(Images([*random_images(8), torch.zeros(3, 4, 4)]))
    gc.collect()
    assert list(tmp_path.iterdir()) == []


class Watched:
    """A source that counts the living images of its batches at each request."""

    name, kind, labels = "watched", "test", None

    def __init__(self, count: int) -> None:
        self.count, self.most = count, 0

    def __len__(self) -> int:
        return self.count

    def item_name(self, index: int) -> str:
        return str(index)

    def batches(self, reading: Reading, report: ReadReport) -> Iterator[ImageBatch]:
        seen: list[weakref.ref[Tensor]] = []
        for index in range(self.count):
            images = random_images(1, seed=index)
            seen.append(weakref.ref(images))
            yield ImageBatch((Group((0,), images),))
            del images
            self.most = max(self.most, sum(one() is not None for one in seen))

    def part(self, number: int, of: int, batch_size: int) -> None:
        return None

    def fingerprint(self) -> None:
        return None

    def digests(self) -> Iterator[bytes]:
        return iter(())

    def describe(self) -> dict[str, object]:
        return {}


def test_memory_stays_flat() -> None:
    """No batch of images is kept beyond the next step."""
    source = Watched(30)
    assert extracted(source).arrays["features"].shape == (30, 12)
    assert source.most <= 1


def test_progress_is_told_name_length_and_every_image() -> None:
    """A source of unknown length is shown without a length."""
    told: list[object] = []

    @contextmanager
    def progress(name: str, total: int | None) -> Iterator[Callable[[int], object]]:
        told.append((name, total))
        yield told.append

    extract(open_source(random_images(5)), [Means()], FEATURES, Reading(batch_size=2), progress=progress)
    extract(open_source(iter([random_images(3)])), [Means()], FEATURES, Reading(batch_size=2), progress=progress)
    assert told == [("Tensor", 5), 2, 2, 1, ("list_iterator", None), 2, 1]


def test_no_images_are_refused() -> None:
    """An empty source is an error, not an empty array."""

    class Empty(Watched):
        def batches(self, reading: Reading, report: ReadReport) -> Iterator[ImageBatch]:
            yield from ()

    with pytest.raises(SourceError, match="no images to measure"):
        extracted(Empty(0))


class Faulty(Means):
    """Violates its contract in the batch after the first."""

    def __init__(self, broken: Mapping[Output, Tensor]) -> None:
        super().__init__()
        self.calls, self.broken = 0, broken

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        self.calls += 1
        return self.broken if self.calls > 1 else super().forward(inputs, outputs)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({}, "means returned no features, only nothing"),
        ({"logits": torch.zeros(4, 3)}, "means returned no features, only logits"),
        ({"features": torch.zeros(3, 12)}, r"means returned \[3, 12\] as features of 4 images"),
        ({"features": torch.zeros(4, 3, 4)}, r"means returned \[4, 3, 4\] as features of 4 images"),
        ({"features": torch.zeros(4, 13)}, "had 12 numbers, and now has 13"),
    ],
)
def test_an_extractor_that_breaks_its_contract_is_named(broken: Mapping[Output, Tensor], message: str) -> None:
    """Anything but one row per image is an ExtractorError, and no reading thread is left."""
    with pytest.raises(ExtractorError, match=message):
        extracted(random_images(40), Faulty(broken))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ganeval-read")]


# Ways in which a training program may have changed how torch computes.
def _old_switches() -> None:
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True


def _new_switches() -> None:
    torch.backends.fp32_precision = "tf32"
    backends: Any = torch.backends
    backends.mkldnn.conv.fp32_precision = "bf16"
    backends.cuda.matmul.fp32_precision = "tf32"


def _switches() -> list[str]:
    backends: Any = torch.backends
    parts = (backends, backends.cuda.matmul, backends.cudnn, backends.cudnn.conv, backends.mkldnn.matmul)
    return [part.fp32_precision for part in (*parts, backends.mkldnn.conv)]


@pytest.fixture
def _torch_as_it_was() -> Iterator[None]:
    """Restores every switch of torch's float32 products."""
    backends: Any = torch.backends
    before = _switches()
    yield
    backends.fp32_precision = before[0]
    backends.cudnn.fp32_precision = before[2]
    torch.set_float32_matmul_precision("highest")
    for part in (backends.cuda.matmul, backends.mkldnn.matmul, backends.mkldnn.conv):
        part.fp32_precision = "none"
    backends.cudnn.conv.fp32_precision = before[3]


@pytest.mark.usefixtures("_torch_as_it_was")
@pytest.mark.parametrize("switch", [None, _old_switches, _new_switches])
def test_products_are_full_precision_inside_and_as_before_afterwards(switch: Callable[[], None] | None) -> None:
    """The settings are restored for torch's older and newer interface, also after an exception."""
    if switch is not None:
        switch()
    before = _switches()
    inside: list[str] = []
    with suppress(ZeroDivisionError), full_precision():
        inside = _switches()
        raise ZeroDivisionError
    assert {inside[index] for index in (1, 3, 4, 5)} == {"ieee"}
    assert _switches() == before


@pytest.mark.usefixtures("_torch_as_it_was")
def test_an_older_torch_is_asked_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before torch 2.9 there are two switches, and both are restored."""
    monkeypatch.setattr(precision, "HAS_SWITCHES", False)
    _old_switches()
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "medium"
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("_torch_as_it_was")
@pytest.mark.parametrize("switch", [None, _old_switches, _new_switches])
def test_tf32_is_on_inside_alone_and_for_gpus_alone(switch: Callable[[], None] | None) -> None:
    """Within full precision, products on a CPU keep it; outside, every switch is as it was, also after an exception."""
    if switch is not None:
        switch()
    before = _switches()
    with full_precision():
        within = _switches()
        inside: list[str] = []
        with suppress(ZeroDivisionError), tf32_products():
            inside = _switches()
            raise ZeroDivisionError
        assert _switches() == within
    assert [inside[index] for index in (1, 3, 4, 5)] == ["tf32", "tf32", "ieee", "ieee"]
    assert _switches() == before


@pytest.mark.usefixtures("_torch_as_it_was")
def test_an_older_torch_is_asked_for_tf32_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before torch 2.9 there are two switches, and both are restored."""
    monkeypatch.setattr(precision, "HAS_SWITCHES", False)
    with full_precision():
        with tf32_products():
            assert torch.get_float32_matmul_precision() == "high"
            assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("extractor", ["pixels:8", "digits"])
@pytest.mark.parametrize(
    "surroundings",
    [
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: default_dtype(torch.bfloat16),
        lambda: default_dtype(torch.float64),
        lambda: torch.device("meta"),
        torch.enable_grad,
    ],
)
def test_the_surroundings_of_a_training_loop_change_nothing(
    surroundings: Callable[[], AbstractContextManager[object]], extractor: str
) -> None:
    """Autocasting, another default dtype or default device do not change a number."""
    real, fake = random_images(12, 20, 24), [random_images(3, 5 + index, 9, seed=index) for index in range(3)]

    def value() -> float:
        preprocess._operator.cache_clear()
        loader = (images for images in fake)
        return evaluate(real, loader, extractor=extractor, cache=False, device="cpu")["fid"].value

    expected = value()
    with surroundings():
        assert value() == pytest.approx(expected, rel=1e-6)


def test_resampling_can_be_differentiated_after_measuring() -> None:
    """The resampling operators cached by an evaluation can be used in a training step."""
    extractor = open_extractor("pixels:7", protocol=find_protocol("clean"))
    extracted(random_images(2, 19, 23), extractor)
    images = random_images(2, 19, 23).float().requires_grad_()
    extractor.prepare(images).sum().backward()
    assert images.grad is not None


def test_a_live_generator_draws_in_its_own_surroundings() -> None:
    """A generator is called without the extractor's settings, and its output can still be trained."""

    class Lazy:
        value_range = "uint8"
        seen: Tensor | None = None

        def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
            if self.seen is None:
                self.seen = torch.zeros(3)
            self.autocast = torch.is_autocast_enabled("cpu")
            return torch.randint(0, 256, (n, 3, 8, 8), generator=rng, dtype=torch.uint8)

    generator = Lazy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        extract(open_source(generator, num_samples=4), [Means()], FEATURES, Reading())
    assert generator.seen is not None
    assert not generator.seen.is_inference()
    assert generator.autocast


def test_a_reading_that_shows_nothing_is_the_default() -> None:
    """`silent` is a Progress."""
    with silent("x", None) as advance:
        assert advance(3) is None
    assert isinstance(silent("x", 3), nullcontext)
