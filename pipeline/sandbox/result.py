"""What a cell gave back, made of what came out of its session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.sandbox.inside import wire
from pipeline.sandbox.roundtrip import RoundTrip, clean
from pipeline.sandbox.usage import Usage

if TYPE_CHECKING:
    from pipeline.records import CellStatus  # which brings pyarrow and its threads

_NOTE = 2 * wire.MAX_NOTE
"""Characters kept of a note that the guest wrote; ours there are shorter."""


@dataclass(frozen=True)
class CellImage:
    """A picture, as the raw pixels that came out of the session."""

    mode: str
    width: int
    height: int
    pixels: bytes

    def png(self) -> bytes:
        """Encode with fixed parameters, so that equal pixels give equal bytes."""
        from PIL import Image

        from pipeline.images import encode_png

        return encode_png(Image.frombytes(self.mode, (self.width, self.height), self.pixels))


@dataclass(frozen=True)
class CellError:
    """Why a cell is not `ok`: its exception, or in the same form what ended it."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True)
class CellResult:
    """The outcome of one cell. Texts are cut to the policy's limits and hold no control characters."""

    status: CellStatus
    stdout: str
    stderr: str
    value: str | None
    """`repr` of the last expression; None if there is none, it is None, or it is shown as a picture."""
    images: tuple[CellImage, ...]
    error: CellError | None
    notes: tuple[str, ...]
    """One sentence for everything that was cut or left out."""
    ended: bool
    """The session is over; its variables and files are gone."""
    usage: Usage


class Stop(Exception):  # noqa: N818 - an outcome, not a failure
    """A cell is over without a reply, and its session with it."""

    def __init__(self, status: CellStatus, kind: str, message: str) -> None:
        super().__init__(message)
        self.status: CellStatus = status
        self.kind = kind

    def as_error(self) -> CellError:
        """Return it in the form of an exception, as a model is shown it."""
        return CellError(self.kind, str(self), f"{self.kind}: {self}")


def build_result(
    trip: RoundTrip,
    status: CellStatus,
    error: CellError | None,
    spent: Usage,
    *,
    background: int,
    ended: bool,
    most: int,
) -> CellResult:
    """Return a cell's result; what was left out is said in its notes.

    Args:
        trip: the cell's request and everything that came back.
        status: of the cell.
        error: why it is not `ok`.
        spent: measured by the host.
        background: bytes that were printed between the last cell and this one.
        ended: whether the session is over.
        most: characters that the guest was to keep of a value.
    """
    reply = trip.decoder.reply if trip.decoder.complete else None
    images, notes, value = [], [], None
    if reply is not None:
        pairs = zip(reply.images, trip.decoder.pixels(), strict=True)
        images = [CellImage(*shape, pixels) for shape, pixels in pairs]
        notes = [clean(note[:_NOTE]) for note in reply.notes]
        # The guest shortens values and marks that; this bound holds also for one that does not.
        value = None if reply.value is None else clean(reply.value[: 2 * most])
    if background:
        notes.append(f"{background} bytes that background work printed after the last cell are not shown.")
    for name, collector in (("stdout", trip.stdout), ("stderr", trip.stderr)):
        if collector.omitted:
            notes.append(f"{collector.omitted} bytes of {name} are left out.")
    return CellResult(
        status=status,
        stdout=trip.stdout.text(),
        stderr=trip.stderr.text(),
        value=value,
        images=tuple(images),
        error=error,
        notes=tuple(notes),
        ended=ended,
        usage=spent,
    )
