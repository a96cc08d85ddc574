"""Decoding of PNG and JPEG files: threads against processes with 1, 2 and 4 workers, and other decoders of JPEG.

Threads are ganeval's: a folder, read with so many. Processes are those of PyTorch's DataLoader, which decode with the
same function and hand the pixels over in shared memory; that they start is part of the time, as it is of an evaluation.
Processor time, of all threads and processes together, says what decoding takes from a network on the same cores.
A faster decoder of JPEG is of use only if its pixels are Pillow's: the corpus has several sizes, qualities, kinds of
subsampling, and progressive, greyscale and optimised files. simplejpeg is measured if it is installed.
"""

import io
import itertools
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness import median, save, say, table
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.decode import decode
from ganeval.sources.jpeg import fast_decoder

COUNT, SIDE, BATCH = 500, 256, 8
# Of every decoder, a run: a round takes a tenth of a second.
ROUNDS = 10
WORKERS = (1, 2, 4)
QUALITIES, SIDES = (30, 75, 90, 95, 100), ((64, 64), (97, 131), (256, 256), (255, 33))
# Chroma at full resolution, halved in one direction, and in both.
SUBSAMPLINGS = (0, 1, 2)
Decoder = Callable[[bytes], NDArray[np.uint8]]


class Rate(NamedTuple):
    """images: per second. processor: seconds of processor time per image."""

    images: float
    processor: float


class Files(Dataset[Tensor]):
    """Image files, decoded as ganeval does."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        return decode(path.read_bytes(), path.name).pixels


def main(*, runs: int) -> None:
    """Both formats with every number of workers in turn, then the decoders."""
    rates: dict[str, dict[str, Rate]] = {}
    with tempfile.TemporaryDirectory() as name:
        for suffix in ("png", "jpg"):
            folder = Path(name) / suffix
            _write(folder, suffix)
            rates[suffix] = _rates(folder, runs)
    equal, speed = _decoders(runs)
    rows = []
    for way in rates["png"]:
        cells = [way]
        for found in (rates["png"], rates["jpg"]):
            each = found[way]
            ratio = each.images / found["1 threads"].images
            cells += [f"{each.images:.0f}", f"{ratio:.2f}", f"{1000 * each.processor:.2f} ms"]
        rows.append(cells)
    each_format = ["relative to 1 thread", "processor time per image"]
    text = table(["images/s of 256 px", "PNG", *each_format, "JPEG", *each_format], rows)
    shares = [
        [decoder, f"{speed[decoder]:.0f}", f"{speed[decoder] / speed['Pillow']:.2f}", f"{same} of {total}"]
        for decoder, (same, total) in equal.items()
    ]
    text += "\n\n" + table(
        ["JPEG, by processor time", "images/s", "relative to Pillow", "equal to Pillow in every pixel"], shares
    )
    text += f"\n\n{os.cpu_count()} cores; {os.getloadavg()[0]:.1f} processes wanted them at the end."
    ways = {suffix: {way: each._asdict() for way, each in found.items()} for suffix, found in rates.items()}
    figures = {"ways": ways, "decoders": speed, "equal": equal, "load": os.getloadavg()[0]}
    save("decoding", figures, text)


def _rates(folder: Path, runs: int) -> dict[str, Rate]:
    """By kind and number of workers, the best of the runs."""
    found: dict[str, Rate] = {}
    for _ in range(runs):
        for kind, read in (("threads", _threads), ("processes", _processes)):
            for workers in WORKERS:
                start, busy = time.perf_counter(), _processor()
                read(folder, workers)
                rate = COUNT / (time.perf_counter() - start)
                processor = (_processor() - busy) / COUNT
                before = found.get(f"{workers} {kind}", Rate(0.0, processor))
                found[f"{workers} {kind}"] = Rate(max(before.images, rate), min(before.processor, processor))
    say(f"  {folder.name}: {', '.join(f'{way} {rate.images:.0f}' for way, rate in found.items())}")
    return found


def _processor() -> float:
    """Seconds of processor time of this process and of those that it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _threads(folder: Path, workers: int) -> None:
    for _ in open_source(folder).batches(Reading(batch_size=BATCH, workers=workers), ReadReport()):
        pass


def _processes(folder: Path, workers: int) -> None:
    with warnings.catch_warnings():
        # That there are more workers than cores is wanted here.
        warnings.simplefilter("ignore")
        for _ in DataLoader(Files(folder), batch_size=BATCH, num_workers=workers):
            pass


def _write(folder: Path, suffix: str) -> None:
    folder.mkdir()
    for number, crop in zip(range(COUNT), _crops((SIDE, SIDE)), strict=False):
        Image.fromarray(crop).save(folder / f"{number:05}.{suffix}", quality=90)


def _crops(size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Endless crops of two photographs."""
    from sklearn.datasets import load_sample_images

    photos, rng = load_sample_images().images, np.random.RandomState(0)
    for photo in itertools.cycle(photos):
        top, left = (rng.randint(edge - side + 1) for edge, side in zip(photo.shape, size, strict=False))
        yield np.ascontiguousarray(photo[top : top + size[0], left : left + size[1]])


def _corpus() -> list[bytes]:
    """JPEG files of every kind that is measured."""
    files = []
    for size, quality, subsampling in itertools.product(SIDES, QUALITIES, SUBSAMPLINGS):
        image = Image.fromarray(next(_crops(size)))
        kinds: tuple[dict[str, int], ...] = ({}, {"progressive": True}, {"optimize": True})
        files += [_encoded(image, quality=quality, subsampling=subsampling, **kind) for kind in kinds]
        files.append(_encoded(image.convert("L"), quality=quality))
    return files


def _encoded(image: Image.Image, **options: int) -> bytes:
    into = io.BytesIO()
    image.save(into, "JPEG", **options)
    return into.getvalue()


def _decoders(runs: int) -> tuple[dict[str, tuple[int, int]], dict[str, float]]:
    """Of each decoder: how many files of the corpus it decodes as Pillow does, of how many; and images per second."""
    files, decoders = _corpus(), _installed()
    timed = [_encoded(Image.fromarray(crop), quality=90) for crop in itertools.islice(_crops((SIDE, SIDE)), 200)]
    equal = {
        name: (sum(np.array_equal(one(data), _pillow(data)) for data in files), len(files))
        for name, one in decoders.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(ROUNDS * runs):
        for name, one in decoders.items():
            start = time.process_time()
            for data in timed:
                one(data)
            seconds[name].append(time.process_time() - start)
    return equal, {name: len(timed) / median(found) for name, found in seconds.items()}


def _installed() -> Mapping[str, Decoder]:
    found: dict[str, Decoder] = {"Pillow": _pillow, "torchvision": _torchvision}
    fast = fast_decoder()
    return found if fast is None else found | {"simplejpeg": fast}


def _pillow(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _torchvision(data: bytes) -> NDArray[np.uint8]:
    from torchvision.io import ImageReadMode, decode_jpeg

    with warnings.catch_warnings():
        # Its decoders are deprecated.
        warnings.simplefilter("ignore")
        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
    decoded: NDArray[np.uint8] = pixels.permute(1, 2, 0).numpy()
    return decoded
