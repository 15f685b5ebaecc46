"""What a file is that is no picture we read, by its first bytes: whoever gave it must be told what to fix."""

from __future__ import annotations

import re

_HEAD = 4096
"""Bytes that are looked at: a comment or an XML prolog may stand before the first tag."""

# What a file begins with (by the specification of its format), and what people call it. The first that fits counts.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8", "GIF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"BM.{4}\0{4}", "BMP"),
    (rb"II[*+]\0", "TIFF"),
    (rb"MM\0[*+]", "TIFF"),
    (rb"....ftyp(avif|avis|(mif1|msf1|miaf).{4}(.{4}){0,14}avi[fs])", "AVIF"),
    (rb"....ftyp(hei|hev|mif1|msf1|miaf)", "HEIC"),
    (rb"....ftypcrx ", "CR3 camera raw file"),
    (rb"....ftyp", "MP4 or QuickTime video"),
    (rb"\x1a\x45\xdf\xa3", "WebM or Matroska video"),
    (rb"RIFF....AVI ", "AVI video"),
    (rb"\x00\x00\x01\xba|\x00\x00\x01\xb3", "MPEG video"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"8BPS", "Photoshop file (PSD)"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL image"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000 image"),
    (rb"\0\0[\x01\x02]\0[^\0]\0", "icon (ICO)"),
    (rb"icns", "icon (ICNS)"),
    (rb"P[1-7fF][\s#]", "PPM, PGM or PBM image"),
    (rb"#\?RADIANCE|#\?RGBE", "Radiance HDR image"),
    (rb"\x76\x2f\x31\x01", "OpenEXR image"),
    (rb"SIMPLE  =", "FITS image"),
    (rb"qoif", "QOI image"),
    (rb"\x0a[\0-\x05]\x01", "PCX image"),
    (rb"\x01\xda[\0\x01]", "SGI image"),
    (rb"\x89PNG|\xc2\x89PNG|\xc3\xbf\xc3\x98|\xef\xbf\xbd", "binary file that was copied or saved as text"),
    (rb"DDS ", "DDS texture"),
    (rb"AT&TFORM", "DjVu document"),
    (rb"\xd7\xcd\xc6\x9a", "WMF drawing"),
    (rb"\x93NUMPY", "NumPy array"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5 file"),
    (rb"PAR1", "Parquet file"),
    (rb"PK\x03\x04|PK\x05\x06", "ZIP archive or Office document"),
    (rb"\xd0\xcf\x11\xe0", "Office document"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\0|7z\xbc\xaf\x27\x1c|Rar!|\x28\xb5\x2f\xfd|.{257}ustar", "archive"),
    (rb"ID3|fLaC|OggS|RIFF....WAVE|\xff\xfb", "audio"),
    (rb"\x7fELF|MZ.\0", "program"),
    (rb".{128}DICM", "DICOM image"),
)
_TEXTS: tuple[tuple[str, str], ...] = (
    (r"version https://git-lfs", "Git LFS pointer: fetch the file itself, as with `git lfs pull`"),
    (r"data:[\w.+-]+/[\w.+-]+[;,]", "data URL: decode it into a file"),
    (r"https?://\S+\s*$", "URL: download what it leads to"),
    (r"(iVBORw0KGgo|/9j/|R0lGOD|UklGR|Qk0)", "base64 text: decode it into a file"),
    (r"[\[{]\s*[\"\[{\]}]", "JSON text"),
)
_TAGS: tuple[tuple[str, str], ...] = (
    (r"<!doctype\s+html|<(html|head|body)\b", "HTML page"),
    (r"(<!doctype\s+svg[^>]*>\s*)?<(\w+:)?svg\b", "SVG: render it to PNG"),
    (r"<", "XML or a part of an HTML page"),
)
"""After comments and the prolog of XML."""
_BESIDE_TAGS = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)


def found(content: bytes) -> str:
    """Return what a file is, as an error names it: `HTML page`, `0 bytes`, `PNG`, `text` and more."""
    if not content:
        return "0 bytes"
    head = content[:_HEAD]
    if not head.strip(b"\0") and not content.strip(b"\0"):
        return f"nothing but zeros, {len(content)} bytes"
    for pattern, name in _MAGIC:
        if re.match(pattern, head, re.DOTALL):
            return name
    text = _text(head)
    if text is None:
        return f"unknown bytes, which begin with {head[:8].hex(' ')}"
    if not text.strip():
        return "white space alone"
    bare = _BESIDE_TAGS.sub("", text) if text.lstrip().startswith("<") else text
    for expression, name in (*_TEXTS, *_TAGS):
        if re.match(expression, bare.strip(), re.DOTALL | re.IGNORECASE):
            return name
    return f"text, which begins with {text.strip()[:40]!r}"


def _text(head: bytes) -> str | None:
    """Return the beginning of a text in UTF-8 or, with its mark, UTF-16; None where it is none."""
    marked = head[:2] in {b"\xff\xfe", b"\xfe\xff"}
    # Ignoring what a cut at the end leaves of a character.
    text = head.decode("utf-16" if marked else "utf-8-sig", "ignore")
    lost = 0 if marked else len(head) - len(text.encode())
    strange = sum(not (char.isprintable() or char.isspace()) for char in text)
    # UTF-8 of up to 3 bytes may be cut, and a mark of 3 bytes is no text. Latin-1 loses its few accents.
    return None if strange or lost > 6 + len(head) // 20 else text
