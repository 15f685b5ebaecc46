"""Whether an image of a question can be used at all."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import Field

from filters.rule import Rule
from pipeline.identity import Identity
from pipeline.records import Decision, ImageFacts

VERSION = 2

Unreadable = Literal["image_format", "image_too_large", "image_undecodable", "image_aspect", "image_missing"]
"""Codes that the measurement itself may report in `ImageFacts.error`."""
Reason = Unreadable | Literal["image_too_small", "image_blank", "image_unusable"]

_UNREADABLE: dict[str, Unreadable] = {code: code for code in get_args(Unreadable)}
_RULE: Rule[Reason] = Rule("image_intact", VERSION)


class ImageSettings(Identity):
    """Bounds of a usable image."""

    min_side: int | None = Field(default=None, ge=1)
    """Pixels; None: one patch of the student's family. A thinner image would be stretched to it, so that what the model
    sees would not be what the source holds."""
    max_aspect: int | None = Field(default=None, ge=1)
    """Long side over short side; None: that above which the image processor of the student's family raises."""

    min_contrast: int = Field(default=8, ge=0, le=255)
    """Levels of 0 to 255 by which some channel must vary, after averaging blocks of 4 by 4 pixels; 0 takes all.
    Measured at 1600 x 1200 pixels: one shade under noise of deviation 3 has 7 levels, as JPEG 6. Print of 10 pixels in
    shade 230 on white has 13, a hairline in shade 200 14, one black pixel 16, the demo's faintest sheet 62. Print in
    shade 245 has 5 and is lost."""

    def bounds(self, patch: int, max_aspect: int) -> ImageBounds:
        """Return what holds, with the patch and the limit of the student's family where nothing is said."""
        return ImageBounds(
            min_side=patch if self.min_side is None else self.min_side,
            max_aspect=max_aspect if self.max_aspect is None else self.max_aspect,
            min_contrast=self.min_contrast,
        )


class ImageBounds(Identity):
    """What a usable image is, as in `ImageSettings`."""

    VERSION: ClassVar[int] = VERSION

    min_side: int
    max_aspect: int
    min_contrast: int


def image_intact(facts: ImageFacts, bounds: ImageBounds) -> Decision:
    """Decide on one image; the decision's record is the question, which needs all of its images.

    An error code outside `Unreadable` becomes `image_unusable`: the image is refused either way.
    """
    record = facts.question_id
    if facts.error is not None:
        # Codes may carry their detail after a colon, as `RowError` prints them.
        code = facts.error.partition(":")[0]
        return _RULE.reject(record, _UNREADABLE.get(code, "image_unusable"))
    if facts.phash is None or facts.dhash is None:
        return _RULE.reject(record, "image_undecodable")
    short, long = sorted((facts.width, facts.height))
    if short < bounds.min_side:
        return _RULE.reject(record, "image_too_small", float(short))
    if long > bounds.max_aspect * short:
        return _RULE.reject(record, "image_aspect", long / short)
    if facts.contrast is not None and facts.contrast < bounds.min_contrast:
        return _RULE.reject(record, "image_blank", float(facts.contrast))
    return _RULE.keep(record)
