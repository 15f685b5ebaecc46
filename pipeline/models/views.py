"""The views of a run: every image resized once, to what the student sees."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple

from PIL import Image

from pipeline.images import decode, encode_png, pixel_hash
from pipeline.models.chat import View
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from pipeline.students.family import Size, ViewRule

KEPT = 50_000
"""Views that are remembered, at 1 KB each. Every crop that code shows is an image of its own: a run has millions, and
those of the conversations in flight are the ones that are asked for again."""


class Views:
    """Makes each view once as long as it is in use; use from one event loop."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._made: OrderedDict[_Key, View] = OrderedDict()
        self._making: dict[_Key, asyncio.Task[View]] = {}

    async def of(self, image: ImageRef, rule: ViewRule) -> View:
        """Return the view of an image.

        Raises:
            RowError: the student's processor would refuse it.
        """
        key = _Key(image.sha256, rule)
        view = self._made.get(key)
        if view is not None:
            self._made.move_to_end(key)
            return view
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(asyncio.to_thread(self._make, key))
            task.add_done_callback(lambda done: self._keep(key, done))
        # Shielded: whoever else waits for this view still wants it when one rollout is cancelled.
        return await asyncio.shield(task)

    def _keep(self, key: _Key, done: asyncio.Task[View]) -> None:
        """Remember a view; after a failure let the next who asks try again."""
        del self._making[key]
        if not done.cancelled() and done.exception() is None:
            self._made[key] = done.result()
            if len(self._made) > KEPT:
                self._made.popitem(last=False)

    def _make(self, key: _Key) -> View:
        return make_view(self._blobs.get(key.sha256), key.rule, self._blobs)


class _Key(NamedTuple):
    sha256: str
    rule: ViewRule


def make_view(content: bytes, rule: ViewRule, blobs: BlobStore) -> View:
    """Resize an image to what the student sees and store it.

    Raises:
        RowError: as `decode` and `ViewRule.size`.
    """
    image = decode(content)
    shown = _resized(image, rule)
    return View(
        blob=blobs.put(encode_png(shown)),
        pixels=pixel_hash(shown),
        width=shown.width,
        height=shown.height,
        source_width=image.width,
        source_height=image.height,
    )


def seen(content: bytes, rule: ViewRule) -> Image.Image:
    """Return an image as the student sees it.

    Raises:
        RowError: as `make_view`.
    """
    return _resized(decode(content), rule)


def _resized(image: Image.Image, rule: ViewRule) -> Image.Image:
    size = rule.size(Size(*image.size))
    # Bicubic is the filter of Qwen's own processor.
    return image if size == Size(*image.size) else image.resize(size, Image.Resampling.BICUBIC)
