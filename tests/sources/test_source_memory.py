"""Memory for large images is bounded by their pixels and bytes, for any number of concurrent images."""

import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from source_helpers import encode, flat_png, images_of, random_images, write_folder

from ganeval.errors import DecodeError
from ganeval.sources import items as items_module
from ganeval.sources import open_source, pixels
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.budget import Budget, claim
from ganeval.sources.decode import decode
from ganeval.sources.files import ENCODED_LIMIT

MEGAPIXELS_20 = 4472
PEAK = """
import re
from ganeval.extractors.digits import DigitsExtractor
from ganeval.extractors.pixels import PixelsExtractor
from ganeval.extraction import extract
from ganeval.sources import open_source
from ganeval.sources.base import Reading

def peak():
    # That of this process: what `resource` tells begins with the peak of the process that started it.
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

extractor = {{"pixels": PixelsExtractor(size=32), "digits": DigitsExtractor()}}["{extractor}"]
# The peak is from now on: 5 resets it (man 5 proc).
open("/proc/self/clear_refs", "w").write("5")
before = peak()
extract(open_source("{folder}"), [extractor], frozenset(("features",)), Reading())
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this file resets the peak of a process")
@pytest.mark.parametrize(("extractor", "most"), [("pixels", 300e6), ("digits", 400e6)])
def test_the_peak_is_a_small_multiple_of_the_image(python, tmp_path, extractor, most):
    """A 20-megapixel image in 16-bit RGBA, 60 MB as RGB, is processed in bands: its luma alone would take 80 MB."""
    (tmp_path / "a.png").write_bytes(flat_png(MEGAPIXELS_20, MEGAPIXELS_20, depth=16, channels=4))
    told = subprocess.run(
        [*python, "-c", PEAK.format(extractor=extractor, folder=tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert 0 < int(told.stdout) < most


def test_large_images_come_in_small_batches(tmp_path, monkeypatch):
    """A batch is limited in bytes, and images, their order and the report stay the same."""
    images = random_images(7, 20, 30)
    write_folder(tmp_path, images)
    monkeypatch.setattr(items_module, "BATCH_BYTES", 2 * images[0].nbytes)
    source = open_source(tmp_path)
    sizes = [len(batch) for batch in source.batches(Reading(batch_size=5), ReadReport())]
    assert sizes == [2, 2, 1, 2]
    for image, expected in zip(images_of(source)[0], images, strict=True):
        np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))


def test_images_larger_than_the_budget_are_read_one_after_another(tmp_path, monkeypatch):
    """If one image takes more than the budget, reading continues with the requested number of threads."""
    images = random_images(12, 20, 30)
    write_folder(tmp_path, images)
    monkeypatch.setattr(items_module, "AHEAD_BYTES", 10)
    monkeypatch.setattr(items_module, "BATCH_BYTES", 10)
    before = threading.active_count()
    read, _ = images_of(open_source(tmp_path), workers=4, batch_size=5)
    assert len(read) == 12
    assert threading.active_count() == before


def test_who_claims_too_much_waits_until_others_let_go():
    """A claim beyond the limit waits for another image, unless the reading is waiting for this one."""
    budget, done = Budget(100, threading.Event()), []

    def load(position, count):
        with budget.loading(position):
            claim(count)
        done.append(position)

    load(0, 90)
    waiting = threading.Thread(target=load, args=(2, 50))
    waiting.start()
    load(0, 200)
    time.sleep(0.05)
    assert done == [0, 0]
    budget.settle(0, 0)
    waiting.join(timeout=5)
    assert done == [0, 0, 2]


def test_a_reading_that_stops_lets_everybody_go():
    """Closing a reading does not wait for memory that will not be released."""
    stop = threading.Event()
    budget = Budget(10, stop)
    with budget.loading(0):
        claim(100)
    waiting = threading.Thread(target=lambda: budget._wait(5, 1))
    waiting.start()
    stop.set()
    waiting.join(timeout=5)
    assert not waiting.is_alive()


def test_claims_outside_of_a_reading_are_granted():
    """Decoding a single image does not wait."""
    claim(1 << 60)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "LA", "YCbCr"])
def test_bands_give_what_the_whole_image_gives(mode, monkeypatch):
    """Pixels and conversions equal those of the whole image for any number of rows at a time."""
    options = {"mode": mode, "kind": "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"}
    data = encode(random_images(1, 37, 11)[0], **options)
    whole = decode(data, "x")
    monkeypatch.setattr(pixels, "BAND_PIXELS", 40)
    banded = decode(data, "x")
    assert torch.equal(whole.pixels, banded.pixels)
    assert whole.conversions == banded.conversions


def test_an_image_followed_by_gigabytes_is_refused_unread(tmp_path):
    """A file larger than any image can be is an error with its size."""
    path = tmp_path / "x.png"
    path.write_bytes(flat_png(4, 4))
    with path.open("r+b") as file:
        file.truncate(3 << 30)
    with pytest.raises(DecodeError, match=rf"it has 3,221,225,472 bytes; no image has over {ENCODED_LIMIT:,}"):
        images_of(open_source(tmp_path))


@pytest.mark.parametrize(("depth", "expected"), [(8, 7), (16, 11)])
def test_what_is_claimed_covers_both_of_pillows_copies(monkeypatch, depth, expected):
    """Pillow's four bytes per pixel are counted twice for 16 bits, in addition to the three of the result."""
    claimed = []
    monkeypatch.setattr("ganeval.sources.decode.claim", claimed.append)
    decode(flat_png(10, 20, depth=depth, channels=4), "a.png")
    assert claimed == [10 * 20 * expected]
