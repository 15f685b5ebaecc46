"""What is no picture is refused by what it is; what is cut is refused, and never half shown."""

from __future__ import annotations

import contextlib
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import RowError
from pipeline.images import decode
from pipeline.images.found import found
from tests.support.pictures import COLOURS, encoded

PICTURE = Image.effect_noise((200, 150), 60).convert("RGB")

OTHERS = {
    "0 bytes": b"",
    "zeros": bytes(5_000),
    "white space": b" \r\n\t\n",
    "HTML page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "HTML page, as it may begin": b"\xef\xbb\xbf\n <!-- cached -->\n<HTML lang='en'>",
    "HTML page, as XML": b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML'>\n<html>",
    "SVG": b"<?xml version='1.0'?><!-- drawn --><svg xmlns='http://www.w3.org/2000/svg'/>",
    "SVG, alone": b"<svg width='4'/>",
    "XML": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "JSON": b'{"error": "not found"}',
    "text": b"Not found",
    "text, in Chinese": "找不到文件".encode(),
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "base64": b"iVBORw0KGgoAAAANSUhEUg",
    "data URL": b"data:image/png;base64,iVBORw0KGgo",
    "ZIP": b"PK\x03\x04\x14\0",
    "archive": b"\x1f\x8b\x08\0",
    "video": b"\0\0\0\x20ftypisom\0\0\2\0",
    "Matroska": b"\x1a\x45\xdf\xa3\x01",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "Photoshop": b"8BPS\0\1",
    "DICOM": bytes(128) + b"DICM\2\0",
    "NumPy": b"\x93NUMPY\1\0",
    "OpenEXR": b"\x76\x2f\x31\x01\2\0",
    "saved as text": encoded(Image.fromarray(COLOURS), "JPEG").decode("utf-8", "replace").encode(),
    "copied": encoded(Image.fromarray(COLOURS), "PNG").replace(b"\r\n", b"\n"),
    "unknown bytes": b"\xde\xad\xbe\xef\0\1\2\3",
}


@pytest.mark.parametrize(("name", "content"), OTHERS.items(), ids=OTHERS)
def test_what_is_no_picture_is_named(name: str, content: bytes) -> None:
    with pytest.raises(RowError) as caught:
        decode(content)
    assert caught.value.reason == "image_format"
    assert (
        name.split(",", maxsplit=1)[0]
        .split(" as ", maxsplit=1)[0]
        .split(" alone", maxsplit=1)[0]
        .split(" in ", maxsplit=1)[0]
        in caught.value.detail
    )


WRITTEN = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("AVIF", {}),
]


@pytest.mark.parametrize(("form", "options"), WRITTEN, ids=[f"{form} {options}" for form, options in WRITTEN])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 0.9, 0.98])
def test_a_cut_file_is_never_half_shown(form: str, options: dict[str, object], share: float) -> None:
    content = encoded(PICTURE, form, **options)
    with pytest.raises(RowError) as caught:
        decode(content[: int(len(content) * share)])
    assert caught.value.reason == "image_undecodable"
    assert "truncated" in caught.value.detail
    assert form.lower() in caught.value.detail.lower()


@given(st.binary(max_size=300))
def test_any_bytes_have_a_name_and_are_a_row_error_or_a_picture(content: bytes) -> None:
    assert found(content)
    with contextlib.suppress(RowError):
        assert decode(content).mode == "RGB"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_is_found_by_its_bytes(form: str) -> None:
    assert found(encoded(Image.fromarray(COLOURS), form)).upper() == form


@pytest.mark.parametrize("part", [b"<!--x-->", b"<!--", b"<?x?>", b"<!doctype svg ", b"<", b" ", b"a ", b"https://"])
def test_no_text_is_looked_at_for_long(part: bytes) -> None:
    started = time.perf_counter()
    found(part * 2_000)
    assert time.perf_counter() - started < 2


HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heic"


def test_heic_without_its_extra_is_refused_by_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(RowError, match=r"coldforge\[heif\]"):
        decode(HEIC)


def test_heic_is_read_with_its_extra() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    content = encoded(Image.fromarray(COLOURS), "HEIF", quality=100)
    assert found(content) == "HEIC"
    shown = decode(content)
    middle = (COLOURS.shape[1] // 2, COLOURS.shape[0] // 2)
    pixel = shown.getpixel(middle)
    assert isinstance(pixel, tuple)
    assert all(abs(a - int(b)) <= 8 for a, b in zip(pixel, COLOURS[middle[1], middle[0]], strict=True))
    with pytest.raises(RowError, match="truncated"):
        decode(content[: len(content) // 2])


def test_avif_under_the_general_brand_is_no_heic() -> None:
    assert found(b"\0\0\0\x20ftypmif1\0\0\0\0mif1miafavifMA1B") == "AVIF"
    assert found(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "HEIC"
