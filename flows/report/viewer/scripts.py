"""Data as script files: a page that is opened from disk may load scripts, and nothing else.

A file calls one function of the page with a name and a value. The value is JSON, in which nothing can end the script
or break its text: `<` and the two separators that older scripts take for line ends are written as escapes.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from pipeline.store.blobs import write_atomic

FUNCTION = "coldforge"
"""What the files call; `pages/data.js` defines it."""
_ESCAPED = ((b"<", b"\\u003c"), ("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))


def script(name: str, value: object) -> bytes:
    """Return the file that hands `value`, which JSON can hold, to the page under a name of ours."""
    text = orjson.dumps(value)
    for plain, escaped in _ESCAPED:
        text = text.replace(plain, escaped)
    return f'{FUNCTION}("{name}", '.encode() + text + b");\n"


def write_script(directory: Path, name: str, value: object) -> int:
    """Write `directory/name.js` and return its bytes."""
    content = script(name, value)
    write_atomic(directory / f"{name}.js", content)
    return len(content)
