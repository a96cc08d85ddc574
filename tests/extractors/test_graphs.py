"""CUDA graphs: which batches are replayed, what is refused, and on a GPU the same rows as without."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ganeval
from ganeval.autocast import Precision
from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors import graphs, open_extractor
from ganeval.extractors.base import Extractor, Output, Weights, identity
from ganeval.extractors.graphs import GraphedExtractor
from ganeval.extractors.running import run_all
from ganeval.inputs import open_setups
from ganeval.protocols import find_protocol
from ganeval.settings import Settings
from ganeval.sources.base import ImageBatch, batch_of

FEATURES: frozenset[Output] = frozenset(("features",))
BOTH: frozenset[Output] = frozenset(("features", "logits"))
CPU = r"cuda_graphs \(--cuda-graphs\) needs a CUDA device, found cpu; choose --device cuda, or leave it out"


class Plain:
    """Features are the first pixels; it notes the batches that it computes."""

    name, dimensions, outputs, preprocessing, device = "plain", 1, BOTH, "none", "cuda"
    precision: Precision = "fp32"
    weights = Weights("plain", "", published=False)

    def __init__(self) -> None:
        self.computed: list[int] = []
        self.sizes: list[tuple[int, int]] = []

    def check_size(self, width: int, height: int) -> None:
        """Every size fits."""
        self.sizes.append((width, height))

    def prepare(self, images: Tensor) -> Tensor:
        """The first pixels."""
        return images[:, 0, 0, :1].float()

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The pixels as they are."""
        self.computed.append(len(inputs))
        return dict.fromkeys(outputs, inputs)


class Recorder:
    """In place of a graph: it notes what is captured and what is replayed."""

    captured: list[tuple[int, frozenset[Output]]]
    replayed: list[tuple[int, frozenset[Output]]]

    def __init__(self, extractor: Extractor, inputs: Tensor, outputs: frozenset[Output]) -> None:
        self.shape, self._outputs = inputs.shape, outputs
        self.captured.append((len(inputs), outputs))

    def replay(self, inputs: Tensor) -> Mapping[Output, Tensor]:
        """The inputs as they are."""
        assert inputs.shape == self.shape
        self.replayed.append((len(inputs), self._outputs))
        return dict.fromkeys(self._outputs, inputs)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    """It, in place of graphs."""
    monkeypatch.setattr(Recorder, "captured", [], raising=False)
    monkeypatch.setattr(Recorder, "replayed", [], raising=False)
    monkeypatch.setattr(graphs, "Graph", Recorder)
    return Recorder


def test_full_batches_are_replayed(recorder: type[Recorder]) -> None:
    """The first of a set runs as usual, the second is captured; the short last one runs as usual, in every set."""
    plain = Plain()
    graphed = GraphedExtractor(plain)
    for sizes in ((4, 4, 4, 2), (4, 4, 3), (2,)):
        for size in sizes:
            inputs = torch.rand(size, 1)
            assert torch.equal(graphed.forward(inputs, FEATURES)["features"], inputs)
    assert plain.computed == [4, 2, 3, 2]
    assert recorder.captured == [(4, FEATURES)]
    assert recorder.replayed == [(4, FEATURES)] * 4


def test_a_graph_is_of_one_choice_of_outputs(recorder: type[Recorder]) -> None:
    """Reals and fakes of which other outputs are wanted have a graph each, and each is captured once."""
    plain = Plain()
    graphed = GraphedExtractor(plain)
    for outputs in (FEATURES, BOTH, FEATURES, BOTH):
        for size in (4, 4, 2, 2):
            graphed.forward(torch.rand(size, 1), outputs)
    assert recorder.captured == [(4, FEATURES), (4, BOTH)]
    assert plain.computed == [4, 2, 2, 4, 2, 2] + [2] * 4


def test_batches_of_changing_shapes_run_as_usual(recorder: type[Recorder]) -> None:
    """None of them is captured."""
    plain = Plain()
    graphed = GraphedExtractor(plain)
    for size in (4, 3, 4, 3):
        graphed.forward(torch.rand(size, 1), FEATURES)
    assert (plain.computed, recorder.captured) == ([4, 3, 4, 3], [])


def test_it_is_the_extractor_that_it_replays() -> None:
    """To the cache and to results; sizes of images reach it."""
    plain = Plain()
    graphed = GraphedExtractor(plain)
    assert isinstance(graphed, Extractor)
    assert identity(graphed) == identity(plain)
    assert (graphed.device, graphed.dimensions, graphed.outputs) == ("cuda", 1, BOTH)
    graphed.check_size(3, 4)
    assert plain.sizes == [(3, 4)]


def test_a_cpu_is_refused(tmp_path: Path) -> None:
    """Before weights are looked for, and for an extractor that runs there while a GPU is chosen."""
    with pytest.raises(UsageError, match=CPU):
        ganeval.fid("digits:train", "digits:test", device="cpu", cuda_graphs=True, weights=tmp_path / "none.pth")
    with pytest.raises(UsageError, match=CPU):
        GraphedExtractor(open_extractor("digits", protocol=find_protocol("tensorflow")))


class Cast(nn.Module):
    """A user's network, whose weights require gradients, which autocast would keep once they are cast."""

    size = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 5))

    def forward(self, images: Tensor) -> Tensor:
        """Features."""
        found: Tensor = self.layers(images.float() / 255)
        return found


class Waiting(Cast):
    """A network that waits for the GPU."""

    def forward(self, images: Tensor) -> Tensor:
        """Features, scaled by a number that Python knows."""
        return super().forward(images) / images.sum().item()


@pytest.fixture
def gpu() -> str:
    """The name of a CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none")
    return "cuda"


def batches_of(size: int) -> list[ImageBatch]:
    """Three batches of four, and a short one, which differ."""
    rng = torch.Generator().manual_seed(0)
    pictures = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=rng) for _ in range(15)]
    return [batch_of(pictures[start : start + 4]) for start in range(0, 15, 4)]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("name", ["digits", "inception", "module"])
def test_a_graph_gives_the_same_rows(gpu: str, untrained_weights: Path, name: str, precision: str) -> None:
    """Bit for bit, of every batch, and the current stream is as before."""
    torch.manual_seed(0)
    asked: dict[str, object] = {"extractor": Cast() if name == "module" else name, "device": gpu}
    asked |= {"precision": precision, **({"weights": untrained_weights} if name == "inception" else {})}
    before = torch.cuda.current_stream()
    found = []
    for graphed in (False, True):
        (setup,) = open_setups(Settings.of({**asked, "cuda_graphs": graphed}))
        key = identity(setup.extractor)
        given = run_all(batches_of(8 if name != "inception" else 64), {key: setup.extractor}, BOTH)
        found.append([rows[key] for _, rows in given])
    assert len(setup.extractor._graphs) == 1  # type: ignore[attr-defined]
    for plain, replayed in zip(*found, strict=True):
        assert plain.keys() == replayed.keys()
        for output, rows in plain.items():
            assert torch.equal(replayed[output], rows)
    assert torch.cuda.current_stream() == before


@pytest.mark.gpu
def test_what_cannot_be_captured_is_named(gpu: str) -> None:
    """The error says what to do, and the GPU works on."""
    before = torch.cuda.current_stream()
    (setup,) = open_setups(Settings(extractor=Waiting(), device=gpu, cuda_graphs=True))
    with pytest.raises(ExtractorError, match=r"Waiting cannot be captured as a CUDA graph .* leave cuda_graphs"):
        list(run_all(batches_of(8), {identity(setup.extractor): setup.extractor}, FEATURES))
    assert torch.cuda.current_stream() == before
    assert torch.ones(3, device=gpu).sum().item() == 3
