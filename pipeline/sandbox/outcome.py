"""From what came out of a session to the result of a cell. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.sandbox.output import clean
from pipeline.sandbox.result import CellError, CellImage, CellResult

if TYPE_CHECKING:
    from pipeline.records import CellStatus
    from pipeline.sandbox.exchange import Exchange
    from pipeline.sandbox.usage import Usage

_NOTE = 500
"""Characters kept of a note that the guest wrote; its own are shorter."""


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
    exchange: Exchange,
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
        exchange: the cell's request and everything that came back.
        status: of the cell.
        error: why it is not `ok`.
        spent: measured by the host.
        background: bytes that were printed between the last cell and this one.
        ended: whether the session is over.
        most: characters that the guest was to keep of a value.
    """
    reply = exchange.decoder.reply if exchange.decoder.complete else None
    images, notes, value = [], [], None
    if reply is not None:
        pairs = zip(reply.images, exchange.decoder.pixels(), strict=True)
        images = [CellImage(*shape, pixels) for shape, pixels in pairs]
        notes = [clean(note[:_NOTE]) for note in reply.notes]
        # The guest shortens values and marks that; this bound holds also for one that does not.
        value = None if reply.value is None else clean(reply.value[: 2 * most])
    if background:
        notes.append(f"{background} bytes that background work printed after the last cell are not shown.")
    for name, collector in (("stdout", exchange.stdout), ("stderr", exchange.stderr)):
        if collector.omitted:
            notes.append(f"{collector.omitted} bytes of {name} are left out.")
    return CellResult(
        status=status,
        stdout=exchange.stdout.text(),
        stderr=exchange.stderr.text(),
        value=value,
        images=tuple(images),
        error=error,
        notes=tuple(notes),
        ended=ended,
        usage=spent,
    )
