from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import InfrastructureError
from pipeline.images import encode_png, put_image
from pipeline.models.chat import View
from pipeline.models.views import Views
from pipeline.store.blobs import BlobStore
from tests.support.asking import RULE


def test_a_view_that_failed_is_made_when_it_is_asked_for_again(tmp_path: Path) -> None:
    content = encode_png(Image.new("RGB", (600, 400), "teal"))
    image = put_image(BlobStore(tmp_path / "elsewhere"), content)
    blobs = BlobStore(tmp_path / "blobs")
    views = Views(blobs)

    async def fail_then_ask() -> tuple[View, View]:
        for _ in range(2):
            with pytest.raises(InfrastructureError):
                await views.of(image, RULE)
        put_image(blobs, content)
        return await views.of(image, RULE), await views.of(image, RULE)

    first, second = asyncio.run(fail_then_ask())
    assert first is second
    assert (first.source_width, first.source_height) == (600, 400)


def test_everyone_who_waits_for_a_view_that_fails_is_told(tmp_path: Path) -> None:
    image = put_image(BlobStore(tmp_path / "elsewhere"), encode_png(Image.new("RGB", (60, 40))))
    views = Views(BlobStore(tmp_path / "blobs"))

    async def ask_together() -> list[View | BaseException]:
        return list(await asyncio.gather(*(views.of(image, RULE) for _ in range(3)), return_exceptions=True))

    assert [type(one) for one in asyncio.run(ask_together())] == [InfrastructureError] * 3
