"""What a cell gave back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.sandbox.usage import Usage

if TYPE_CHECKING:
    from pipeline.records import CellStatus  # which brings pyarrow and its threads


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
