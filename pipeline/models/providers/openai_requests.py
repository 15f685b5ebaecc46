"""Requests as the OpenAI chat-completions protocol writes them (API reference and vLLM's, 2026-11)."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from pipeline.models.chat import ChatRequest, Image, Message, Text, View
from pipeline.models.texts import ToolCall, split_action, split_result
from pipeline.store.blobs import BlobStore
from pipeline.students.family import FAMILIES

KEEP_STOP = "include_stop_str_in_output"
"""Asks vLLM to leave the stop string in the text. Servers that do not know it ignore or refuse it."""
ENCODED_BYTES = 64 * 1024**2
"""Of encoded images that are kept. A view of the usual budget is below half a megabyte, so the images of a
hundred questions stay while their samples and turns are asked for; memory does not grow with a run."""
CHARACTERS_PER_TOKEN = 3
"""Of English and code in current vocabularies it is nearer four; an estimate errs on the safe side."""
PIXELS_PER_TOKEN = FAMILIES["qwen2_5_vl"].patch ** 2
"""Other families take fewer tokens."""


class Spelling(NamedTuple):
    """How a server wants requests written, where it does not take them as most do."""

    limit: str = "max_tokens"
    """Name of the limit of a message; OpenAI's reasoning models know `max_completion_tokens` alone."""
    without: frozenset[str] = frozenset()
    """Fields that are left out."""


NO_KEEP_STOP = Spelling(without=frozenset({KEEP_STOP}))
"""For services that are none of vLLM's."""

EncodeImage = Callable[[View], orjson.Fragment]


class EncodedImages:
    """Views as finished JSON, each encoded once as long as it is in use; bounded by bytes, oldest use first out."""

    def __init__(self, blobs: BlobStore, limit: int = ENCODED_BYTES) -> None:
        self._blobs = blobs
        self._limit = limit
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def __call__(self, view: View) -> orjson.Fragment:
        """Return the message part of a view, to be copied into a body as it is.

        Raises:
            InfrastructureError: the view is not in the blob store, or damaged.
        """
        encoded = self._kept.get(view.blob)
        if encoded is None:
            data = base64.b64encode(self._blobs.get(view.blob))
            encoded = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,' + data + b'"}}'
            self._keep(view.blob, encoded)
        else:
            self._kept.move_to_end(view.blob)
        return orjson.Fragment(encoded)

    def _keep(self, blob: str, encoded: bytes) -> None:
        self._kept[blob] = encoded
        self._size += len(encoded)
        while self._size > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)


def write_request(
    request: ChatRequest,
    sample: int,
    *,
    served_name: str,
    encode: EncodeImage,
    spelling: Spelling = Spelling(),  # noqa: B008 - frozen
    max_tokens: int | None = None,
) -> bytes:
    """Return the body that asks for one sample; `max_tokens` takes the place of the request's own.

    One request per sample: `n` would share one seed among several samples, and none of them could be asked
    for again alone (vLLM derives the seeds of `n` choices from one; the protocol promises nothing).
    """
    body: dict[str, Any] = {
        "model": served_name,
        "messages": _messages(request, encode),
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        spelling.limit: request.sampling.max_tokens if max_tokens is None else max_tokens,
        "seed": request.seed + sample,
    }
    if request.stop:
        body["stop"] = request.stop
        body[KEEP_STOP] = True
    if request.tools:
        body["tools"] = orjson.Fragment(request.tools)
        # A message holds one action: a second call would be made without having seen what the first returned.
        body["parallel_tool_calls"] = False
    if request.answer_schema:
        schema = {"name": "answer", "strict": True, "schema": orjson.Fragment(request.answer_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.logprobs:
        body["logprobs"] = True
    return orjson.dumps({name: value for name, value in body.items() if name not in spelling.without})


def estimated_tokens(request: ChatRequest) -> int:
    """Return about how many tokens a request uses at most, for limits on tokens per minute."""
    parts = [part for message in request.messages for part in message.parts]
    characters = sum(len(part.text) for part in parts if isinstance(part, Text))
    pixels = sum(part.view.width * part.view.height for part in parts if isinstance(part, Image))
    return characters // CHARACTERS_PER_TOKEN + pixels // PIXELS_PER_TOKEN + request.sampling.max_tokens


def beginning(request: ChatRequest) -> bytes:
    """Return a hash of what all conversations about one question have in common: the first two messages."""
    hasher = hashlib.blake2b(digest_size=16)
    for message in request.messages[:2]:
        for part in message.parts:
            hasher.update((part.view.pixels if isinstance(part, Image) else part.text).encode())
    return hasher.digest()


def _messages(request: ChatRequest, encode: EncodeImage) -> list[dict[str, Any]]:
    if not request.tools:
        return [_message(message, encode) for message in request.messages]
    written: list[dict[str, Any]] = []
    call: ToolCall | None = None
    for number, message in enumerate(request.messages):
        if message.role == "assistant":
            content, call = split_action(_text(message))
            written.append(_assistant(content, call, number))
        elif call is not None:
            written += _result(message, _call_id(number - 1), encode, inside=request.tool_images == "inside")
            call = None
        else:
            written.append(_message(message, encode))
    return written


def _message(message: Message, encode: EncodeImage) -> dict[str, Any]:
    if message.role != "user":  # servers take lists for users only
        return {"role": message.role, "content": _text(message)}
    return {"role": "user", "content": [_part(part, encode) for part in message.parts]}


def _assistant(content: str, call: ToolCall | None, number: int) -> dict[str, Any]:
    if call is None:
        return {"role": "assistant", "content": content}
    function = {"name": call.name, "arguments": call.arguments}
    calls = [{"id": _call_id(number), "type": "function", "function": function}]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def _result(message: Message, call_id: str, encode: EncodeImage, *, inside: bool) -> list[dict[str, Any]]:
    """Write a tool's result with its images, or with these as the user's after it, where servers take text alone."""
    parts = split_result(message.parts)
    if inside and any(isinstance(part, Image) for part in parts):
        return [{"role": "tool", "tool_call_id": call_id, "content": [_part(part, encode) for part in parts]}]
    text = "".join(part.text for part in parts if isinstance(part, Text))
    images = [encode(part.view) for part in parts if isinstance(part, Image)]
    result = {"role": "tool", "tool_call_id": call_id, "content": text}
    return [result, {"role": "user", "content": images}] if images else [result]


def _call_id(number: int) -> str:
    """Name the call of message `number`; servers compare the ids of a call and its result and read nothing in them."""
    return f"call_{number}"


def _part(part: Text | Image, encode: EncodeImage) -> dict[str, str] | orjson.Fragment:
    return encode(part.view) if isinstance(part, Image) else {"type": "text", "text": part.text}


def _text(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))
