"""The page of an annotator: hostile texts are shown and never obeyed, and nothing tells what the run made of a row."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.review.page import Shown, annotator_page, write_pages
from pipeline.errors import UsageError
from pipeline.records import IMAGE_MARK, Trajectory
from pipeline.store.blobs import BlobStore
from tests.support.builders import image, question, trajectory, turn

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</pre></article></main><form><input name=mark value=good checked>",
    "</script><script>alert(1)</script>",
    "<!--",
    "<style>article{display:block!important}</style>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:1/'>",
    "<iframe src=file:///etc/passwd></iframe>",
    "<a href='javascript:alert(1)'>click</a>",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "![picture](http://127.0.0.1:1/x.png)",
    "file:///etc/passwd",
    "\x00\x1b[31m\u202egnihtemos",
)


class Page(HTMLParser):
    """Every tag of a page with its attributes, and the texts between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def shown(text: str = "plain") -> Shown:
    """A row in which a text stands wherever a model, a source or the web may write."""
    shot = image("b" * 64)
    asked = question(
        text, choices=(text, "other"), answers=(text,), answer_type="text", images=(image(),), source_row="secret row"
    )
    turns = (
        turn("python", text, think=text, observation=f"{text}{IMAGE_MARK}{text}{IMAGE_MARK}", images=(shot,)),
        turn("search", text, observation=text),
        turn("image_search", observation=text, status="bad_call", labels=("secret label",)),
        turn("none", raw_text=text, observation=text),
        turn("answer", text),
    )
    made = trajectory(*turns, asked=asked, images=(image(),), answer=text, model="secret model", verdict="wrong")
    return Shown("item-1", asked, made)


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_text_holds_the_page_has_the_same_tags_and_shows_the_text(text: str) -> None:
    page = Page(annotator_page("s", 1, [shown(text)]))
    assert page.tags == Page(annotator_page("s", 1, [shown()])).tags
    assert sum(part == text for part in page.texts) == 13


def test_only_the_script_of_the_page_may_run_and_nothing_is_loaded_from_elsewhere() -> None:
    text = annotator_page("s", 1, [shown()])
    tags = Page(text).tags
    (policy,) = (of["content"] for tag, of in tags if of.get("http-equiv") == "Content-Security-Policy")
    allowed = re.findall(r"sha256-([^']+)'", str(policy))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert [b64decode(one) for one in allowed] == [hashlib.sha256(one.encode()).digest() for one in scripts]
    assert str(policy).startswith("default-src 'none'; base-uri 'none';")
    links = [of[name] for _, of in tags for name in ("src", "href") if name in of]
    assert links
    assert all(re.fullmatch(r"pictures/[0-9a-f]{64}\.(png|jpg|webp)", str(link)) for link in links)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(|innerHTML", text)


def test_a_page_does_not_tell_what_the_run_made_of_a_row() -> None:
    row = shown()
    page = annotator_page("s", 1, [row])
    made, asked = row.trajectory, row.question
    for told in (made.id, asked.id, asked.source_row, "secret model", "secret label", "bad_call"):
        assert told not in page
    changed = {"verdict": "right", "model": "other", "sample": 3, "prompts": "{}", "seed": 9, "detail": "why"}
    assert annotator_page("s", 1, [row._replace(trajectory=row.trajectory.model_copy(update=changed))]) == page


def test_annotators_see_the_same_rows_each_in_an_order_of_his_own(tmp_path: Path) -> None:
    made = shown()
    rows = [Shown(f"item-{number}", made.question, made.trajectory) for number in range(12)]
    blobs = BlobStore(tmp_path / "blobs")
    pictures = {blobs.put(content): content for content in (b"one", b"two")}
    first, second = pictures
    rows = [row._replace(trajectory=seen(row.trajectory, first, second)) for row in rows]
    pages = write_pages(tmp_path / "pages", "s", 2, rows, blobs)
    orders = [re.findall(r'data-item="([^"]+)"', page.read_text()) for page in pages]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    files = {path.stem: path.read_bytes() for path in (tmp_path / "pages" / "pictures").iterdir()}
    assert files == pictures


def test_a_picture_that_is_not_in_the_store_is_told_before_any_page_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--store"):
        write_pages(tmp_path / "pages", "s", 1, [shown()], BlobStore(tmp_path / "blobs"))
    assert not list(tmp_path.rglob("*.html"))


def seen(made: Trajectory, first: str, second: str) -> Trajectory:
    """The same rollout over pictures that are in a store."""
    turns = tuple(one.model_copy(update={"images": (image(second),)}) if one.images else one for one in made.turns)
    return made.model_copy(update={"images": (image(first),), "turns": turns})
