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
from ganeval.extractors.base import Extractor, Output, Weights, identity
from ganeval.extractors.running import Rows, run, run_all
from ganeval.precision import has_shortcuts
from ganeval.protocols import find_protocol
from ganeval.sources.ahead import WINDOW
from ganeval.sources.base import Batch, batch_of

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

    def __iter__(self) -> Iterator[Batch]:
        for number in range(20):
            self.drawn.append((threading.get_ident(), torch.get_num_threads(), has_shortcuts()))
            yield batch_of([torch.full((3, 4, 4), 2 * number + row, dtype=torch.uint8) for row in range(2)])


def all_rows(extractors: list[Extractor], batches: Batches) -> list[list[float]]:
    """The features of each extractor."""
    found: dict[tuple[str, ...], list[Rows]] = {identity(one): [] for one in extractors}
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


@pytest.mark.usefixtures("threads")
def test_an_error_in_a_thread_is_the_callers() -> None:
    """It comes in the place of its batch, after those before it."""
    failing = Watched("failing", thread_safe=True, fails_at=10)
    given = run_all(Batches(), {identity(failing): failing}, FEATURES)
    for _ in range(5):
        next(given)
    with pytest.raises(ExtractorError, match=r"failing returned \[1, 1\] as features of 2 images"):
        next(given)
