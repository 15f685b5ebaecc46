"""Real sessions whose cells forge what comes out: bytes on the channel, stdout and stderr in any order, then an end.

    python -m tests.fuzz.fuzz_guest --seconds 600

The host always answers with an outcome of the cell, within the cell's time, with texts and pictures within their
bounds, and the pool goes on: nothing a guest does may look like a failure of the sandbox.
"""

from __future__ import annotations

import json
import time
import unicodedata
from random import Random
from typing import Any, Final, NamedTuple, get_args

from pipeline.records import CellStatus
from pipeline.sandbox import CellResult, Limits, Policy, Pool, guest
from pipeline.sandbox.inside import wire
from pipeline.sandbox.inside.isolate import CHANNEL
from tests.fuzz.campaign import demand, fuzz

LIMITS = Limits(
    cell_seconds=1.0,
    grace_seconds=0.3,
    output_kept=512,
    output_killed=1 << 18,
    value=256,
    images=2,
    image_pixels=64,
    cell_pixels=100,
)
SLACK_SECONDS = 8.0
"""Beyond the limits of a cell: for a machine that has other things to do. A hang takes longer."""
_KEEPS = {"ok", "exception", "timeout"}
_CHECKED = 25
"""After every so many sessions an honest one must work."""
_MOST_WRITES = 8

# The guest's side. It writes in the order it is told; `os.write` of a full pipe blocks, which the host must not.
_PROGRAM = """
import os, signal, sys, threading, time
def write(number, content):
    while content:
        content = content[os.write(number, content):]
def play(actions):
    for number, content, pause in actions:
        try:
            write(number, bytes.fromhex(content))
        except OSError:
            pass
        time.sleep(pause)
"""
ENDS = {
    "returns": "play(ACTIONS)\n'done'",
    "raises": "play(ACTIONS)\nraise RuntimeError('\\x1b\\ud800')",
    "exits": "play(ACTIONS)\nos._exit(3)",
    "exits well": "play(ACTIONS)\nos._exit(0)",
    "aborts": "play(ACTIONS)\nos.abort()",
    "closes the channel": "play(ACTIONS)\nos.close(3)",
    "shuts the channel down": "import socket\nplay(ACTIONS)\nsocket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_WR)",
    "closes everything": "play(ACTIONS)\nos.closerange(0, 256)",
    "reads the channel": "play(ACTIONS)\nos.read(3, 100)",
    "sleeps": "play(ACTIONS)\ntime.sleep(60)",
    "cannot be interrupted": "play(ACTIONS)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(60)",
    "writes later": "threading.Thread(target=play, args=(ACTIONS,), daemon=True).start()\n1",
    "leaves a child": "if os.fork() == 0:\n    play(ACTIONS)\n    time.sleep(60)\n1",
    "lets a child answer": "if os.fork() == 0:\n    play(ACTIONS)\nelse:\n    time.sleep(0.01)\n1",
    "goes on in a child": "if os.fork():\n    os._exit(0)\nplay(ACTIONS)",
    "is no Python": "play(ACTIONS)\n\x00(",
}
_RARE = {"sleeps", "cannot be interrupted", "reads the channel", "shuts the channel down"}
"""They last a second or longer, where the others take milliseconds."""


class _Cell(NamedTuple):
    end: str
    actions: list[tuple[int, str, float]]

    @property
    def code(self) -> str:
        return f"{_PROGRAM}\nACTIONS = {self.actions!r}\n{ENDS[self.end]}"


class Guests:
    """Tries hostile cells on one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self._since_check = 0

    def run(self, rng: Random, drawn: list[object]) -> str:
        """Run one session of up to three hostile cells; the outcome is that of the last one, by its end."""
        self._since_check += 1
        if self._since_check >= _CHECKED:
            self._since_check = 0
            with self._pool.session() as session:
                demand(session.run("1 + 1").value == "2", "an honest session does not work any more")
        outcome = ""
        with self._pool.session() as session:
            for number in range(1, rng.choice((2, 2, 3, 4))):
                cell = _cell(rng, number)
                drawn.append(cell)
                begin = time.monotonic()
                result = session.run(cell.code)
                _check(result, time.monotonic() - begin)
                outcome = f"{cell.end}: {result.status}"
                if result.ended:
                    break
        return outcome


def _check(result: CellResult, seconds: float) -> None:
    demand(result.status in get_args(CellStatus), f"status {result.status}")
    demand(result.ended == (result.status not in _KEEPS), f"{result.status}, and ended is {result.ended}")
    demand((result.error is None) == (result.status == "ok"), f"{result.status} with error {result.error}")
    demand(seconds < LIMITS.cell_seconds + LIMITS.grace_seconds + SLACK_SECONDS, f"it took {seconds:.1f} seconds")
    error = () if result.error is None else (result.error.type, result.error.message, result.error.traceback)
    # An escape takes up to six characters of text for one.
    for text in (result.value or "", *error):
        demand(len(text) <= 6 * 2 * LIMITS.value, "a text over its bound")
    for text in (result.stdout, result.stderr):
        demand(len(text) <= 6 * LIMITS.output_kept + 100, "an output over its bound")
    for text in (result.stdout, result.stderr, result.value or "", *error, *result.notes):
        bad = {letter for letter in text if unicodedata.category(letter) in {"Cc", "Cs"}} - {"\n", "\t"}
        demand(not bad, f"{bad} came through")
    demand(len(result.images) <= LIMITS.images, "too many pictures")
    for image in result.images:
        demand(image.width * image.height <= LIMITS.image_pixels, "a picture over its bound")
        demand(image.png().startswith(b"\x89PNG"), "a picture that cannot be encoded")


def _cell(rng: Random, number: int) -> _Cell:
    end = rng.choice(list(ENDS))
    if end in _RARE and rng.random() < 0.9:
        end = "returns"
    # At times nothing is forged and only text is printed, at times hardly anything else is done.
    weights = rng.choice(((0, 1, 1), (1, 1, 1), (5, 1, 1)))
    targets = rng.choices((CHANNEL, 1, 2), weights, k=rng.randrange(_MOST_WRITES))
    pauses = (0, 0, 0, 0.001, 0.02)
    return _Cell(end, [(target, _bytes(rng, target, number).hex(), rng.choice(pauses)) for target in targets])


def _bytes(rng: Random, target: int, number: int) -> bytes:
    if target != CHANNEL or rng.random() < 0.2:
        size = (
            rng.randrange(64) if target == CHANNEL else rng.choice((0, 1, 1, 10, 10, 600, 600, 10_000, 70_000, 300_000))
        )
        return (rng.randbytes(min(size, 64)) * (size // 64 + 1))[:size]
    message: dict[str, Any] = {
        "seq": rng.choice((number, number, number, number + 1, 0, -1, True)),
        "value": rng.choice((None, "forged", "\x1b[2J\ud800", "x" * 5000)),
        "error": rng.choice((None, None, {"type": "E" * 3000, "message": "\x07", "traceback": "\r"}, {})),
        "images": rng.choice(([], [], [["L", 2, 2]], [["RGB", 8, 8]], [["L", 1 << 20, 1 << 20]], [["P", 1, 1]])),
        "notes": rng.choice(([], ["n" * 900, "\x00"], [""] * 33)),
    }
    text = json.dumps(message).encode()
    blob = rng.randbytes(rng.choice((0, 0, 4, 192)))
    sizes = [len(text), len(blob)]
    if rng.random() < 0.2:
        sizes[rng.randrange(2)] = rng.choice((0, 1, len(text) + 1, wire.MESSAGE_BYTES, 300, 301, 2**32 - 1))
    content = wire.HEADER.pack(*sizes) + text + blob
    match rng.randrange(8):
        case 0:
            return content[: rng.randrange(len(content))]
        case 1:
            at = rng.randrange(len(content))
            return content[:at] + rng.randbytes(3) + content[at + 3 :]
        case 2:
            return content * 2
    return content


if __name__ == "__main__":
    guest.require()
    with Pool(Policy(LIMITS), workers=1) as pool:
        fuzz("hostile guest", Guests(pool).run)
