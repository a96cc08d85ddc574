"""Run extractors on batches, and check that they keep their contract.

On a CPU, an extractor that is thread-safe takes as many batches at a time as torch has threads, each on one thread.
With several threads at one batch, every layer waits for the slowest of them, so that a second busy process on the
machine costs far more than its share (`benchmarks neighbour`). How a sum is rounded depends on how many threads share
it: a batch that has one thread gives the same rows on any number of cores, independent of other processes.

A CUDA device always has a batch waiting: images are copied to it from pinned memory, and rows back, while the calling
thread continues; this waits only for the rows of the previous batch.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from threading import Event

import torch
from torch import Tensor

from ganeval.autocast import autocast
from ganeval.devices import one_thread
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Extractor, Identity
from ganeval.outputs import Output
from ganeval.precision import full_precision, has_shortcuts, tf32_products
from ganeval.sources.ahead import in_order
from ganeval.sources.base import ImageBatch

Outputs = dict[Output, Tensor]


def run_all(
    batches: Iterable[ImageBatch], extractors: Mapping[Identity, Extractor], outputs: frozenset[Output]
) -> Generator[tuple[ImageBatch, dict[Identity, Outputs]]]:
    """Several extractors on every batch, in order. The batches are drawn in the calling thread.

    Args:
        batches: Images; a few batches are read ahead.
        extractors: By identity.
        outputs: Outputs to keep; each extractor gives those that it has.

    Yields:
        Each batch, with the result of `run` on it by extractor.

    Raises:
        ExtractorError: An extractor gives anything but one row of finite numbers per image.
    """
    ahead = {key: one for key, one in extractors.items() if _has_one_thread(one)}
    rest = {key: one for key, one in extractors.items() if key not in ahead}
    computed = _ahead(batches, ahead, outputs)
    if not rest:
        yield from computed
        return
    overlaps, in_background = any(map(_on_gpu, rest.values())), all(map(_on_cuda, rest.values()))
    before: Callable[[], tuple[ImageBatch, dict[Identity, Outputs]]] | None = None
    for batch, given in computed:
        # Without CUDA, waiting for one batch waits for all started batches.
        arrived = None if before is None or in_background else before()
        with full_precision():
            begun = {key: _begun(one, batch, outputs & one.outputs) for key, one in rest.items()}
        this = partial(_ended, batch, given, begun)
        if not overlaps:
            yield this()
            continue
        # A GPU computes this batch while the caller works on the one before.
        if before is not None:
            yield arrived or before()
        before = this
    if before is not None:
        yield before()


@dataclass(frozen=True, slots=True)
class _Begun:
    """The rows of a batch from one extractor, in the order of its groups; they may be used after these events."""

    name: str
    rows: Outputs
    arrivals: Sequence[torch.cuda.Event]


def _ended(
    batch: ImageBatch, given: dict[Identity, Outputs], begun: Mapping[Identity, _Begun]
) -> tuple[ImageBatch, dict[Identity, Outputs]]:
    """A batch with all its rows on the CPU."""
    return batch, given | {key: _arrived(one, batch) for key, one in begun.items()}


def _ahead(
    batches: Iterable[ImageBatch], extractors: Mapping[Identity, Extractor], outputs: frozenset[Output]
) -> Iterator[tuple[ImageBatch, dict[Identity, Outputs]]]:
    """Extractors that run on one thread each, on several batches at a time."""

    def rows(batch: ImageBatch) -> tuple[ImageBatch, dict[Identity, Outputs]]:
        with one_thread():
            return batch, {key: _run(one, batch, outputs & one.outputs) for key, one in extractors.items()}

    threads = torch.get_num_threads()
    if not extractors:
        yield from ((batch, {}) for batch in batches)
    elif threads == 1 or has_shortcuts():
        # The switches are global to the process: while they are set for the network, nothing else may compute.
        for batch in batches:
            with full_precision():
                given = rows(batch)
            yield given
    else:
        try:
            yield from in_order((partial(rows, batch) for batch in batches), workers=threads, stop=Event())
        finally:
            # The number is set for the calling thread, but threads that start later get it too.
            torch.set_num_threads(threads)


def _on_gpu(extractor: Extractor) -> bool:
    """Whether an extractor may compute while the calling thread continues."""
    return torch.device(extractor.device).type != "cpu"


def _on_cuda(extractor: Extractor) -> bool:
    """Whether rows of an extractor are copied to the CPU in the background."""
    return torch.device(extractor.device).type == "cuda"


def _has_one_thread(extractor: Extractor) -> bool:
    """Whether a batch of an extractor is computed on one thread."""
    return not _on_gpu(extractor) and getattr(extractor, "thread_safe", False)


def run(extractor: Extractor, batch: ImageBatch, outputs: frozenset[Output]) -> Outputs:
    """One extractor on one batch, in full precision, independent of what the calling program has switched on.

    Args:
        extractor: Any extractor.
        batch: Images of any mixture of sizes.
        outputs: What to keep.

    Returns:
        float32 [len(batch), D] on the CPU by output, in the batch's order.

    Raises:
        ExtractorError: It gives anything but one row of finite numbers per image.
    """
    # Only around the extractor: a live generator samples with the caller's settings.
    with full_precision():
        return _run(extractor, batch, outputs)


def _run(extractor: Extractor, batch: ImageBatch, outputs: frozenset[Output]) -> Outputs:
    """`run`, with full precision already set."""
    return _arrived(_begun(extractor, batch, outputs), batch)


def _begun(extractor: Extractor, batch: ImageBatch, outputs: frozenset[Output]) -> _Begun:
    """The rows of a batch, which a GPU may still be computing."""
    with torch.inference_mode(), autocast(extractor.device, "fp32"):
        prepared = [extractor.prepare(_pinned(group.images, extractor)) for group in batch.groups]
        inputs = prepared[0] if len(prepared) == 1 else torch.cat(prepared)
        # Only for the network: the resize stays in full precision.
        with tf32_products() if extractor.precision == "tf32" and _on_cuda(extractor) else nullcontext():
            given = extractor.forward(inputs, outputs)
        rows = {output: _checked(given, output, extractor, len(batch)) for output in sorted(outputs)}
        return _Begun(extractor.name, *_sent(rows))


def _pinned(images: Tensor, extractor: Extractor) -> Tensor:
    """The images; for a CUDA device in pinned memory, so that they are copied while the calling thread continues."""
    return images.pin_memory() if _on_cuda(extractor) and images.device.type == "cpu" else images


def _sent(rows: Outputs) -> tuple[Outputs, Sequence[torch.cuda.Event]]:
    """Rows that CUDA devices copy to the CPU as soon as they are computed, and the events when they are there."""
    sent = {
        output: array.float().to("cpu", non_blocking=True) if array.is_cuda else array for output, array in rows.items()
    }
    devices = {array.device for array in rows.values() if array.is_cuda}
    return sent, [torch.cuda.current_stream(device).record_event() for device in devices]


def _arrived(begun: _Begun, batch: ImageBatch) -> Outputs:
    """Rows in the batch's order, float32 on the CPU."""
    for event in begun.arrivals:
        event.synchronize()
    with torch.inference_mode():
        arrays = {output: array.float().cpu() for output, array in begun.rows.items()}
        if begun.arrivals:
            # They are in pinned memory, which is used again.
            arrays = {output: array.clone() for output, array in arrays.items()}
        for output, array in arrays.items():
            # Checked here, because an earlier check would wait for the GPU.
            if not array.isfinite().all():
                raise ExtractorError(
                    f"{begun.name} returned NaN or infinity among the {output} of {len(batch)} images."
                )
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
