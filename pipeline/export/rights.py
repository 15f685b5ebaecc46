"""Which rows an export may hold: none that was taken down, and none with a picture that may not be passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import RowError
from pipeline.export.tombstones import TakenDownError, Tombstones
from pipeline.identity import parse_json
from pipeline.images import decode, pixel_hash
from pipeline.records import WITHHELD, ImageRef, Question, Terms, Turn
from pipeline.store.blobs import BlobStore

WithheldImages = Literal["drop_row", "keep"]


@dataclass(frozen=True)
class PictureNames:
    """What else the stored pictures of some rows are known by."""

    pixels: Mapping[str, str] = field(default_factory=dict)
    """sha256 of a stored picture → of its pixels, where somebody has measured it."""
    files: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """sha256 of a stored picture → of the source's files it was made of, where those are other bytes."""

    def files_of(self, images: Sequence[ImageRef]) -> tuple[str, ...]:
        """Return the sha256 of every file of a source that pictures were made of and are not."""
        return tuple(sorted({file for image in images for file in self.files.get(image.sha256, ())}))

    def all_of(self, image: ImageRef, blobs: BlobStore) -> set[str]:
        """Return every sha256 that a tombstone may know a picture by."""
        pixels = self.pixels.get(image.sha256) or pixel_hash(decode(blobs.get(image.sha256)))
        return {image.sha256, pixels, *self.files.get(image.sha256, ())}


@dataclass(frozen=True)
class Rights:
    """What exports go by."""

    tombstones: Tombstones = field(default_factory=Tombstones)
    withheld_images: WithheldImages = "drop_row"
    """What becomes of a row with a picture that may not be passed on."""

    def require_standing(
        self, question: Question, images: Sequence[ImageRef], names: PictureNames, blobs: BlobStore
    ) -> None:
        """Refuse a row that was taken down; `images` are those of its question and of its turns.

        Raises:
            TakenDownError: as said.
        """
        # Measuring pixels is dear, so it is done where a picture has been taken down.
        known = {name for image in images for name in names.all_of(image, blobs)} if self.tombstones.images else set()
        taken = self.tombstones.found(question.id, question.source, question.source_row, known)
        if taken:
            raise TakenDownError(taken)

    def require_passed_on(
        self, question: Question, turns: Sequence[Turn], terms: Mapping[str, Terms], corpus: str | None
    ) -> None:
        """Refuse a row with a picture, or a result of a search, that may not be passed on.

        Raises:
            RowError: `image_withheld`.
        """
        if self.withheld_images == "drop_row":
            _require_passed_on(question, turns, terms, corpus)


_FIX = "`export.withheld_images: keep` ships it to those who may have it"


def _require_passed_on(
    question: Question, turns: Sequence[Turn], terms: Mapping[str, Terms], corpus: str | None
) -> None:
    own = parse_json(question.meta).get("redistributable")
    said = own if own is not None else _said(question.source, terms)
    if question.images and said is False:
        who = "the row" if own is not None else f"source {question.source}"
        raise RowError("image_withheld", f"{who} says that its pictures may not be passed on; {_FIX}")
    if any(turn.images and turn.action == "image_search" for turn in turns) and _said(corpus, terms) is False:
        raise RowError("image_withheld", f"pictures of {corpus}, which a search found, may not be passed on; {_FIX}")
    if any(WITHHELD in turn.labels for turn in turns):
        raise RowError("image_withheld", f"a search found what may not be passed on; {_FIX}")


def _said(source: str | None, terms: Mapping[str, Terms]) -> bool | None:
    said = terms.get(source or "")
    return None if said is None else said.redistributable
