from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagehash
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import images
from pipeline.errors import RowError
from pipeline.export.shipped import export_image
from pipeline.images import decode, encode_png, pixel_hash, put_image
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import Size, ViewRule

BUDGET = 262_144
RULE = ViewRule("qwen2_5_vl", BUDGET)


def gradient(width: int = 60, height: int = 40) -> Image.Image:
    image = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (image, image.rotate(90).resize(image.size), image.rotate(180)))


def encoded(image: Image.Image, form: str, exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **({} if exif is None else {"exif": exif}))
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_allowed_formats_decode_and_are_stored_unchanged(form: str, tmp_path: Path) -> None:
    content = encoded(gradient(), form)
    blobs = BlobStore(tmp_path)
    reference = put_image(blobs, content)
    assert (reference.width, reference.height, reference.mime) == (60, 40, images.FORMATS[form])
    assert blobs.get(reference.sha256) == content


@pytest.mark.parametrize("form", ["PPM", "ICO", "PDF", "JPEG2000", "DDS", "SGI", "TGA", "PCX"])
def test_other_formats_are_refused_even_where_pillow_reads_them(form: str) -> None:
    with pytest.raises(RowError) as caught:
        decode(encoded(gradient(), form))
    assert caught.value.reason == "image_format"


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", b"\xff\xd8\xff"]
)
def test_what_is_no_image_is_a_row_error(content: bytes) -> None:
    with pytest.raises(RowError) as caught:
        decode(content)
    assert caught.value.reason in {"image_format", "image_undecodable"}


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_cut_file_is_undecodable(form: str) -> None:
    content = encoded(gradient(400, 400), form)
    with pytest.raises(RowError) as caught:
        decode(content[: len(content) // 2])
    assert caught.value.reason == "image_undecodable"


@pytest.mark.parametrize("size", [(20_000, 20_000), (89_478_486, 1), (178_956_971, 1), (2**31 - 1, 2**31 - 1)])
def test_a_claimed_size_above_the_bound_is_refused_before_memory_is_taken(size: tuple[int, int]) -> None:
    with pytest.raises(RowError) as caught:
        decode(png_header(*size))
    assert caught.value.reason == "image_too_large"


@given(st.binary(min_size=1, max_size=40), st.integers(0, 2000))
def test_damage_is_a_row_error_or_an_image_and_nothing_else(damage: bytes, place: int) -> None:
    content = encoded(gradient(), "JPEG")
    try:
        image = decode(content[:place] + damage + content[place + len(damage) :])
    except RowError:
        return
    assert image.mode == "RGB"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Red on top, blue below, as the camera stored it.
    stored = Image.new("RGB", (40, 20), "red")
    stored.paste((0, 0, 255), (0, 10, 40, 20))
    upright = decode(encoded(stored, "PNG", exif))
    assert upright.size == ((40, 20) if orientation <= 4 else (20, 40))
    corners = {1: (0, 0), 2: (0, 0), 3: (0, 19), 4: (0, 19), 5: (0, 0), 6: (19, 0), 7: (19, 0), 8: (0, 0)}
    assert upright.getpixel(corners[orientation]) == (255, 0, 0)


def tiff(*entries: tuple[int, int, int, bytes], start: int = 8) -> bytes:
    """An EXIF block as it is stored: (tag, type, count, value or offset) each, in big-endian TIFF."""
    fields = b"".join(struct.pack(">HHI4s", *entry) for entry in entries)
    header = b"MM\x00\x2a" + struct.pack(">I", start)
    return b"Exif\x00\x00" + header + struct.pack(">H", len(entries)) + fields + bytes(4)


def with_exif(form: str, block: bytes) -> bytes:
    buffer = io.BytesIO()
    gradient(40, 20).save(buffer, form, exif=block)
    return buffer.getvalue()


TURNED = (0x0112, 3, 1, b"\x00\x06\x00\x00")
ODD_TAGS = {
    "copyright as a rational": (0x8298, 5, 1, b"\x00\x00\x00\x08"),
    "artist as a number": (0x013B, 3, 1, b"\x00\x07\x00\x00"),
    "user comment as a double": (0x9286, 12, 1, b"\x00\x00\x00\x08"),
    "a pointer to nowhere": (0x8769, 4, 1, b"\xff\xff\xff\xff"),
    "a pointer as text": (0x8769, 2, 4, b"gps\x00"),
}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("odd", ODD_TAGS.values(), ids=ODD_TAGS)
def test_an_odd_tag_beside_the_orientation_changes_nothing(form: str, odd: tuple[int, int, int, bytes]) -> None:
    assert decode(with_exif(form, tiff(TURNED, odd))).size == (20, 40)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    "block",
    [
        b"Exif\x00\x00",
        b"Exif\x00\x00MM\x00",
        b"Exif\x00\x00not a TIFF header",
        tiff(TURNED, start=2**31),
        tiff(TURNED)[:-9],
        tiff((0x0112, 2, 2, b"6\x00\x00\x00")),
        tiff((0x0112, 3, 1, b"\x00\x09\x00\x00")),
    ],
    ids=["empty", "cut header", "no header", "directory nowhere", "cut directory", "text", "nine"],
)
def test_a_damaged_orientation_is_none(form: str, block: bytes) -> None:
    assert decode(with_exif(form, block)).size == (40, 20)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@given(form=st.sampled_from(["PNG", "JPEG", "WEBP"]), block=st.binary(max_size=60), whole=st.booleans())
def test_no_exif_block_can_stop_anything(
    form: str, block: bytes, tmp_path_factory: pytest.TempPathFactory, *, whole: bool
) -> None:
    content = with_exif(form, b"Exif\x00\x00" + (block if whole else b"MM\x00\x2a\x00\x00\x00\x08" + block))
    blobs = BlobStore(tmp_path_factory.getbasetemp() / "exif")
    try:
        reference = put_image(blobs, content)
    except RowError:
        return
    assert decode(content).size == (reference.width, reference.height)
    assert export_image(reference, blobs).content


@given(form=st.sampled_from(["PNG", "JPEG", "WEBP"]), part=st.floats(0, 1), damage=st.binary(max_size=6))
def test_a_cut_file_is_a_row_error_or_an_image_in_every_format(form: str, part: float, damage: bytes) -> None:
    content = with_exif(form, tiff(TURNED, ODD_TAGS["artist as a number"]))
    try:
        image = decode(content[: int(len(content) * part)] + damage)
    except RowError:
        return
    assert image.mode == "RGB"


def test_a_jpeg_with_further_pictures_is_the_first_of_them(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    gradient(60, 40).save(buffer, "MPO", save_all=True, append_images=[gradient(30, 20)])
    reference = put_image(BlobStore(tmp_path), buffer.getvalue())
    assert (reference.width, reference.height, reference.mime) == (60, 40, "image/jpeg")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_become_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert(mode)
    if mode == "P":
        image = Image.new("P", (8, 8), 0)
        image.putpalette([255, 0, 0] * 256)
        image.info["transparency"] = 0
    assert decode(encoded(image, "PNG")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encoded(Image.new(mode, (8, 8)), form)).mode == "RGB"


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([4 * 28 * 28, BUDGET, 1_003_520, 12_845_056]))
def test_the_view_is_the_size_that_qwens_own_processor_takes(width: int, height: int, budget: int) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    rule = ViewRule("qwen2_5_vl", budget)

    def processed(height: int, width: int) -> tuple[int, int]:
        return smart_resize(  # type: ignore[no-any-return]  # transformers states none
            height, width, factor=28, min_pixels=4 * 28 * 28, max_pixels=budget
        )

    try:
        expected = processed(height, width)
        # Who is sent the view puts it through the processor once more.
        processed(*expected)
    except ValueError:
        with pytest.raises(RowError) as caught:
            rule.size(Size(width, height))
        assert caught.value.reason == "image_aspect"
    else:
        assert rule.size(Size(width, height)) == (expected[1], expected[0])


@given(st.integers(28, 4000), st.integers(28, 4000))
def test_a_view_stays_in_its_budget_and_is_its_own_view(width: int, height: int) -> None:
    size = RULE.size(Size(width, height))
    assert size.width * size.height <= BUDGET
    assert RULE.size(size) == size


def test_a_native_view_keeps_the_size() -> None:
    assert ViewRule("qwen2_5_vl", BUDGET, "native").size(Size(4000, 3000)) == (4000, 3000)


def test_a_view_is_stored_with_its_pixels_and_the_size_it_came_from(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    view = make_view(encoded(gradient(2000, 1500), "PNG"), RULE, blobs)
    seen = decode(blobs.get(view.blob))
    assert seen.size == (view.width, view.height) == RULE.size(Size(2000, 1500))
    assert (view.source_width, view.source_height) == (2000, 1500)
    assert pixel_hash(seen) == view.pixels


def test_equal_pixels_are_one_whatever_the_file() -> None:
    image = gradient()
    assert pixel_hash(decode(encoded(image, "PNG"))) == pixel_hash(image) == pixel_hash(decode(encode_png(image)))
    assert encode_png(image) == encode_png(decode(encode_png(image)))
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert pixel_hash(turned) != pixel_hash(image)


def test_perceptual_hashes_are_those_of_the_library_and_of_the_mirror_image() -> None:
    image = Image.effect_mandelbrot((401, 299), (-2, -1, 0.5, 0.8), 50).convert("RGB")
    ours = images.perceptual_hashes(image)
    assert (ours.phash, ours.dhash) == tuple(int(str(f(image)), 16) for f in (imagehash.phash, imagehash.dhash))
    turned = images.perceptual_hashes(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    # Resizing rounds as it goes from left to right.
    assert (ours.mirrored_phash ^ turned.phash).bit_count() <= 2
    assert (ours.mirrored_dhash ^ turned.dhash).bit_count() <= 1
    assert (ours.phash ^ turned.phash).bit_count() > 10


def test_perceptual_hashes_follow_the_picture_and_not_the_encoding() -> None:
    image = Image.effect_mandelbrot((400, 300), (-2, -1, 0.5, 0.8), 50).convert("RGB")
    stored = images.perceptual_hashes(image)
    again = images.perceptual_hashes(decode(encoded(image, "JPEG")))
    assert (stored.phash ^ again.phash).bit_count() <= 4
    assert (stored.dhash ^ again.dhash).bit_count() <= 4
    other = images.perceptual_hashes(image.transpose(Image.Transpose.ROTATE_90))
    assert (stored.dhash ^ other.dhash).bit_count() > 10
    assert 0 <= stored.phash < 2**64
