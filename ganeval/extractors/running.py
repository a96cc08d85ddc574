"""Runs extractors on batches, and holds them to their contract.

On a CPU, an extractor that is thread-safe takes as many batches at a time as torch has threads, each on one thread.
With several threads at one batch, every layer waits for the slowest of them, so that a second busy process on the
machine costs far more than its share (`benchmarks neighbour`). How a sum is rounded depends on how many threads share
it: a batch that has one thread gives the same rows on any number of cores, whatever else runs there.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from threading import Event

import torch
from torch import Tensor

from ganeval.autocast import autocast
from ganeval.devices import one_thread
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Extractor, Identity, Output
from ganeval.precision import full_precision, has_shortcuts
from ganeval.sources.ahead import in_order
from ganeval.sources.base import Batch

Rows = dict[Output, Tensor]


def run_all(
    batches: Iterable[Batch], extractors: Mapping[Identity, Extractor], outputs: frozenset[Output]
) -> Generator[tuple[Batch, dict[Identity, Rows]]]:
    """Several extractors on every batch, in order. The batches are drawn in the calling thread.

    Args:
        batches: Images; a few batches are drawn ahead of the one that is given.
        extractors: By identity.
        outputs: What to keep, of each extractor those that it has.

    Yields:
        Each batch, and by extractor what `run` gives of it.

    Raises:
        ExtractorError: An extractor gives anything but one row per image.
    """
    ahead = {key: one for key, one in extractors.items() if _has_one_thread(one)}
    rest = {key: one for key, one in extractors.items() if key not in ahead}
    computed = _ahead(batches, ahead, outputs)
    if not rest:
        yield from computed
        return
    overlaps = any(map(_on_gpu, rest.values()))
    before: Callable[[], tuple[Batch, dict[Identity, Rows]]] | None = None
    for batch, given in computed:
        arrived = None if before is None else before()
        with full_precision():
            begun = {key: _begun(one, batch, outputs & one.outputs) for key, one in rest.items()}
        this = partial(_ended, batch, given, begun)
        if not overlaps:
            yield this()
            continue
        # A GPU computes this batch while the caller works on the one before.
        before = this
        if arrived is not None:
            yield arrived
    if before is not None:
        yield before()


def _ended(
    batch: Batch, given: dict[Identity, Rows], begun: Mapping[Identity, Rows]
) -> tuple[Batch, dict[Identity, Rows]]:
    """A batch with all its rows on the CPU."""
    return batch, given | {key: _arrived(rows, batch) for key, rows in begun.items()}


def _ahead(
    batches: Iterable[Batch], extractors: Mapping[Identity, Extractor], outputs: frozenset[Output]
) -> Iterator[tuple[Batch, dict[Identity, Rows]]]:
    """Extractors that run on one thread each, on several batches at a time."""

    def rows(batch: Batch) -> tuple[Batch, dict[Identity, Rows]]:
        with one_thread():
            return batch, {key: _run(one, batch, outputs & one.outputs) for key, one in extractors.items()}

    threads = torch.get_num_threads()
    if not extractors:
        yield from ((batch, {}) for batch in batches)
    elif threads == 1 or has_shortcuts():
        # The switches are those of the process: while they are set for the network, nothing else may compute.
        for batch in batches:
            with full_precision():
                given = rows(batch)
            yield given
    else:
        try:
            yield from in_order((partial(rows, batch) for batch in batches), workers=threads, stop=Event())
        finally:
            # The number is of the calling thread, but torch also gives it to threads that begin later.
            torch.set_num_threads(threads)


def _on_gpu(extractor: Extractor) -> bool:
    """Whether an extractor may compute while the calling thread goes on."""
    return torch.device(extractor.device).type != "cpu"


def _has_one_thread(extractor: Extractor) -> bool:
    """Whether a batch of an extractor is computed on one thread."""
    return not _on_gpu(extractor) and getattr(extractor, "thread_safe", False)


def run(extractor: Extractor, batch: Batch, outputs: frozenset[Output]) -> Rows:
    """One extractor on one batch, in full precision, independent of what the calling program has switched on.

    Args:
        extractor: Any extractor.
        batch: Images of any mixture of sizes.
        outputs: What to keep.

    Returns:
        float32 [len(batch), D] on the CPU by output, in the batch's order.

    Raises:
        ExtractorError: It gives anything but one row per image.
    """
    # Around the extractor alone: a live generator draws its images as it always does.
    with full_precision():
        return _run(extractor, batch, outputs)


def _run(extractor: Extractor, batch: Batch, outputs: frozenset[Output]) -> Rows:
    """`run` where full precision is switched on already."""
    return _arrived(_begun(extractor, batch, outputs), batch)


def _begun(extractor: Extractor, batch: Batch, outputs: frozenset[Output]) -> Rows:
    """Rows in the order of the batch's groups, on the extractor's device, where they may still be computed."""
    with torch.inference_mode(), autocast(extractor.device, "fp32"):
        prepared = [extractor.prepare(group.images) for group in batch.groups]
        inputs = prepared[0] if len(prepared) == 1 else torch.cat(prepared)
        given = extractor.forward(inputs, outputs)
        return {output: _checked(given, output, extractor, len(batch)) for output in sorted(outputs)}


def _arrived(rows: Rows, batch: Batch) -> Rows:
    """Rows in the batch's order, float32 on the CPU."""
    with torch.inference_mode():
        arrays = {output: array.float().cpu() for output, array in rows.items()}
        if len(batch.groups) == 1:
            return arrays
        order = torch.tensor([row for group in batch.groups for row in group.rows], device="cpu")
        return {output: torch.empty_like(array).index_copy_(0, order, array) for output, array in arrays.items()}


def _checked(given: Mapping[Output, Tensor], output: Output, extractor: Extractor, count: int) -> Tensor:
    """One of an extractor's outputs, [count, D]."""
    if output not in given:
        raise ExtractorError(f"{extractor.name} returned no {output}, only {', '.join(sorted(given)) or 'nothing'}.")
    array = given[output]
    if array.ndim != 2 or len(array) != count:
        raise ExtractorError(
            f"{extractor.name} returned {list(array.shape)} as {output} of {count} images; expected one row per image."
        )
    return array
