"""ms-swift: JSON lines whose assistant messages say whether they are learnt, and image files.

Paths are relative: ms-swift resolves them against `ROOT_IMAGE_DIR`, and without it draws another row at random for each
that does not open.
"""

from __future__ import annotations

from typing import Any

from pipeline.export.rows import Message, Sample, SftRow


def sft_row(sample: Sample[SftRow], paths: list[str]) -> dict[str, Any]:
    """Return one row; `images` is a list in every row, also where there is none."""
    return {
        "id": sample.record_id,
        "messages": [_message(message) for message in sample.messages],
        "images": paths,
    }


def _message(message: Message) -> dict[str, Any]:
    """Return a message with its flag; on what is not an assistant's it would mean nothing."""
    return {**message.text(), "loss": message.loss} if message.role == "assistant" else dict(message.text())
