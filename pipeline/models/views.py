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
        task = self._made.get(image.sha256)
        if task is None:
            task = self._made[image.sha256] = asyncio.create_task(asyncio.to_thread(self._make, image))
            task.add_done_callback(lambda done: self._forget_failed(image, done))
        # Shielded: whoever else waits for this view still wants it when one rollout is cancelled.
        return await asyncio.shield(task)

    def _forget_failed(self, image: ImageRef, done: asyncio.Task[View]) -> None:
        """Let the next who asks try again."""
        if done.cancelled() or done.exception() is not None:
            del self._made[image.sha256]

    def _make(self, image: ImageRef) -> View:
        return make_view(self._blobs.get(image.sha256), self.rule, self._blobs)
