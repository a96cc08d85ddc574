"""Every format and mode is converted to the image contract, and broken files are refused by name."""

import io
import re
import struct
import sys
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from source_helpers import encode, png_16, png_chunk, random_images, tiff_16

from ganeval.errors import DecodeError
from ganeval.sources import jpeg
from ganeval.sources.decode import FORMATS, SUFFIXES, decode, sniff

PHOTO = np.kron(random_images(1, 8, 9)[0], np.ones((4, 4, 1))).astype(np.uint8)
NOISE = random_images(1, 11, 13)[0]
GREY = NOISE[..., 0]


def pixels(data, name="x"):
    """Decoded pixels [H, W, 3] and the conversions."""
    decoded = decode(data, name)
    assert decoded.pixels.shape[0] == 3
    return decoded.pixels.permute(1, 2, 0).numpy(), decoded.conversions


@pytest.mark.parametrize("suffix", [".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm", ".pnm"])
def test_lossless_formats_keep_every_pixel(suffix):
    """What was saved without loss is read without loss."""
    flat = np.asarray(Image.fromarray(NOISE).quantize(64).convert("RGB"))
    options = {"lossless": True} if suffix == ".webp" else {}
    kind = {".tif": "TIFF", ".ppm": "PPM", ".pnm": "PPM", ".dib": "BMP", ".apng": "PNG"}.get(suffix, suffix[1:].upper())
    read, _ = pixels(encode(flat, kind, **options), f"image{suffix}")
    np.testing.assert_array_equal(read, flat)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".jfif", ".jpe"])
def test_jpeg_is_pillows_jpeg(options, suffix):
    """JPEG pixels are bit for bit Pillow's."""
    data = encode(PHOTO, "JPEG", **options)
    read, conversions = pixels(data, f"x{suffix}")
    np.testing.assert_array_equal(read, np.asarray(Image.open(io.BytesIO(data))))
    assert conversions == ()


@pytest.mark.parametrize("quality", [10, 75, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (7, 33), (64, 64), (61, 47)])
def test_a_faster_decoder_is_equal_to_pillow(shape, progressive, subsampling, quality):
    """simplejpeg's pixels are Pillow's, bit for bit."""
    picture = np.resize(PHOTO, (*shape, 3))
    data = encode(picture, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    decoder = jpeg.fast_decoder()
    assert decoder is not None
    np.testing.assert_array_equal(decoder(data), np.asarray(Image.open(io.BytesIO(data))))


def test_jpegs_do_not_need_the_faster_decoder(monkeypatch):
    """Without simplejpeg, with one that differs, and where it refuses a file, pixels and errors are Pillow's."""
    data, truncated = encode(PHOTO, "JPEG"), encode(PHOTO, "JPEG")[:200] + b"\xff\xd9"
    expected = np.asarray(Image.open(io.BytesIO(data)))
    with pytest.raises(DecodeError) as refused:
        decode(truncated, "x.jpg")

    def refuses(data):
        raise ValueError

    for decoder in (None, refuses):
        monkeypatch.setattr("ganeval.sources.decode.fast_decoder", lambda decoder=decoder: decoder)
        np.testing.assert_array_equal(pixels(data)[0], expected)
        with pytest.raises(DecodeError, match=re.escape(str(refused.value))):
            decode(truncated, "x.jpg")


@pytest.mark.parametrize("package", [None, SimpleNamespace(decode_jpeg=lambda data, colorspace: np.zeros((8, 8, 3)))])
def test_a_decoder_is_used_only_if_it_is_there_and_equal(monkeypatch, package):
    """A package that is missing, or whose pixels differ, is left alone."""
    monkeypatch.setitem(sys.modules, "simplejpeg", package)
    assert jpeg.fast_decoder.__wrapped__() is None


def test_avif_is_pillows_avif(monkeypatch):
    """AVIF pixels are Pillow's; a Pillow without AVIF is an error that says so."""
    data = encode(PHOTO, "AVIF")
    read, conversions = pixels(data, "x.avif")
    np.testing.assert_array_equal(read, np.asarray(Image.open(io.BytesIO(data))))
    assert conversions == ()
    monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
    with pytest.raises(DecodeError, match=r"x.avif: this Pillow cannot read AVIF; install Pillow 11\.3"):
        decode(data, "x.avif")


@pytest.mark.parametrize(
    ("mode", "conversions"),
    [
        ("RGB", ()),
        ("L", ("greyscale",)),
        ("1", ("1-bit",)),
        ("P", ("palette",)),
        ("LA", ("greyscale", "alpha on white")),
        ("RGBA", ("alpha on white",)),
    ],
)
def test_each_mode_of_png_is_named(mode, conversions):
    """The conversions name the mode of an image, and opaque pixels are Pillow's RGB."""
    read, seen = pixels(encode(NOISE, "PNG", mode))
    np.testing.assert_array_equal(read, np.asarray(Image.fromarray(NOISE).convert(mode).convert("RGB")))
    assert seen == conversions


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_converted_as_pillow_does(kind):
    """CMYK becomes Pillow's RGB."""
    data = encode(PHOTO, kind, "CMYK")
    read, conversions = pixels(data)
    np.testing.assert_array_equal(read, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert conversions == ("CMYK",)


def test_alpha_is_composited_on_white():
    """Colour c with opacity a becomes round((c a + 255 (255 - a)) / 255)."""
    rgba = np.random.RandomState(1).randint(0, 256, (9, 8, 4)).astype(np.uint8)
    rgba[0, :, 3], rgba[1, :, 3] = 0, 255
    colour, alpha = rgba[..., :3].astype(float), rgba[..., 3:].astype(float)
    read, _ = pixels(encode(rgba))
    np.testing.assert_array_equal(read, np.floor((colour * alpha + 255 * (255 - alpha)) / 255 + 0.5))
    assert (read[0] == 255).all()
    np.testing.assert_array_equal(read[1], rgba[1, :, :3])


def test_palette_with_transparency_is_composited():
    """A palette's transparent entry is white, the others keep their colour."""
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=1)
    read, conversions = pixels(stream.getvalue())
    assert read.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    assert conversions == ("palette", "alpha on white")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_is_rounded_to_8_bit(channels):
    """16-bit samples are composited at 16 bits, then become round(v / 257): the low byte is not just dropped."""
    samples = np.random.RandomState(channels).randint(0, 65536, (40, 50, channels))
    read, conversions = pixels(png_16(samples))
    colour = samples.astype(float)
    if channels in (2, 4):
        colour, alpha = colour[..., :-1], colour[..., -1:]
        colour = np.floor((colour * alpha + 65535 * (65535 - alpha)) / 65535 + 0.5)
    np.testing.assert_array_equal(read, np.broadcast_to(np.floor(colour / 257 + 0.5), read.shape))
    assert "16-bit" in conversions
    assert ("alpha on white" in conversions) == (channels in (2, 4))
    assert ("greyscale" in conversions) == (channels in (1, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_16_bit_transparent_colour_is_white(channels):
    """tRNS of a 16-bit PNG makes just that colour transparent, compared at 16 bits."""
    samples = np.full((2, 2, channels), 1000)
    samples[0, 0, 0] = 1001
    read, _ = pixels(png_16(samples, transparent=[1000] * channels))
    assert read[1, 1].tolist() == [255, 255, 255]
    assert read[0, 0].tolist() == [4, 4, 4]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
def test_16_bit_tiff_is_rounded_to_8_bit(big_endian, deflated):
    """Colour TIFFs of either byte order, raw or compressed, keep their low bytes until they are rounded."""
    samples = np.random.RandomState(3).randint(0, 65536, (12, 10, 3))
    read, conversions = pixels(tiff_16(samples, big_endian=big_endian, deflated=deflated), "x.tif")
    np.testing.assert_array_equal(read, np.floor(samples / 257 + 0.5))
    assert conversions == ("16-bit",)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "PPM"])
def test_16_bit_grey_of_every_format(kind):
    """16-bit greyscale is scaled alike in every format."""
    samples = np.random.RandomState(4).randint(0, 65536, (5, 6)).astype(np.uint16)
    stream = io.BytesIO()
    if kind == "PPM":
        stream.write(b"P5 6 5 65535\n" + samples.astype(">u2").tobytes())
    else:
        Image.fromarray(samples).save(stream, kind)
    read, conversions = pixels(stream.getvalue())
    np.testing.assert_array_equal(read[..., 1], np.floor(samples / 257 + 0.5))
    assert conversions == ("16-bit", "greyscale")


def test_float_tiff_is_refused():
    """Floats have no agreed range, so they are refused."""
    with pytest.raises(DecodeError, match=r"a\.tif: its pixels are of the kind 'F'"):
        decode(encode(np.zeros((4, 4), np.float32), "TIFF"), "a.tif")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_of_several_frames_is_taken(kind):
    """Animations and multi-page files give their first frame, with a remark."""
    frames = [Image.fromarray(np.full((6, 6, 3), value, np.uint8)) for value in (10, 200)]
    stream = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], **options)
    read, conversions = pixels(stream.getvalue())
    assert (read == 10).all()
    assert "first frame of several" in conversions


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_left_alone_and_counted(kind):
    """A rotated-by-EXIF image keeps its stored pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if kind == "WEBP" else {}
    read, conversions = pixels(encode(PHOTO, kind, exif=exif, **options))
    assert read.shape == PHOTO.shape
    assert conversions == ("EXIF orientation ignored",)


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_is_no_reason_to_fail(block):
    """EXIF that cannot be parsed is ignored."""
    assert pixels(encode(PHOTO, "JPEG", exif=block))[1] == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.97])
def test_truncated_files_fail_and_are_named(kind, share):
    """A truncated file is an error that names it."""
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    whole = encode(np.tile(PHOTO, (2, 2, 1)), kind, **options)
    with pytest.raises(DecodeError, match=r"^folder/cut: "):
        decode(whole[: int(len(whole) * share)], "folder/cut")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n <!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"\0\0\0\x1cftypheic", "HEIC"),
        (b"RIFF\0\0\0\0WAVE", "starts with the bytes 52 49 46 46"),
        (b"P7 \n", "not an image"),
    ],
)
def test_what_is_no_image_is_said_to_be_something_else(data, reason):
    """The message says which kind of file it is."""
    with pytest.raises(DecodeError, match=reason):
        decode(data, "x.png")


def test_mislabelled_images_fail_with_both_names():
    """A JPEG called .png is refused, and the message says what to do."""
    with pytest.raises(DecodeError, match=r"a/x\.png: it is named \.png but holds JPEG data; rename it to \.jpg"):
        decode(encode(PHOTO, "JPEG"), "a/x.png")


def test_names_without_an_extension_are_read_by_content():
    """A name without an extension, or with an unknown one, is not mislabelled."""
    assert pixels(encode(PHOTO), "folder.d/image")[0].shape == PHOTO.shape


def _png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 10_000), (100_000, 100_000)])
def test_decompression_bombs_are_refused_with_their_size(size):
    """A header that declares too many pixels is an error before anything is unpacked, and no warning."""
    with pytest.raises(DecodeError, match=rf"{size[0]} x {size[1]} = .* pixels, over the limit of 89,478,485"):
        decode(_png_header(*size), "bomb.png")


def test_the_bomb_limit_is_pillows(monkeypatch):
    """Pillow's limit, also when changed, is ganeval's."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DecodeError, match="over the limit of 100"):
        decode(encode(PHOTO), "x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "AVIF"])
def test_corrupt_bytes_never_escape_as_other_errors(kind):
    """A file with changed bytes gives an image or a DecodeError."""
    whole = encode(NOISE, kind)
    random = np.random.RandomState(0)
    for _ in range(60):
        broken = bytearray(whole)
        for place in random.randint(0, len(broken), 4):
            broken[place] = random.randint(256)
        with suppress(DecodeError):
            assert decode(bytes(broken), "x").pixels.shape[0] == 3


def test_every_format_is_known_by_its_first_bytes():
    """`sniff` recognises each supported format under any name."""
    for name, kind in {
        "PNG": "PNG",
        "JPEG": "JPEG",
        "WebP": "WEBP",
        "BMP": "BMP",
        "TIFF": "TIFF",
        "GIF": "GIF",
        "AVIF": "AVIF",
    }.items():
        assert sniff(encode(NOISE, kind)) == name
    assert set(SUFFIXES) == {suffix for known in FORMATS.values() for suffix in known.suffixes}
