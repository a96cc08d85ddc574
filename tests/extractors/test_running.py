"""Batches side by side: the same rows, in order, on any number of threads."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganeval.autocast import Precision
from ganeval.errors import ExtractorError
from ganeval.extractors import open_extractor, running
from ganeval.extractors.base import Extractor, Weights, identity
from ganeval.extractors.running import Outputs, run, run_all
from ganeval.outputs import Output
from ganeval.precision import HAS_SWITCHES, has_shortcuts
from ganeval.protocols import find_protocol
from ganeval.sources.ahead import WINDOW
from ganeval.sources.base import ImageBatch, batch_of

FEATURES: frozenset[Output] = frozenset(("features",))
HERE = threading.main_thread().ident


class Watched:
    """Features are the first pixel; it notes which threads called it, and what torch was set to there."""

    preprocessing, dimensions, outputs, device = "none", 1, FEATURES, "cpu"
    precision: Precision = "fp32"

    def __init__(self, name: str, *, thread_safe: bool, fails_at: int | None = None) -> None:
        self.name, self.thread_safe, self.fails_at = name, thread_safe, fails_at
        self.weights = Weights(name, "", published=False)
        self.seen: list[tuple[int | None, int, bool]] = []

    def prepare(self, images: Tensor) -> Tensor:
        """The first pixels."""
        return images[:, 0, 0, :1].float()

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The pixels as they are; one row too few where it is to fail."""
        self.seen.append((threading.get_ident(), torch.get_num_threads(), has_shortcuts()))
        failing = self.fails_at is not None and self.fails_at in inputs
        return dict.fromkeys(outputs, inputs[1:] if failing else inputs)


@pytest.fixture
def threads() -> Iterator[int]:
    """Torch may use three threads."""
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(1)


@pytest.fixture
def _shortcuts() -> Iterator[None]:
    """The program has switched on shortcuts of float32 products."""
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")
    backends: Any = torch.backends
    for part in (backends.cuda.matmul, backends.mkldnn.matmul):
        part.fp32_precision = "none"


class Batches:
    """Twenty batches of two numbered images; it notes how many were drawn, in which threads, with which switches."""

    def __init__(self) -> None:
        self.drawn: list[tuple[int | None, int, bool]] = []

    def __iter__(self) -> Iterator[ImageBatch]:
        for number in range(20):
            self.drawn.append((threading.get_ident(), torch.get_num_threads(), has_shortcuts()))
            yield batch_of([torch.full((3, 4, 4), 2 * number + row, dtype=torch.uint8) for row in range(2)])


def all_rows(extractors: list[Extractor], batches: Batches) -> list[list[float]]:
    """The features of each extractor."""
    found: dict[tuple[str, ...], list[Outputs]] = {identity(one): [] for one in extractors}
    for _, given in run_all(batches, {identity(one): one for one in extractors}, FEATURES):
        for key, rows in given.items():
            found[key].append(rows)
    return [torch.cat([rows["features"] for rows in parts])[:, 0].tolist() for parts in found.values()]


def test_batches_of_thread_safe_extractors_run_on_one_thread_each(threads: int) -> None:
    """In other threads than the caller's; extractors that promise nothing run in that, with all threads."""
    safe, plain, batches = Watched("safe", thread_safe=True), Watched("plain", thread_safe=False), Batches()
    assert all_rows([safe, plain], batches) == [[*range(40)]] * 2
    assert {count for _, count, _ in safe.seen} == {1}
    assert HERE not in {thread for thread, _, _ in safe.seen}
    assert set(plain.seen) == {(HERE, threads, False)}
    assert set(batches.drawn) == {(HERE, threads, False)}


def test_the_number_of_threads_stays_as_it_was(threads: int) -> None:
    """That of the calling thread, and of threads that begin later."""
    all_rows([Watched("safe", thread_safe=True)], Batches())
    later: list[int] = []
    other = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert [torch.get_num_threads(), *later] == [threads, threads]


def test_one_thread_needs_no_other() -> None:
    """Where torch has one thread, everything runs in the caller's."""
    safe, batches = Watched("safe", thread_safe=True), Batches()
    assert all_rows([safe], batches) == [[*range(40)]]
    assert set(safe.seen) == {(HERE, 1, False)}


@pytest.mark.usefixtures("_shortcuts")
def test_shortcuts_are_off_for_the_network_alone(threads: int) -> None:
    """The switches are those of the process, so nothing is drawn while they are set for the network."""
    safe, batches = Watched("safe", thread_safe=True), Batches()
    assert all_rows([safe], batches) == [[*range(40)]]
    assert set(safe.seen) == {(HERE, 1, False)}
    assert set(batches.drawn) == {(HERE, threads, True)}


def test_few_batches_are_drawn_ahead(threads: int) -> None:
    """As many as there are threads, and a few that wait; an early end stops the threads."""
    safe, batches, before = Watched("safe", thread_safe=True), Batches(), threading.active_count()
    given = run_all(batches, {identity(safe): safe}, FEATURES)
    next(given)
    assert len(batches.drawn) <= threads + WINDOW
    given.close()
    assert threading.active_count() == before
    assert torch.get_num_threads() == threads


def test_the_next_batch_is_begun_before_rows_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a GPU has work while the caller looks at rows; each batch still comes with its own."""
    monkeypatch.setattr(running, "_on_gpu", lambda extractor: True)
    plain, batches = Watched("plain", thread_safe=False), Batches()
    given = run_all(batches, {identity(plain): plain}, FEATURES)
    batch, rows = next(given)
    assert len(plain.seen) == len(batches.drawn) == 2
    assert rows[identity(plain)]["features"][:, 0].tolist() == batch.groups[0].images[:, 0, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize("cuda", [True, False])
def test_a_cuda_device_begins_a_batch_before_the_last_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, *, cuda: bool
) -> None:
    """So it never idles; a device whose rows do not come in the background is waited for first."""
    monkeypatch.setattr(running, "_on_gpu", lambda extractor: True)
    monkeypatch.setattr(running, "_pinned", lambda images, extractor: images)
    monkeypatch.setattr(running, "_on_cuda", lambda extractor: cuda)
    plain, begun, arrived = Watched("plain", thread_safe=False), list[int](), running._arrived

    def noting(one: Any, batch: ImageBatch) -> Outputs:
        begun.append(len(plain.seen))
        return arrived(one, batch)

    monkeypatch.setattr(running, "_arrived", noting)
    assert all_rows([plain], Batches()) == [[*range(40)]]
    assert begun == ([*range(2, 21), 20] if cuda else [*range(1, 21)])


class Switched(Watched):
    """Notes the precision of products on a GPU, where images are prepared and where the network runs."""

    def __init__(self, precision: Precision) -> None:
        super().__init__(f"in {precision}", thread_safe=False)
        self.precision = precision
        self.switches: list[str] = []

    def prepare(self, images: Tensor) -> Tensor:
        """The first pixels."""
        self.switches.append(products())
        return super().prepare(images)

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The pixels as they are."""
        self.switches.append(products())
        return super().forward(inputs, outputs)


def products() -> str:
    """The precision of products on a GPU."""
    if HAS_SWITCHES:
        backends: Any = torch.backends
        return str(backends.cuda.matmul.fp32_precision)
    return {"highest": "ieee", "high": "tf32"}[torch.get_float32_matmul_precision()]


def test_tf32_is_of_the_network_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resize and other extractors of the pass have full products, and the program's are as before."""
    monkeypatch.setattr(running, "_on_cuda", lambda extractor: True)
    monkeypatch.setattr(running, "_pinned", lambda images, extractor: images)
    before = products()
    reduced, full = Switched("tf32"), Switched("fp32")
    assert all_rows([reduced, full], Batches()) == [[*range(40)]] * 2
    assert reduced.switches == ["ieee", "tf32"] * 20
    assert full.switches == ["ieee", "ieee"] * 20
    assert products() == before


@pytest.fixture
def gpu() -> str:
    """The name of a CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none")
    return "cuda"


@pytest.mark.gpu
def test_rows_of_a_gpu_are_those_of_one_batch_after_the_other(gpu: str, untrained_weights: Path) -> None:
    """In the order of the batches, bit for bit."""
    extractor = open_extractor("inception", protocol=find_protocol("tensorflow"), weights=untrained_weights, device=gpu)
    key, rng = identity(extractor), torch.Generator().manual_seed(0)
    pictures = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8, generator=rng) for _ in range(12)]
    batches = [batch_of(pictures[start : start + 4]) for start in (0, 4, 8)]
    found = [rows[key]["features"] for _, rows in run_all(batches, {key: extractor}, FEATURES)]
    for rows, batch in zip(found, batches, strict=True):
        assert torch.equal(rows, run(extractor, batch, FEATURES)["features"])


@pytest.mark.gpu
def test_images_and_rows_pass_through_pinned_memory(gpu: str) -> None:
    """Images come to an extractor on a GPU in pinned memory; the rows that are kept are in none."""
    seen: list[tuple[str, bool]] = []

    class OnGpu(Watched):
        device = gpu

        def prepare(self, images: Tensor) -> Tensor:
            seen.append((images.device.type, images.is_pinned()))
            return super().prepare(images.to(gpu, non_blocking=True))

    extractor = OnGpu("on a GPU", thread_safe=True)
    for batch, rows in run_all(Batches(), {identity(extractor): extractor}, FEATURES):
        features = rows[identity(extractor)]["features"]
        assert features[:, 0].tolist() == batch.groups[0].images[:, 0, 0, 0].tolist()
        assert features.device.type == "cpu"
        assert not features.is_pinned()
    assert set(seen) == {("cpu", True)}


@pytest.mark.parametrize("thread_safe", [False, True])
def test_rows_that_are_not_finite_are_an_error(thread_safe: bool) -> None:
    """Of any extractor."""

    class Overflowing(Watched):
        def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
            return dict.fromkeys(outputs, inputs / 0)

    failing = Overflowing("failing", thread_safe=thread_safe)
    with pytest.raises(ExtractorError, match="failing returned NaN or infinity among the features of 2 images"):
        all_rows([failing], Batches())


@pytest.mark.usefixtures("threads")
def test_an_error_in_a_thread_is_the_callers() -> None:
    """It comes in the place of its batch, after those before it."""
    failing = Watched("failing", thread_safe=True, fails_at=10)
    given = run_all(Batches(), {identity(failing): failing}, FEATURES)
    for _ in range(5):
        next(given)
    with pytest.raises(ExtractorError, match=r"failing returned \[1, 1\] as features of 2 images"):
        next(given)
