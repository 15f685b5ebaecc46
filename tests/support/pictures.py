"""A picture file per mode and format, with the pixels that everyone must be shown of it, worked out by numpy alone."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipeline.records import Scaling

Array = np.ndarray[Any, np.dtype[Any]]

HEIGHT, WIDTH = 56, 84
"""Whole patches, and more than the fewest: the view shows the pixels of the file."""
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
RAMP: Array = (_Y * 4 + _X // 3).astype(np.float64) / (HEIGHT * 4 + WIDTH // 3 - 5)
"""From 0 to 1, no two rows alike."""
GREY: Array = np.rint(RAMP * 255).astype(np.uint8)
COLOURS: Array = np.dstack([GREY, GREY[:, ::-1], np.full_like(GREY, 90)])
ALPHA: Array = np.where(_X < WIDTH // 3, 0, np.where(_X < WIDTH // 2, 128, 255)).astype(np.uint8)


class Sample(NamedTuple):
    """A file and what it shows."""

    content: bytes
    shows: Array
    """Rows, columns, RGB."""
    within: int = 0
    """Largest difference of a channel, where the format loses some."""
    scaling: Scaling = "none"
    frames: int = 1
    plain: bool = False
    """It is kept as it is."""


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes, *, damaged: bool = False) -> bytes:
    """A chunk of a PNG."""
    checksum = zlib.crc32(kind + body) ^ damaged
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


# Adam7, by the specification of PNG: first row and column of each pass, and the steps to the next.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png(samples: Array, colour: int, bits: int, *extra: bytes, interlaced: bool = False) -> bytes:
    """A PNG of whole numbers, rows by columns by channels; `extra` stands before the pixels."""
    height, width, _ = samples.shape
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_filtered(samples[top::down, left::right], bits) for top, left, down, right in passes)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + body + chunk(b"IEND", b"")


def _filtered(samples: Array, bits: int) -> bytes:
    """Return rows of a PNG under the filter `Sub`."""
    height, _, channels = samples.shape
    if bits < 8:
        low = np.unpackbits(samples.astype(np.uint8)[..., :1], axis=2)[..., 8 - bits :]
        rows = np.packbits(low.reshape(height, -1), axis=1)
    else:
        rows = samples.astype(">u2" if bits == 16 else np.uint8).view(np.uint8).reshape(height, -1)
    step = max(1, channels * bits // 8)
    before = np.pad(rows, ((0, 0), (step, 0)))[:, : rows.shape[1]]
    return b"".join(b"\1" + row.tobytes() for row in rows - before)


def tiff(samples: Array, **tags: int) -> bytes:
    """A little-endian TIFF of one strip: its tags `photometric`, `sample_format`, `extra` and `planar` by number."""
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    fields: list[tuple[int, tuple[int, ...]]] = [
        (256, (width,)),
        (257, (height,)),
        (258, (bits,) * channels),
        (259, (1,)),
        (262, (tags.get("photometric", 1),)),
        (273, (0,)),
        (277, (channels,)),
        (278, (height,)),
        (279, (samples.nbytes,)),
        (284, (tags.get("planar", 1),)),
    ]
    if "extra" in tags:
        fields.append((338, (tags["extra"],)))
    fields.append((339, (tags.get("sample_format", 1),) * channels))
    after = 8 + 2 + 12 * len(fields) + 4
    directory, longer = b"", b""
    data = after + sum(4 * len(values) for _, values in fields if len(values) > 1)
    for tag, values in fields:
        packed = struct.pack(f"<{len(values)}I", *((data,) if tag == 273 else values))
        if len(values) > 1:
            directory += struct.pack("<HHII", tag, 4, len(values), after + len(longer))
            longer += packed
        else:
            directory += struct.pack("<HHI", tag, 4, 1) + packed
    start = b"II*\0" + struct.pack("<IH", 8, len(fields))
    return (
        start
        + directory
        + bytes(4)
        + longer
        + np.moveaxis(samples, 2, 0).tobytes() * (tags.get("planar") == 2)
        + (samples.tobytes() * (tags.get("planar") != 2))
    )


def grey(values: Array) -> Array:
    """Grey as three channels."""
    return np.repeat(values.reshape(HEIGHT, WIDTH, 1), 3, axis=2)


def on_white(colours: Array, alpha: Array) -> Array:
    """What shows of colours behind which white is."""
    share = alpha.reshape(HEIGHT, WIDTH, 1) / 255
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def over(values: Array, most: float) -> Array:
    """Whole numbers of 8 bits of values up to `most`."""
    return np.rint(values.astype(np.float64) * 255 / most).astype(np.uint8)


def samples() -> dict[str, Sample]:
    """A file of each mode in each format that holds it, by name."""
    made = (_png_samples, _wide_png_samples, _tiff_samples, _numeric_tiff_samples, _other_samples)
    return {name: sample for make in made for name, sample in make()}


def _png_samples() -> Iterator[tuple[str, Sample]]:
    pixels, level = GREY[..., None], int(GREY[20, 20])
    yield "png L", Sample(png(pixels, 0, 8), grey(GREY), plain=True)
    for bits in (1, 2, 4):
        few = GREY[..., None] >> (8 - bits)
        most = 2**bits - 1
        kept = bits > 1
        yield f"png L of {bits} bits", Sample(png(few, 0, bits), grey(over(few, most)), plain=kept)
        hidden = np.where(few == most, 255, over(few, most))
        hidden = np.where(few == 0, 255, hidden) if bits == 2 else hidden
        transparent = struct.pack(">H", 0 if bits == 2 else most)
        yield f"png L of {bits} bits, tRNS", Sample(png(few, 0, bits, chunk(b"tRNS", transparent)), grey(hidden))
    shown = np.where(pixels == level, 255, pixels)
    yield "png L, tRNS", Sample(png(pixels, 0, 8, chunk(b"tRNS", struct.pack(">H", level))), grey(shown))
    both = np.dstack([GREY, ALPHA])
    yield "png LA", Sample(png(both, 4, 8), on_white(grey(GREY), ALPHA))
    yield "png RGB", Sample(png(COLOURS, 2, 8), COLOURS, plain=True)
    colour = COLOURS[20, 20]
    shown = np.where((colour == COLOURS).all(axis=2, keepdims=True), 255, COLOURS)
    transparent = struct.pack(">3H", *map(int, colour))
    yield "png RGB, tRNS", Sample(png(COLOURS, 2, 8, chunk(b"tRNS", transparent)), shown)
    yield "png RGBA", Sample(png(np.dstack([COLOURS, ALPHA]), 6, 8), on_white(COLOURS, ALPHA))
    palette = np.dstack([np.arange(256), 255 - np.arange(256), np.full(256, 90)]).astype(np.uint8)[0]
    colours = palette[GREY]
    plte = chunk(b"PLTE", palette.tobytes())
    yield "png P", Sample(png(pixels, 3, 8, plte), colours)
    see_through = bytes([0, 128, *range(2, 200)])
    alphas = np.array([*see_through, *[255] * 56], np.uint8)[GREY]
    yield (
        "png P, tRNS of many",
        Sample(png(pixels, 3, 8, plte, chunk(b"tRNS", see_through)), on_white(colours, alphas), 1),
    )
    one = bytes([255] * level + [0])
    shown = np.where((pixels == level), 255, colours)
    yield "png P, tRNS of one", Sample(png(pixels, 3, 8, plte, chunk(b"tRNS", one)), shown)


def _wide_png_samples() -> Iterator[tuple[str, Sample]]:
    words = np.rint(RAMP * 65_535).astype(np.uint16)[..., None]
    dozen = np.rint(RAMP * 4_095).astype(np.uint16)[..., None]
    wide = np.dstack([words, words[:, ::-1], words // 2])
    wide12 = np.dstack([dozen, dozen[:, ::-1], dozen // 2])
    yield "png I;16", Sample(png(words, 0, 16), grey(over(words, 65_535)), scaling="by_65535")
    yield "png I;16 of 12 bits", Sample(png(dozen, 0, 16), grey(over(dozen, 4_095)), scaling="by_4095")
    word = int(words[20, 20, 0])
    shown = np.where(words == word, 255, over(words, 65_535))
    content = png(words, 0, 16, chunk(b"tRNS", struct.pack(">H", word)))
    yield "png I;16, tRNS", Sample(content, grey(shown), scaling="by_65535")
    yield "png RGB of 16 bits", Sample(png(wide, 2, 16), over(wide, 65_535), scaling="by_65535")
    yield "png RGB of 12 bits", Sample(png(wide12, 2, 16), over(wide12, 4_095), scaling="by_4095")
    content = png(wide12, 2, 16, interlaced=True)
    yield "png RGB of 12 bits, interlaced", Sample(content, over(wide12, 4_095), scaling="by_4095")
    values = wide[20, 20]
    shown = np.where((wide == values).all(axis=2, keepdims=True), 255, over(wide, 65_535))
    content = png(wide, 2, 16, chunk(b"tRNS", struct.pack(">3H", *map(int, values))))
    yield "png RGB of 16 bits, tRNS", Sample(content, shown, scaling="by_65535")
    opacity = ALPHA.astype(np.uint16)[..., None] * 257
    content = png(np.dstack([wide, opacity]), 6, 16)
    yield "png RGBA of 16 bits", Sample(content, on_white(over(wide, 65_535), ALPHA), 1, "by_65535")
    content = png(np.dstack([dozen, opacity]), 4, 16)
    yield "png LA of 12 bits", Sample(content, on_white(grey(over(dozen, 4_095)), ALPHA), 1, "by_4095")
    image = Image.fromarray(COLOURS)
    animated = encoded(image, "PNG", save_all=True, append_images=[image.rotate(180)])
    yield "png animated", Sample(animated, COLOURS, frames=2)


def _tiff_samples() -> Iterator[tuple[str, Sample]]:
    for packed in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        yield f"tiff RGB {packed}", Sample(encoded(Image.fromarray(COLOURS), "TIFF", compression=packed), COLOURS)
    yield "tiff 1", Sample(encoded(Image.fromarray(GREY > 99), "TIFF"), grey(np.where(GREY > 99, 255, 0)))
    yield "tiff L", Sample(tiff(GREY[..., None]), grey(GREY))
    yield "tiff L, white is zero", Sample(tiff(GREY[..., None], photometric=0), grey(255 - GREY))
    rgba = np.dstack([COLOURS, ALPHA])
    yield "tiff RGBA", Sample(tiff(rgba, photometric=2, extra=2), on_white(COLOURS, ALPHA))
    yield "tiff RGBX", Sample(tiff(rgba, photometric=2, extra=0), COLOURS)
    share = ALPHA[..., None] / 255
    times = np.dstack([np.rint(COLOURS * share).astype(np.uint8), ALPHA])
    yield "tiff RGBa", Sample(tiff(times, photometric=2, extra=1), on_white(COLOURS, ALPHA), 2)
    yield "tiff LA", Sample(encoded(Image.fromarray(np.dstack([GREY, ALPHA])), "TIFF"), on_white(grey(GREY), ALPHA))
    image = Image.fromarray(GREY)
    image.putpalette(np.dstack([np.arange(256), 255 - np.arange(256), np.full(256, 90)]).astype(np.uint8).tobytes())
    yield "tiff P", Sample(encoded(image, "TIFF"), np.dstack([GREY, 255 - GREY, np.full_like(GREY, 90)]))
    ink = np.dstack([255 - COLOURS, np.full_like(GREY, 40)])
    inked = np.rint(COLOURS / 255 * (255 - 40)).astype(np.uint8)
    yield "tiff CMYK", Sample(tiff(ink, photometric=5), inked, 1)
    yield "tiff YCbCr", Sample(encoded(Image.fromarray(COLOURS).convert("YCbCr"), "TIFF"), COLOURS, 4)
    yield "tiff LAB", Sample(encoded(Image.fromarray(COLOURS).convert("LAB"), "TIFF"), COLOURS, 12)
    # Red is 54.3, 80.8, 69.9 in CIELAB under D50.
    lab = np.where(_X[..., None] < 9, (255, 0, 0), (138, 81, 70)).astype(np.uint8)
    shown = np.where(_X[..., None] < 9, 255, (255, 0, 0)).astype(np.uint8)
    yield "tiff LAB red on white", Sample(tiff(lab, photometric=8), shown, 6)
    image = Image.fromarray(COLOURS)
    pages = encoded(image, "TIFF", save_all=True, append_images=[image.rotate(180), Image.fromarray(GREY)])
    yield "tiff of pages", Sample(pages, COLOURS, frames=3)


def _numeric_tiff_samples() -> Iterator[tuple[str, Sample]]:
    words = np.rint(RAMP * 65_535).astype(np.uint16)[..., None]
    dozen = np.rint(RAMP * 4_095).astype(np.uint16)[..., None]
    wide = np.dstack([words, words[:, ::-1], words // 2])
    yield "tiff I;16", Sample(tiff(words), grey(over(words, 65_535)), scaling="by_65535")
    yield "tiff I;16, white is zero", Sample(tiff(words, photometric=0), grey(255 - over(words, 65_535)), 0, "by_65535")
    big_endian = Image.frombytes("I;16B", (WIDTH, HEIGHT), words.astype(">u2").tobytes())
    yield "tiff I;16B", Sample(encoded(big_endian, "TIFF"), grey(over(words, 65_535)), scaling="by_65535")
    yield "tiff I;16 of 12 bits", Sample(tiff(dozen), grey(over(dozen, 4_095)), scaling="by_4095")
    by_lzw = encoded(Image.fromarray(words[..., 0]), "TIFF", compression="tiff_lzw")
    yield "tiff I;16 packed", Sample(by_lzw, grey(over(words, 65_535)), scaling="by_65535")
    yield "tiff RGB of 16 bits", Sample(tiff(wide, photometric=2), over(wide, 65_535), scaling="by_65535")
    content = tiff(np.dstack([wide // 17, ALPHA.astype(np.uint16)[..., None] * 257]), photometric=2, extra=2)
    yield "tiff RGBA of 12 bits", Sample(content, on_white(over(wide // 17, 4_095), ALPHA), 1, "by_4095")
    signed = np.rint(RAMP * 60_000 - 30_000).astype(np.int16)[..., None]
    yield "tiff I of a sign", Sample(tiff(signed, sample_format=2), grey(over(RAMP, 1)), 1, "by_range")
    yield (
        "tiff I of 32 bits",
        Sample(tiff(words.astype(np.int32), sample_format=2), grey(over(words, 65_535)), 0, "by_65535"),
    )
    long = np.rint(RAMP * 4e9).astype(np.uint32)[..., None]
    yield "tiff I without a sign", Sample(tiff(long), grey(over(RAMP, 1)), 1, "by_range")
    unit = RAMP.astype(np.float32)[..., None]
    yield "tiff F in 0 to 1", Sample(tiff(unit, sample_format=3), grey(over(RAMP, 1)), 0, "by_1")
    yield "tiff F of part of 0 to 1", Sample(tiff(unit / 2, sample_format=3), grey(over(unit / 2, 1)), 0, "by_1")
    degrees = unit * 300 - 40
    yield "tiff F", Sample(tiff(degrees, sample_format=3), grey(over(RAMP, 1)), 1, "by_range")
    holes = np.where(_X[..., None] < 9, np.float32("nan"), degrees)
    holes[0, -1], holes[1, -1] = np.inf, -np.inf
    left = holes[np.isfinite(holes)]
    filled = np.nan_to_num(holes, nan=left.min(), posinf=left.max(), neginf=left.min())
    shown = over(filled - left.min(), float(left.max() - left.min()))
    yield "tiff F with holes", Sample(tiff(holes, sample_format=3), grey(shown), 1, "by_range")


def _other_samples() -> Iterator[tuple[str, Sample]]:
    image, greys, clear = Image.fromarray(COLOURS), Image.fromarray(GREY), Image.fromarray(np.dstack([COLOURS, ALPHA]))
    turned = image.rotate(180)
    yield "jpeg L", Sample(encoded(greys, "JPEG", quality=95), grey(GREY), 6, plain=True)
    yield "jpeg RGB", Sample(encoded(image, "JPEG", quality=95, subsampling=0), COLOURS, 8, plain=True)
    ink = Image.frombytes("CMYK", image.size, np.dstack([255 - COLOURS, np.full_like(GREY, 40)]).tobytes())
    inked = np.rint(COLOURS / 255 * (255 - 40)).astype(np.uint8)
    yield "jpeg CMYK", Sample(encoded(ink, "JPEG", quality=95), inked, 12)
    several = encoded(image, "MPO", quality=95, subsampling=0, save_all=True, append_images=[turned])
    yield "mpo", Sample(several, COLOURS, 8, frames=2, plain=True)
    yield "webp RGB", Sample(encoded(image, "WEBP", lossless=True), COLOURS, plain=True)
    yield "webp RGBA", Sample(encoded(clear, "WEBP", lossless=True, exact=True), on_white(COLOURS, ALPHA))
    animated = encoded(image, "WEBP", lossless=True, save_all=True, append_images=[turned])
    yield "webp animated", Sample(animated, COLOURS, frames=2)
    yield "gif L", Sample(encoded(greys, "GIF"), grey(GREY))
    few = Image.fromarray(GREY // 64)
    few.putpalette([200, 30, 40, 30, 150, 60, 40, 60, 190, 230, 170, 20])
    colours = np.array([(200, 30, 40), (30, 150, 60), (40, 60, 190), (230, 170, 20)], np.uint8)[GREY // 64]
    yield "gif P", Sample(encoded(few, "GIF"), colours)
    hidden = np.where((GREY // 64 == 1)[..., None], 255, colours)
    yield "gif P, transparent", Sample(encoded(few, "GIF", transparency=1), hidden)
    animated = encoded(few, "GIF", save_all=True, append_images=[few.rotate(180), few.rotate(90)])
    yield "gif animated", Sample(animated, colours, frames=3)
    yield "bmp RGB", Sample(encoded(image, "BMP"), COLOURS)
    # A header without masks says nothing of alpha, so the fourth byte is padding.
    yield "bmp of 32 bits", Sample(encoded(clear, "BMP"), COLOURS)
    yield "bmp L", Sample(encoded(greys, "BMP"), grey(GREY))
    yield "bmp P", Sample(encoded(few, "BMP"), colours)
    yield "bmp 1", Sample(encoded(Image.fromarray(GREY > 99), "BMP"), grey(np.where(GREY > 99, 255, 0)))
    yield "avif RGB", Sample(encoded(image, "AVIF", quality=100, subsampling="4:4:4"), COLOURS, 8)
    yield "avif RGBA", Sample(encoded(clear, "AVIF", quality=100, subsampling="4:4:4"), on_white(COLOURS, ALPHA), 10)
    sequence = encoded(image, "AVIF", quality=100, subsampling="4:4:4", save_all=True, append_images=[turned])
    yield "avif of pictures", Sample(sequence, COLOURS, 10, frames=2)
