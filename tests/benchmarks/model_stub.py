"""A server that costs next to nothing: the same completion after a fixed latency, for whoever asks.

Run as a process of its own; prints its port. `GET` answers how many completions it was asked for and for how
long, of the time since the first of them, it had any in hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

ANSWER = "<think>Two and two.</think>\n<answer>4</answer>"
CALL = "<think>I compute.</think>\n<code>\n```python\nprint(6 * {number})\n```\n</code>"
HEAD_END = b"\r\n\r\n"


def _http(content: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _completion(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 32}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "stub", "choices": [choice], "usage": usage}
    return _http(json.dumps(body).encode())


class Tally:
    """What the server was asked for so far."""

    def __init__(self, latency: float, turns: int) -> None:
        self.latency = latency
        self.turns = turns
        self.asked = self.open = 0
        self.began = self.busy = self.busy_since = self.ended = 0.0
        self.answer = _completion(ANSWER)

    def begin(self, body: bytes) -> bytes:
        now = time.monotonic()
        self.began = self.began or now
        if not self.open:
            self.busy_since = now
        self.open += 1
        self.asked += 1
        # A conversation of n turns calls until it holds n - 1 of its own messages.
        if body.count(b'"role":"assistant"') < self.turns - 1:
            # No cell equals another, or the store would answer for the sandbox.
            return _completion(CALL.format(number=self.asked))
        return self.answer

    def end(self) -> None:
        self.open -= 1
        self.ended = time.monotonic()
        if not self.open:
            self.busy += self.ended - self.busy_since

    def report(self) -> bytes:
        wall = self.ended - self.began
        return _http(json.dumps({"asked": self.asked, "busy": self.busy / wall if wall else 0.0}).encode())


class Connection(asyncio.Protocol):
    """One connection; requests come one after another."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._pieces: list[bytes] = []
        self._size = self._wanted = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if not self._wanted:
            received = b"".join(self._pieces)
            self._pieces = [received]
            head, found, _ = received.partition(HEAD_END)
            if not found:
                return
            if head.startswith(b"GET"):
                self._reset()
                self._write(self._tally.report())
                return
            (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self._wanted = len(head) + len(HEAD_END) + int(length.partition(b":")[2])
        if self._size >= self._wanted:
            answer = self._tally.begin(b"".join(self._pieces))
            self._reset()
            if self._tally.latency:
                asyncio.get_running_loop().call_later(self._tally.latency, self._answer, answer)
            else:
                self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        self._tally.end()
        self._write(answer)

    def _write(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)

    def _reset(self) -> None:
        self._pieces, self._size, self._wanted = [], 0, 0


async def serve(latency: float, turns: int) -> None:
    """Serve until killed."""
    tally = Tally(latency, turns)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(tally), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--turns", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(serve(given.latency, given.turns))
