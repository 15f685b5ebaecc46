"""The views of a run: every image resized once, to what the student sees."""

from __future__ import annotations

import asyncio

from pipeline.images import ViewRule, make_view
from pipeline.models.chat import View
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore


class Views:
    """Makes each view once per process; use from one event loop."""

    def __init__(self, blobs: BlobStore, rule: ViewRule) -> None:
        self._blobs = blobs
        self.rule = rule
        self._made: dict[str, asyncio.Task[View]] = {}

    async def of(self, image: ImageRef) -> View:
        """Return the view of an image.

        Raises:
            RowError: the student's processor would refuse it.
        """
        if image.sha256 not in self._made:
            self._made[image.sha256] = asyncio.create_task(asyncio.to_thread(self._make, image))
        return await asyncio.shield(self._made[image.sha256])

    def _make(self, image: ImageRef) -> View:
        return make_view(self._blobs.get(image.sha256), self.rule, self._blobs)
