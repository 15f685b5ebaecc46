"""A turn that shows a result of a search which may not be passed on says so, so that exports leave its row out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.dialects import DEEPEYESV2
from pipeline.images import encode_png, put_image
from pipeline.records import WITHHELD, ImageRef
from pipeline.rollout.loop import rollout
from pipeline.store import Store
from pipeline.tools.search.asked import Search
from pipeline.tools.search.hits import Answer, ImageHit, Picture, TextHit
from tests.support.asking import teacher_ask, tools
from tests.support.builders import question
from tests.support.curated import Cells
from tests.support.export_rows import picture
from tests.support.fakes import ScriptedModel

SAID = (
    DEEPEYESV2.render_turn("Which?", "image_search", "{}"),
    DEEPEYESV2.render_turn("Read on.", "search", '{"query":"mark"}'),
    DEEPEYESV2.render_turn("Seen.", "answer", '{"answer":"4"}'),
)


class Found:
    """Finds two pages and two pictures, of which some may be passed on."""

    revision = "found/1"
    needs_url = False

    def __init__(self, thumbnail: ImageRef, page: bool, shown: bool) -> None:
        self._thumbnail, self._page, self._shown = thumbnail, page, shown

    async def text(self, query: str, results: int) -> Answer[TextHit]:  # noqa: ARG002 - as every provider is called
        page = TextHit(title="one", url="https://one.example", date=None, snippet="a mark")
        return Answer((page, page.model_copy(update={"redistributable": self._page})), 0.0)

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:  # noqa: ARG002 - as above
        hit = ImageHit(title="one", url="https://one.example", thumbnail=self._thumbnail)
        return Answer((hit, hit.model_copy(update={"redistributable": self._shown})), 0.0)


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("page", [True, False])
def test_a_turn_is_labelled_by_what_its_search_showed(page: bool, shown: bool, tmp_path: Path) -> None:
    model = ScriptedModel(lambda request, _: SAID[sum(message.role == "assistant" for message in request.messages)])
    with Store(tmp_path) as store:
        image = put_image(store.blobs, encode_png(picture(1)))
        found = Found(image, page, shown)
        acting = tools(store, Cells(replays=False))._replace(search=Search(found, found))
        done = asyncio.run(rollout(question("How many?", images=(image,)), 0, teacher_ask(), model, acting)).trajectory
    assert [turn.labels for turn in done.turns] == [() if shown else (WITHHELD,), () if page else (WITHHELD,), ()]
    assert all(turn.loss for turn in done.turns)
