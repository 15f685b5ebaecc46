"""The cleaning of strangers' text against bytes and texts of every kind, cut anywhere.

    python -m tests.fuzz.fuzz_text --seconds 600

Nothing is raised; no control character but newline and tab and no surrogate comes out; what is kept is the stream's
head and tail, as told by the simplest program that keeps all of it, and stays within its bound while it arrives.
"""

from __future__ import annotations

import re
import unicodedata
from random import Random

from pipeline.sandbox.roundtrip import Collector, clean
from pipeline.tools.python import normalise
from tests.fuzz.campaign import demand, fuzz

BYTES = (
    b"\x00", b"\x1b[2J", b"\x1b]0;x\x07", b"\r\n", b"\r", b"\n", b"\t", b"\x7f", b"\x80", b"\x9b31m", b"\xc2\x9b",
    b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xc0\xaf",
    b" at 0x7f00deadbeef>", b" at 0x", b"at 0x1", b"<object object at 0xFF>", b"\\x1b", b"... [9 bytes omitted] ...",
)  # fmt: skip
TEXTS = (
    "\ud800",
    "\udfff",
    "\ud83d\ude00",
    "\U0010ffff",
    "\x85",
    "\u2028",
    "\ufeff",
    "\r\r\n",
    " at 0x0",
    " at 0x0 at 0xa",
)


def run(rng: Random, drawn: list[object]) -> str:
    """Try one input; the outcome says which path it took."""
    if rng.random() < 0.5:
        return _try_stream(rng, drawn)
    return _try_text(rng, drawn)


def _try_stream(rng: Random, drawn: list[object]) -> str:
    most = rng.choice((0, 1, 2, 3, 8, 9, 64, 8192))
    parts = [_bytes(rng) for _ in range(rng.choice((0, 1, 2, 3, 10, 40)))]
    drawn += [most, parts]
    collector = Collector(most)
    half = most // 2
    for part in parts:
        collector.add(part)
        demand(len(collector._head) <= half and len(collector._tail) <= 2 * half, "more is kept than allowed")
    content = b"".join(parts)
    kept = min(len(content), 2 * half)
    demand(collector.total == len(content), "the count of bytes")
    demand(collector.omitted == len(content) - kept, "the count of omitted bytes")
    text = collector.text()
    demand(collector.text() == text, "reading changes it")
    _check_clean(text)
    if not collector.omitted:
        demand(text == clean(content.decode(errors="replace")), "a short stream is changed")
        return "stream: whole"
    head, tail = content[:half], content[len(content) - half :]
    wanted = (clean(side.decode(errors="replace")) for side in (head, tail))
    demand(text == f"\n... [{collector.omitted} bytes omitted] ...\n".join(wanted), "head and tail of a long stream")
    return "stream: cut"


def _try_text(rng: Random, drawn: list[object]) -> str:
    text = "".join(
        rng.choice(TEXTS)
        if rng.random() < 0.3
        else _bytes(rng).decode(errors=rng.choice(("replace", "surrogateescape")))
        for _ in range(rng.choice((0, 1, 2, 5)))
    )
    drawn.append(text)
    cleaned = clean(text)
    _check_clean(cleaned)
    demand(clean(cleaned) == cleaned, "cleaning twice differs from once")
    demand(len(cleaned) <= 6 * len(text), "cleaning lengthens by more than an escape per character")
    same = normalise(cleaned)
    demand(normalise(same) == same, "normalising twice differs from once")
    demand(not re.search(r" at 0x0*[1-9a-f]", same), "an address is left")
    demand(normalise(f"{cleaned}x") == f"{same}x", "normalising depends on what follows")
    return f"text: {'as it was' if cleaned == text else 'cleaned'}, {'an address' if same != cleaned else 'no address'}"


def _check_clean(text: str) -> None:
    bad = {character for character in text if unicodedata.category(character) in {"Cc", "Cs"}} - {"\n", "\t"}
    demand(not bad, f"{bad} came through")
    text.encode()


def _bytes(rng: Random) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(rng.choice((0, 1, 5, 100, 3000)))
    if kind == 1:
        return rng.choice(BYTES) * rng.choice((1, 2, 30))
    return b"".join(rng.choice(BYTES) for _ in range(rng.randrange(12)))


if __name__ == "__main__":
    fuzz("text cleaning", run)
