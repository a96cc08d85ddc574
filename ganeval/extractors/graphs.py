"""Networks that are replayed as CUDA graphs: the kernels of a batch start together, without Python between them.

A graph is for one shape. The first batch of a shape runs as usual, the second in a row is captured, and later batches
of this shape are replayed. Other batches run as usual, such as the last of a set, which is shorter. A graph runs the
same kernels as a usual batch, so the rows are the same.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors.base import Extractor
from ganeval.outputs import Output

# Warm-up batches before a capture, on a separate stream: libraries choose kernels and reserve memory on the first.
WARM_UPS = 3


def check_graphs(device: str) -> None:
    """UsageError for a device that has no CUDA graphs."""
    if torch.device(device).type != "cuda":
        raise UsageError(
            f"cuda_graphs (--cuda-graphs) needs a CUDA device, found {device}; choose --device cuda, or leave it out."
        )


class GraphedExtractor:
    """An extractor whose network is replayed as a CUDA graph, one for each choice of outputs."""

    def __init__(self, extractor: Extractor) -> None:
        """UsageError for an extractor that runs on another device."""
        check_graphs(extractor.device)
        self._extractor = extractor
        self.name, self.weights, self.device = extractor.name, extractor.weights, extractor.device
        self.preprocessing, self.precision = extractor.preprocessing, extractor.precision
        self._graphs: dict[frozenset[Output], Graph] = {}
        self._before: tuple[torch.Size, frozenset[Output]] | None = None

    @property
    def dimensions(self) -> int | None:
        """The width of the features, which an extractor may know only after the first images."""
        return self._extractor.dimensions

    @property
    def outputs(self) -> frozenset[Output]:
        """What the network returns."""
        return self._extractor.outputs

    def check_size(self, width: int, height: int) -> None:
        """ExtractorError for images of a size that does not fit those before."""
        check = getattr(self._extractor, "check_size", None)
        if check is not None:
            check(width, height)

    def prepare(self, images: Tensor) -> Tensor:
        """The network's input."""
        return self._extractor.prepare(images)

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The requested outputs of the network."""
        form = inputs.shape, outputs
        with torch.inference_mode():
            if outputs not in self._graphs and form == self._before:
                self._graphs[outputs] = Graph(self._extractor, inputs, outputs)
            self._before = form
            graph = self._graphs.get(outputs)
            if graph is not None and graph.shape == inputs.shape:
                return graph.replay(inputs)
            return self._extractor.forward(inputs, outputs)


class Graph:
    """A captured forward pass, to be replayed with other batches of its shape."""

    def __init__(self, extractor: Extractor, inputs: Tensor, outputs: frozenset[Output]) -> None:
        """Capture it; ExtractorError for a network that waits for the GPU, or copies from or to it."""
        self.shape = inputs.shape
        # A graph reads and writes the same memory every time.
        self._inputs, self._graph = inputs.clone(), torch.cuda.CUDAGraph()
        # A weight that autocast casts and caches would be outside of the graph, and freed when the graph is replayed.
        with (
            torch.cuda.device(inputs.device),
            torch.autocast("cuda", enabled=False, cache_enabled=False),
            _stream_kept(),
        ):
            now, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(now)
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    extractor.forward(self._inputs, outputs)
            now.wait_stream(side)
            captured = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            try:
                # Other threads, such as those of a DataLoader, may call CUDA meanwhile.
                with torch.cuda.graph(self._graph, stream=captured, capture_error_mode="thread_local"):
                    self._given = extractor.forward(self._inputs, outputs)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, ExtractorError) as error:
                reason = (str(error).splitlines() or [repr(error)])[0].rstrip(".")
                raise ExtractorError(
                    f"{extractor.name} cannot be captured as a CUDA graph ({reason}); leave cuda_graphs "
                    "(--cuda-graphs) out."
                ) from error

    def replay(self, inputs: Tensor) -> Mapping[Output, Tensor]:
        """The outputs for a batch, in memory that the next replay does not write to."""
        with torch.cuda.device(inputs.device):
            self._inputs.copy_(inputs)
            self._graph.replay()
            return {output: array.clone() for output, array in self._given.items()}


@contextmanager
def _stream_kept() -> Iterator[None]:
    """Restore the current stream afterwards; a failed capture leaves its own stream set."""
    with torch.cuda.stream(torch.cuda.current_stream()):
        yield
