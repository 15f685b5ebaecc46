"""Rows with whatever a trainer may trip over: every lane, text alone, several pictures, large ones, a quoted mark."""

from __future__ import annotations

from pipeline.export.rows import RlRow, SftRow
from pipeline.images import encode_png, put_image
from pipeline.store.blobs import BlobStore
from tests.support.export_rows import attempt, lane_rows, numbered, picture, rl_row, rl_rows, sft_row, sft_rows, step

SIZES = ((1_200, 900), (2_000, 110), (30, 20))
"""Above the student's budget, thin, and below what its processor takes."""


def sft(blobs: BlobStore) -> list[SftRow]:
    """Each question quotes `<image>`; one row has a turn that must not be learnt."""
    return [*sft_rows(blobs, 6), *lane_rows(blobs), _sizes(blobs), _corrected(blobs)]


def rl(blobs: BlobStore) -> list[RlRow]:
    """Questions on one picture, on several and on none."""
    several = tuple(put_image(blobs, encode_png(picture(800, *size))) for size in SIZES)
    return [*rl_rows(blobs, 3), rl_row(numbered(801, several)), rl_row(numbered(802, (), "search"))]


def _sizes(blobs: BlobStore) -> SftRow:
    shown = tuple(put_image(blobs, encode_png(picture(700 + at, *size))) for at, size in enumerate(SIZES))
    asked = numbered(700, shown)
    crops = [put_image(blobs, encode_png(picture(710 + at, *size))) for at, size in enumerate(SIZES)]
    look = step("Two of them.", "python", "plt.imshow(image_1)", "Images:\n<image>\nand\n<image><image>", *crops)
    return sft_row(attempt(asked, (look, step("Read.", "answer", "700"))), asked)


def _corrected(blobs: BlobStore) -> SftRow:
    """A row whose first call failed: what came back of it is shown, the call itself is not to be learnt."""
    asked = numbered(720, (put_image(blobs, encode_png(picture(720))),))
    tried = step("Too far.", "python", "image_1.crop((9, 9, 1, 1))", "ValueError: right < left")
    right = step("The other way.", "python", "print(image_1.size)", "stdout:\n(64, 48)")
    turns = (tried.model_copy(update={"loss": False}), right, step("Done.", "answer", "720"))
    return sft_row(attempt(asked, turns), asked)
