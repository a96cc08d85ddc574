"""Helpers for the tests of sources: reading a source to its end, and writing images of every kind."""

import io
import struct
import zlib

import numpy as np
import torch
from PIL import Image

from ganeval.sources.base import Reading, ReadReport


def images_of(source, *, batch_size=5, workers=2, on_error="fail", skip_limit=0.01):
    """Every image of a source in order, as uint8 arrays [3, H, W], and the report of the reading."""
    report = ReadReport()
    reading = Reading(batch_size=batch_size, workers=workers, on_error=on_error, skip_limit=skip_limit)
    images = []
    for batch in source.batches(reading, report):
        rows = {}
        for group in batch.groups:
            assert group.images.dtype == torch.uint8
            rows |= dict(zip(group.rows, group.images.cpu().numpy(), strict=True))
        assert sorted(rows) == list(range(len(batch)))
        images += [rows[row] for row in range(len(batch))]
    return images, report


def batches_of(source, **reading):
    """Every batch of a source."""
    return list(source.batches(Reading(**reading), ReadReport()))


def random_images(count, height=6, width=7, *, seed=0):
    """uint8 [count, height, width, 3]."""
    return np.random.RandomState(seed).randint(0, 256, (count, height, width, 3)).astype(np.uint8)


def encode(array, kind="PNG", mode=None, **options):
    """An array as the bytes of an image file."""
    stream = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def write_folder(folder, images, names=None):
    """Images as PNG files."""
    for index, image in enumerate(images):
        path = folder / (f"{index}.png" if names is None else names[index])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(image))
    return folder


def png_chunk(name, data):
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_16(samples, *, transparent=None):
    """16-bit samples [H, W, 1 to 4] as a PNG; transparent: the colour of a tRNS chunk."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    key = b"" if transparent is None else png_chunk(b"tRNS", np.asarray(transparent).astype(">u2").tobytes())
    parts = png_chunk(b"IHDR", header), key, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff_16(samples, *, big_endian=False, deflated=False):
    """16-bit colour samples [H, W, 3] as a TIFF of one strip."""
    order = ">" if big_endian else "<"
    height, width, channels = samples.shape
    data = samples.astype(order + "u2").tobytes()
    data = zlib.compress(data) if deflated else data
    offset = 8 + 2 + 12 * 10 + 4
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, offset), (259, 3, 1, 8 if deflated else 1),
        (262, 3, 1, 2), (273, 4, 1, offset + 2 * channels), (277, 3, 1, channels), (278, 3, 1, height),
        (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        packed = struct.pack(order + "HH", value, 0) if kind == 3 and count == 1 else struct.pack(order + "I", value)
        directory += struct.pack(order + "HHI", tag, kind, count) + packed
    start = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8)
    depths = struct.pack(f"{order}{channels}H", *[16] * channels)
    return start + directory + struct.pack(order + "I", 0) + depths + data


def flat_png(width, height, *, depth=8, channels=3):
    """A PNG of one colour with many pixels and few bytes, written row by row."""
    packed, row = zlib.compressobj(1), b"\0" + b"\x12\x34"[: depth // 8] * (width * channels)
    data = b"".join([packed.compress(row) for _ in range(height)]) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = png_chunk(b"IHDR", header), png_chunk(b"IDAT", data), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
