"""Whether a row fits what the student is trained with: what is too long a trainer cuts, answers and images alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.errors import RowError
from pipeline.records import IMAGE_MARK, ImageRef
from pipeline.students.family import FAMILIES, Size, Student, ViewRule
from pipeline.students.tokens import TokenCounter

MESSAGE_TOKENS = 5
"""Of a chat template per message: `<|im_start|>`, role, line break, `<|im_end|>`, line break in Qwen's."""
IMAGE_FRAME_TOKENS = 2
"""Around an image: `<|vision_start|>` and `<|vision_end|>` in Qwen's template."""


def row_tokens(texts: Sequence[str], images: Sequence[ImageRef], view: ViewRule, counter: TokenCounter) -> int:
    """Return the tokens of a row under the student's chat template, every image at the trainer's budget.

    Raises:
        RowError: `image_aspect`, for an image that the student's processor refuses.
    """
    text = counter.total(content.replace(IMAGE_MARK, "") for content in texts) + MESSAGE_TOKENS * len(texts)
    return text + sum(IMAGE_FRAME_TOKENS + _image_tokens(image, view) for image in images)


def require_fits(tokens: int, student: Student, counter: TokenCounter) -> None:
    """Refuse a row of so many tokens if the trainer would cut it.

    Raises:
        RowError: `too_long`, with what counted.
    """
    if tokens > student.cutoff_len:
        about = "" if counter.exact else "about "
        raise RowError("too_long", f"{about}{tokens} tokens ({counter.name}), cutoff_len is {student.cutoff_len}")


def _image_tokens(image: ImageRef, view: ViewRule) -> int:
    """Return about the most tokens that an image takes in a trainer which keeps the student's budget.

    The processor rounds an image above the budget down to whole patches. LLaMA-Factory scales it to the budget first,
    and the processor then rounds either way: of a thin image, up to twice as many patches.
    """
    family = FAMILIES[view.family]
    size = Size(image.width, image.height)
    # The trainer resizes also where the rollouts saw originals (`view: native`).
    seen = family.resize(size, view.max_pixels)
    scale = min(1.0, math.sqrt(view.max_pixels / (size.width * size.height)))
    up = Size(*(math.ceil(side * scale / family.patch) * family.patch for side in size))
    return max(family.tokens(one) for one in (seen, up))
