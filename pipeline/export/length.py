"""Whether a row fits what the student is trained with: what is too long a trainer cuts, answers and images alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from pipeline.errors import RowError
from pipeline.images import Size, ViewFamily, ViewRule, view_size
from pipeline.models.image_tokens import ImageRule, image_tokens
from pipeline.records import IMAGE_MARK, ImageRef
from pipeline.tokens import TokenCounter

MESSAGE_TOKENS = 5
"""Of a chat template per message: `<|im_start|>`, role, line break, `<|im_end|>`, line break in Qwen's."""
IMAGE_FRAME_TOKENS = 2
"""Around an image: `<|vision_start|>` and `<|vision_end|>` in Qwen's template."""

PATCH = 28
"""Pixels a side of what becomes one token in the families known here; see `QWEN_PIXELS`."""

_RULES: Mapping[ViewFamily, ImageRule] = {"qwen2_5_vl": "qwen"}


class StudentFacts(BaseModel):
    """The model that the data is for; the fields of a recipe's `student` that do not name a place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: ViewFamily
    revision: str
    max_pixels: int
    """Budget per image in pixels; what the trainer's own cap must be for the data to mean what it says."""
    deploy_pixels: int | None
    """Budget where the student will be used; None where it is not said."""
    view: str
    cutoff_len: int
    template: str
    coordinates: str


def row_tokens(texts: Sequence[str], images: Sequence[ImageRef], student: StudentFacts, counter: TokenCounter) -> int:
    """Return the tokens of a row under the student's chat template, every image at the trainer's budget.

    Raises:
        RowError: `image_aspect`, for an image that the student's processor refuses.
    """
    text = counter.total(content.replace(IMAGE_MARK, "") for content in texts) + MESSAGE_TOKENS * len(texts)
    return text + sum(IMAGE_FRAME_TOKENS + _image_tokens(image, student) for image in images)


def require_fits(
    texts: Sequence[str], images: Sequence[ImageRef], student: StudentFacts, counter: TokenCounter
) -> None:
    """Refuse a row that the trainer would cut.

    Raises:
        RowError: `too_long`, with what counted; or as `row_tokens`.
    """
    tokens = row_tokens(texts, images, student, counter)
    if tokens > student.cutoff_len:
        about = "" if counter.exact else "about "
        raise RowError("too_long", f"{about}{tokens} tokens ({counter.name}), cutoff_len is {student.cutoff_len}")


def _image_tokens(image: ImageRef, student: StudentFacts) -> int:
    """Return about the most tokens that an image takes in a trainer which keeps the student's budget.

    The processor rounds an image above the budget down to whole patches. LLaMA-Factory scales it to the budget first,
    and the processor then rounds either way: of a thin image, up to twice as many patches.
    """
    size = Size(image.width, image.height)
    # The trainer resizes also where the rollouts saw originals (`view: native`).
    seen = view_size(size, ViewRule(student.family, student.max_pixels, "student"))
    scale = min(1.0, math.sqrt(student.max_pixels / (size.width * size.height)))
    up = Size(*(math.ceil(side * scale / PATCH) * PATCH for side in size))
    return max(image_tokens(_RULES[student.family], one) for one in (seen, up))
