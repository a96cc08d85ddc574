"""Reading indexed items: order, threads, subsets, skipped images, and stopping."""

import random
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from source_helpers import batches_of, encode, images_of, random_images, write_folder

from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.sources import open_source
from ganeval.sources.ahead import WINDOW, in_order
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.items import Item, ItemSource


class Counted:
    """Items that count loads; index `broken` cannot be loaded."""

    kind, parallel, labels, class_names = "counted", True, None, None

    def __init__(self, count, *, broken=(), pause=0.0):
        self.count, self.broken, self.pause = count, broken, pause
        self.loaded = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def __len__(self):
        return self.count

    def item_name(self, index):
        return f"item {index}"

    def load(self, index):
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(self.pause * random.random())
        with self.lock:
            self.at_once -= 1
            self.loaded.append(index)
        if index in self.broken:
            raise DecodeError(self.item_name(index), "broken")
        # Two sizes, so that batches are mixed.
        pixels = torch.full((3, 2 + index % 2, 2), index % 256, dtype=torch.uint8)
        return Item(pixels, index.to_bytes(16, "little"), ("odd",) if index % 2 else (), index % 10)

    def digest(self, index):
        return index.to_bytes(16, "little")

    def fingerprint(self, indices):
        return None

    def describe(self):
        return {}


def indices_of(batches):
    """What `Counted` loaded, from the digests in the batches."""
    return [int.from_bytes(digest, "little") for batch in batches for digest in batch.digests]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_neither_threads_nor_batches_change_what_is_read(workers, batch_size):
    """Images, order, digests, labels and conversions are the same however they are read."""
    source = ItemSource(Counted(30, pause=0.002), name="counted")
    images, report = images_of(source, workers=workers, batch_size=batch_size)
    batches = batches_of(source, workers=workers, batch_size=batch_size)
    assert [image[0, 0, 0] for image in images] == list(range(30))
    assert indices_of(batches) == list(range(30))
    assert [label for batch in batches for label in batch.labels] == [index % 10 for index in range(30)]
    assert report.conversions == {"odd": 15}
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_reading_ahead_is_bounded():
    """For a slow consumer only a few batches are decoded ahead, so memory stays flat."""
    items = Counted(1000)
    batches = ItemSource(items, name="counted").batches(Reading(batch_size=2, workers=3), ReadReport())
    next(batches)
    time.sleep(0.1)
    assert len(items.loaded) <= 2 * (3 + WINDOW)
    batches.close()


def test_work_is_done_by_as_many_threads_as_asked():
    """Items that allow it are loaded in parallel, others in one thread."""
    for parallel, expected in ((True, {2, 3}), (False, {1})):
        items = Counted(24, pause=0.01)
        items.parallel = parallel
        images_of(ItemSource(items, name="counted"), workers=3, batch_size=2)
        assert items.most_at_once in expected


def test_closing_leaves_no_thread_and_stops_the_work():
    """A closed reading ends at once, also with images still to be decoded."""
    before = set(threading.enumerate())
    items = Counted(1000, pause=0.02)
    batches = ItemSource(items, name="counted").batches(Reading(batch_size=50, workers=2), ReadReport())
    next(batches)
    start = time.perf_counter()
    batches.close()
    assert time.perf_counter() - start < 0.5
    assert set(threading.enumerate()) == before
    assert len(items.loaded) < 500


def test_ctrl_c_while_reading_leaves_no_thread():
    """An interrupt in the consumer ends the reading."""
    before = set(threading.enumerate())

    def consume():
        for _ in ItemSource(Counted(100), name="counted").batches(Reading(), ReadReport()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert set(threading.enumerate()) == before


def test_an_exception_in_a_task_comes_out_in_its_place():
    """Results before the failing task arrive, then its exception, and the workers have ended."""

    def task(number):
        def run():
            if number == 3:
                raise ValueError("three")
            return number

        return run

    stop = threading.Event()
    results = in_order((task(number) for number in range(9)), workers=2, stop=stop)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert stop.is_set()


def test_failing_is_the_default():
    """One unreadable image ends the reading with its name."""
    with pytest.raises(DecodeError, match="item 4: broken"):
        images_of(ItemSource(Counted(10, broken={4}), name="counted"))


def test_skipped_images_are_listed_and_rows_still_map_to_items():
    """Under "skip", an unreadable image has no row and no digest; its name, reason and index are in the report."""
    source = ItemSource(Counted(12, broken={0, 5, 6}), name="counted")
    images, report = images_of(source, on_error="skip", skip_limit=0.5, batch_size=1)
    assert report.skipped == [("item 0", "broken"), ("item 5", "broken"), ("item 6", "broken")]
    kept = [index for index in range(12) if index not in report.skipped_indices]
    assert [image[0, 0, 0] for image in images] == kept
    assert indices_of(batches_of(source, on_error="skip", skip_limit=0.5)) == kept


def test_too_many_skips_fail_after_all():
    """Beyond the limit the reading fails with the number of skipped images and the first."""
    with pytest.raises(
        SourceError, match=r"2 of 100 images could not be read, over the limit of 1%; the first: item 4"
    ):
        images_of(ItemSource(Counted(100, broken={4, 50}), name="counted"), on_error="skip")
    images, _ = images_of(ItemSource(Counted(100, broken={4}), name="counted"), on_error="skip")
    assert len(images) == 99


def test_not_one_readable_image_is_an_error():
    """Skipping all images is an error."""
    with pytest.raises(SourceError, match="no image could be read"):
        images_of(ItemSource(Counted(1, broken={0}), name="counted"), on_error="skip")


def test_files_that_cannot_be_decoded_are_skipped(tmp_path):
    """A truncated, an empty and a mislabelled file among good ones are three skips."""
    write_folder(tmp_path, random_images(5))
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "1.png").write_bytes(encode(random_images(1)[0])[:60])
    (tmp_path / "2.png").write_bytes(encode(random_images(1)[0], "JPEG"))
    images, report = images_of(open_source(tmp_path), on_error="skip", skip_limit=1)
    assert len(images) == 2
    reasons = [reason for _, reason in report.skipped]
    assert ["empty" in reasons[0], "truncated" in reasons[1], "JPEG" in reasons[2]] == [True] * 3
    with pytest.raises(DecodeError, match=r"0\.png: the file is empty"):
        images_of(open_source(tmp_path))


def test_mixed_sizes_are_grouped(tmp_path):
    """A batch of several sizes has one group per size."""
    images = [random_images(1, 4 + i % 3, 5, seed=i)[0] for i in range(9)]
    source = open_source(write_folder(tmp_path, images))
    (batch,) = batches_of(source, batch_size=9)
    assert [group.rows for group in batch.groups] == [(0, 3, 6), (1, 4, 7), (2, 5, 8)]
    read, _ = images_of(source)
    for image, expected in zip(read, images, strict=True):
        np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))


def test_the_subset_is_the_same_on_every_machine():
    """The indices of three of a hundred for seeds 0 and 1 are fixed."""
    for seed, expected in ((0, [26, 86, 2]), (1, [80, 84, 33])):
        permuted = np.random.RandomState(seed).permutation(100)[:3].tolist()
        assert permuted == expected
        source = ItemSource(Counted(100), name="counted", num_samples=3, seed=seed)
        assert indices_of(batches_of(source)) == sorted(expected)
        assert source.describe() == {"subset": {"num_samples": 3, "of": 100, "seed": seed}}


@given(st.integers(1, 40), st.data())
@settings(max_examples=30, deadline=None)
def test_a_subset_has_no_image_twice(total, data):
    """A subset is drawn without replacement, keeps the order, and maps names and labels with it."""
    wanted = data.draw(st.integers(1, total))
    source = open_source(
        torch.zeros(total, 3, 1, 1, dtype=torch.uint8), num_samples=wanted, seed=data.draw(st.integers(0, 5))
    )
    names = [source.item_name(index) for index in range(len(source))]
    assert len(source) == len(set(names)) == wanted
    assert names == sorted(names, key=lambda name: int(name.split("[")[1][:-1]))


def test_a_subset_of_labelled_images_keeps_their_labels():
    """Labels follow their images into the subset."""
    source = open_source("digits:test", num_samples=20, seed=3)
    whole = open_source("digits:test")
    places = [int(source.item_name(i).split("[")[1][:-1]) for i in range(20)]
    assert source.labels == [whole.labels[place] for place in places]
    assert [label for batch in batches_of(source) for label in batch.labels] == source.labels


@pytest.mark.parametrize("wanted", [0, -3])
def test_a_subset_needs_an_image(wanted):
    """Fewer than one image is a usage error."""
    with pytest.raises(UsageError, match="must be 1 or more"):
        open_source("digits:test", num_samples=wanted)


def test_more_images_than_there_are():
    """The message has both numbers."""
    with pytest.raises(SourceError, match="digits:test: 451 images were requested, but there are only 450"):
        open_source("digits:test", num_samples=451)


@pytest.mark.parametrize("reading", [{"batch_size": 0}, {"workers": 0}, {"on_error": "ignore"}])
def test_impossible_readings_are_refused(reading):
    """Invalid options are usage errors."""
    with pytest.raises(UsageError):
        Reading(**reading)


def test_reading_wakes_none_of_torchs_threads(tmp_path, monkeypatch):
    """They would spin for milliseconds after each batch, on the cores that decode the next one."""
    images = random_images(5, 8, 8)
    write_folder(tmp_path, images)
    expected = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    monkeypatch.setattr(torch, "stack", lambda *_, **__: pytest.fail("torch copies with all its threads"))
    found = [batch.groups[0].images for batch in batches_of(open_source(tmp_path), batch_size=3)]
    assert [len(batch) for batch in found] == [3, 2]
    assert torch.equal(torch.cat(found), expected)


def test_the_end_of_a_batch_may_wait_for_its_beginning():
    """Results are handed over one by one where a batch takes long: its last image may need the memory of the first."""
    taken = threading.Event()
    tasks = [lambda: "first", lambda: taken.wait(10)]
    results = in_order(tasks, workers=2, stop=threading.Event(), tasks_per_batch=2)
    assert next(results) == "first"
    taken.set()
    assert list(results) == [True]
