"""Live generators: the images drawn, the checks, and that drawing has no side effects."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from source_helpers import batches_of, images_of
from torch import nn

from ganeval.errors import GeneratorError, UsageError
from ganeval.sources import open_source
from ganeval.sources.generator import CHUNK, chunk_seed


class Noise:
    """Uniform noise from the generator it is given."""

    value_range = "[0,1]"

    def __init__(self, channels=3):
        self.channels = channels
        self.calls = []

    def sample(self, n, *, labels=None, rng):
        self.calls.append((n, None if labels is None else labels.tolist()))
        return torch.rand(n, self.channels, 4, 5, generator=rng)


class Returns:
    """Returns a given value."""

    def __init__(self, make, value_range=None):
        self.make = make
        if value_range is not None:
            self.value_range = value_range

    def sample(self, n, *, labels=None, rng):
        return self.make(n)


def drawn(generator, num_samples=70, seed=0, **reading):
    """All images, [N, 3, H, W]."""
    return np.stack(images_of(open_source(generator, num_samples=num_samples, seed=seed), **reading)[0])


@given(st.integers(1, 3 * CHUNK), st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_the_batch_size_never_changes_the_images(num_samples, batch_size):
    """The same images are drawn for every batch size."""
    expected = drawn(Noise(), 3 * CHUNK, batch_size=8)[: num_samples // CHUNK * CHUNK]
    images = drawn(Noise(), num_samples, batch_size=batch_size)
    assert len(images) == num_samples
    np.testing.assert_array_equal(images[: len(expected)], expected)
    sizes = [len(batch) for batch in batches_of(open_source(Noise(), num_samples=num_samples), batch_size=batch_size)]
    assert set(sizes[:-1]) <= {batch_size}


def test_the_seed_decides_the_images():
    """Equal seeds draw equal images, again and again; other seeds draw others."""
    source = open_source(Noise(), num_samples=9, seed=4)
    first, second = np.stack(images_of(source)[0]), np.stack(images_of(source)[0])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, drawn(Noise(), 9, seed=4))
    assert (first != drawn(Noise(), 9, seed=5)).any()


def test_one_call_asks_for_one_chunk():
    """No call asks for more than 32 images, and none is discarded; another number would draw other images."""
    assert CHUNK == 32
    generator = Noise()
    drawn(generator, 2 * CHUNK + 3, batch_size=5)
    assert [n for n, _ in generator.calls] == [CHUNK, CHUNK, 3]


def test_floats_are_rounded_and_grey_is_repeated():
    """A declared range is mapped to bytes by rounding, one channel to three."""
    images, report = images_of(open_source(Returns(lambda n: torch.full((n, 1, 2, 2), 0.5), "[-1,1]"), num_samples=3))
    assert images[0].shape == (3, 2, 2)
    assert (images[0] == round(0.75 * 255)).all()
    assert report.conversions == {"greyscale": 3}


def test_bytes_need_no_declaration():
    """A generator that returns uint8 needs no range."""
    images = drawn(Returns(lambda n: torch.full((n, 3, 2, 2), 7, dtype=torch.uint8)), 3)
    assert (images == 7).all()


def test_a_generator_may_use_its_memory_again():
    """Images that were drawn stay as they are when more are drawn, as batches wait to be computed with."""
    memory, calls = torch.zeros(CHUNK, 3, 2, 2, dtype=torch.uint8), []

    def again(n):
        calls.append(n)
        return memory[:n].fill_(len(calls))

    images = drawn(Returns(again), 3 * CHUNK, batch_size=CHUNK)
    assert [set(images[start : start + CHUNK].ravel()) for start in range(0, 3 * CHUNK, CHUNK)] == [{1}, {2}, {3}]


def test_classes_are_balanced_and_seeded():
    """A conditional generator is asked for every class equally often, in an order fixed by the seed."""

    class Conditional(Noise):
        num_classes = 7

    generator = Conditional()
    source = open_source(generator, num_samples=70, seed=1)
    labels = [label for batch in batches_of(source, batch_size=9) for label in batch.labels]
    assert labels == source.labels == [label for _, asked in generator.calls for label in asked]
    assert sorted(labels) == sorted(list(range(7)) * 10)
    assert labels != sorted(labels)
    assert open_source(Conditional(), num_samples=70, seed=1).labels == labels
    assert open_source(Conditional(), num_samples=70, seed=2).labels != labels
    assert source.describe() == {"seed": 1, "range": "[0,1]", "classes": 7}


class Careless(nn.Module):
    """Ignores `rng`, draws from every global state, and would change its statistics in training mode."""

    value_range = "[0,1]"

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout()
        self.drop.eval()

    def sample(self, n, *, labels=None, rng):
        assert not self.training
        assert not torch.is_grad_enabled()
        images = torch.rand(n, 3, 2, 2) + random.random() + np.random.rand()
        return self.drop(self.norm(images / 3)).clamp(0, 1)


def test_sampling_leaves_modes_weights_and_randomness_alone():
    """Training flags, buffers and all global random states are unchanged, even between batches."""
    model = Careless().train()
    model.drop.eval()
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    for _ in open_source(model, num_samples=3 * CHUNK).batches(*_reading(10)):
        assert model.training
        assert model.norm.training
        assert not model.drop.training
        assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())


def _reading(batch_size):
    from ganeval.sources.base import Reading, ReadReport

    return Reading(batch_size=batch_size), ReadReport()


def test_even_a_generator_that_ignores_rng_is_reproducible():
    """Global randomness during drawing is seeded, and continues from call to call."""
    torch.manual_seed(1)
    first = drawn(Careless(), 2 * CHUNK)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, drawn(Careless(), 2 * CHUNK))
    assert (first[:CHUNK] != first[CHUNK:]).any()


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit])
def test_modes_are_restored_after_an_exception(kind):
    """A model that fails while sampling, or ends the program, is left in training mode."""

    class Failing(Careless):
        def sample(self, n, *, labels=None, rng):
            raise kind("half way")

    model = Failing().train()
    state = torch.get_rng_state()
    with pytest.raises(GeneratorError, match=rf"Failing: sample\(5\) raised {kind.__name__}: half way") as caught:
        drawn(model, 5)
    assert isinstance(caught.value.__cause__, kind)
    assert model.norm.training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("count", ["60", 0, 2.5])
def test_how_many_images_a_generator_has_is_a_whole_number(count):
    """An attribute num_samples that is none is an error that shows it."""
    model = Careless()
    model.num_samples = count
    with pytest.raises(UsageError, match=rf"num_samples of Careless is {count!r}; it must be a whole number"):
        open_source(model)


def test_a_module_inside_the_generator_evaluates_too():
    """A plain object's modules are put into evaluation mode while it samples."""

    class Holder:
        value_range = "[0,1]"

        def __init__(self):
            self.network = nn.BatchNorm2d(3).train()

        def sample(self, n, *, labels=None, rng):
            assert not self.network.training
            return torch.rand(n, 3, 2, 2, generator=rng)

    holder = Holder()
    drawn(holder, 3)
    assert holder.network.training


@pytest.mark.parametrize(
    ("make", "value_range", "reason"),
    [
        (lambda n: torch.full((n, 3, 2, 2), float("nan")), "[0,1]", "5 of 5 images contain NaN"),
        (lambda n: torch.full((n, 3, 2, 2), 1.5), "[0,1]", "values go from 1.5 to 1.5"),
        (lambda n: torch.full((n, 3, 2, 2), 200.0), "[-1,1]", "values go from 200 to 200"),
        (lambda n: torch.zeros(n, 3, 2, 2), None, r"returned float32 and declares no range; give .* value_range"),
        (lambda n: torch.zeros(n, 3, 2, 2), "uint8", "declared uint8 but returned float32"),
        (lambda n: torch.zeros(n - 1, 3, 2, 2), "[0,1]", r"returned \[4, 3, 2, 2\]; expected \[5, 1 or 3"),
        (lambda n: torch.zeros(n, 4, 2, 2), "[0,1]", r"returned \[5, 4, 2, 2\]"),
        (lambda n: torch.zeros(n, 2, 2, 3), "[0,1]", r"returned \[5, 2, 2, 3\]"),
        (lambda n: torch.zeros(n, 12), "[0,1]", r"returned \[5, 12\]"),
        (lambda n: [torch.zeros(3, 2, 2)] * n, "[0,1]", "returned list, not a tensor"),
        (lambda n: None, "[0,1]", "returned NoneType, not a tensor"),
    ],
)
def test_broken_contracts_are_named(make, value_range, reason):
    """NaN, another range, shape, count or type is an error that has the value found and the expected one."""
    with pytest.raises(GeneratorError, match=reason):
        drawn(Returns(make, value_range), 5)


def test_images_must_not_change_their_size():
    """A generator makes images of one size."""
    with pytest.raises(GeneratorError, match=r"images changed from \[3, 32, 4\] to \[3, 1, 4\]"):
        drawn(Returns(lambda n: torch.zeros(n, 3, n, 4), "[0,1]"), CHUNK + 1, batch_size=50)


@pytest.mark.parametrize("num_samples", [None, 0, -1])
def test_the_count_must_be_said(num_samples):
    """A generator is infinite, so the number of images is required."""
    with pytest.raises(UsageError, match="num_samples"):
        open_source(Noise(), num_samples=num_samples)


def test_an_undeclared_spelling_of_a_range():
    """An invalid range is refused when the source is opened."""
    with pytest.raises(UsageError, match="not a range"):
        open_source(Returns(None, "[0,2]"), num_samples=1)


def test_a_live_source_is_never_cached():
    """Images that are not drawn yet have no fingerprint."""
    assert open_source(Noise(), num_samples=2).fingerprint() is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_images_stay_there_and_leave_no_trace():
    """Images are handed over on the generator's device; CUDA's global state is as before."""

    class OnGpu:
        value_range, device = "[0,1]", "cuda"

        def sample(self, n, *, labels=None, rng):
            torch.rand(3, device="cuda")
            return torch.rand(n, 3, 2, 2, device="cuda", generator=rng)

    torch.rand(1, device="cuda")
    state = torch.cuda.get_rng_state()
    batches = batches_of(open_source(OnGpu(), num_samples=40))
    assert batches[0].groups[0].images.is_cuda
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_no_two_chunks_have_one_seed() -> None:
    """Up to seeds and chunks of these numbers; so seeds that are near do not draw the same images shifted."""
    seeds, chunks = range(1000), 100_000
    starts = sorted(chunk_seed(seed, 0) for seed in seeds)
    gaps = [later - earlier for earlier, later in pairwise([*starts, starts[0] + 2**32])]
    assert min(gaps) > chunks
    assert chunk_seed(7, chunks) == (chunk_seed(7, 0) + chunks) % 2**32
