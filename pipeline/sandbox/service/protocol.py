"""The sandbox service's own protocol: JSON over HTTP/1.1, in which every request may be sent again.

    GET    /pool                          200 `Description`
    PUT    /blobs/{sha256}                204; the body is an image file as ingest stored it
    PUT    /sessions/{id}                 204, or 409 {"missing": [sha256, ...]}: these blobs first
             {"images": [sha256, ...], "seed": 0}
    PUT    /sessions/{id}/cells/{number}  200, a frame (below); cells are numbered from 1
             {"code": "...", "seconds": null}
    DELETE /sessions/{id}                 204, also if there is none

The client chooses the session's id, 32 random hexadecimal digits, so that it can ask again when an answer is lost.
The last cell, asked for again under its number, is answered again and never executed twice; an answer too large to be
kept is 410. Images travel once: blobs are kept in memory, the least recently used given up first.

Any request may also be answered 401 (no token, or a wrong one), 403 (a Host that is not this machine), 400, 411, 413
and 415 (a body that is none of the above), 404 (no such session: it waited longer than the idle limit, or the service
was restarted), 422 {"reason", "detail"} (the row's own error, such as an image that does not decode), 429 with
Retry-After (as many sessions as fit are open, or too many cells wait) and 503 (the sandbox failed, and with it the
session). Only 200 is ever an outcome of code. Errors are {"error": text} beside the fields named above.

A frame is two big-endian 32-bit lengths, a JSON message and the raw pixels of its pictures, one after the other. It is
not compressed: on the same machine that costs more than it saves.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.records import CellStatus
from pipeline.sandbox.inside.policy import MIB, Limits
from pipeline.sandbox.inside.wire import CHANNELS, HEADER, MESSAGE_BYTES, Shape, WireError, frame
from pipeline.sandbox.result import CellError, CellImage, CellResult
from pipeline.sandbox.usage import Usage

VERSION = 1
JSON = "application/json"
BYTES = "application/octet-stream"

MOST_BODY = 64 * MIB
"""Of a request: an image file of that size, or one of 48 MiB that DeepEyesV2's environment sends as base64 in code."""
MOST_IMAGES = 64
"""Of one session."""
MOST_ANSWER = HEADER.size + MESSAGE_BYTES + Limits().cell_pixels * max(CHANNELS.values())
"""Bytes of a cell's answer under the limits that no policy raises."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Description(BaseModel):
    """What a client needs to know of a service; later versions may add fields."""

    model_config = ConfigDict(frozen=True, strict=True)

    protocol: int
    identity: str
    workers: Annotated[int, Field(ge=1)]
    capacity: Annotated[int, Field(ge=1)]
    answer_seconds: Annotated[float, Field(gt=0)]
    """The longest that a cell takes to be answered, waiting for others included."""
    facts: dict[str, Any]


_Side = Annotated[int, Field(gt=0, le=1 << 20)]


class _Outcome(_Message):
    status: CellStatus
    stdout: str
    stderr: str
    value: str | None
    images: tuple[tuple[Literal["L", "RGB"], _Side, _Side], ...]
    error: tuple[str, str, str] | None
    notes: tuple[str, ...]
    ended: bool
    usage: tuple[float, float, int]


def encode_result(result: CellResult) -> bytes:
    """Return a cell's outcome as a frame."""
    error = result.error
    message = {
        "status": result.status,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "value": result.value,
        "images": [[image.mode, image.width, image.height] for image in result.images],
        "error": None if error is None else [error.type, error.message, error.traceback],
        "notes": list(result.notes),
        "ended": result.ended,
        "usage": list(result.usage),
    }
    return b"".join(frame(message, [image.pixels for image in result.images]))


def decode_result(content: bytes) -> CellResult:
    """Return the outcome in a frame.

    Raises:
        WireError: it is not exactly one frame of the fields above.
    """
    if len(content) < HEADER.size:
        raise WireError(f"a frame of {len(content)} bytes")
    size, blob_size = HEADER.unpack_from(content)
    start = HEADER.size + size
    if len(content) != start + blob_size:
        raise WireError("a frame of another length than announced")
    try:
        outcome = _Outcome.model_validate_json(content[HEADER.size : start])
    except ValidationError as error:
        raise WireError(f"not an outcome: {error.errors()[0]['msg']}") from error
    shapes = [Shape(*image) for image in outcome.images]
    if sum(shape.nbytes for shape in shapes) != blob_size:
        raise WireError("the pictures' sizes do not add up to the bytes announced")
    images = []
    for shape in shapes:
        images.append(CellImage(*shape, content[start : start + shape.nbytes]))
        start += shape.nbytes
    return CellResult(
        status=outcome.status,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        value=outcome.value,
        images=tuple(images),
        error=None if outcome.error is None else CellError(*outcome.error),
        notes=outcome.notes,
        ended=outcome.ended,
        usage=Usage(*outcome.usage),
    )
