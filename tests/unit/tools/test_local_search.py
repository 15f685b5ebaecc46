from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pipeline.demo.corpus.facts import known_countries
from pipeline.demo.corpus.outlines import LINE, PADDING, SIZE, draw_outline
from pipeline.demo.corpus.pages import pages, pictures
from pipeline.demo.vocabulary import GREY
from pipeline.errors import UsageError
from pipeline.images import encode_png
from pipeline.store.blobs import BlobStore
from pipeline.tools.search.hits import ImageProvider, TextProvider
from pipeline.tools.search.local import LocalSearch


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> LocalSearch:
    """The search of the demo, over all its pages and outlines."""
    root = tmp_path_factory.mktemp("search")
    found = [(p.url, p.title, encode_png(p.image)) for p in pictures()]
    texts = [{name: value for name, value in page._asdict().items() if value is not None} for page in pages()]
    return LocalSearch(make_corpus(root / "corpus", texts, found), BlobStore(root / "blobs"), root / "indexes")


def make_corpus(directory: Path, texts: list[dict[str, str]], found: list[tuple[str, str, bytes]]) -> Path:
    (directory / "gallery").mkdir(parents=True)
    entries = []
    for number, (url, title, content) in enumerate(found):
        (directory / f"gallery/{number}.png").write_bytes(content)
        entries.append({"url": url, "title": title, "image": f"gallery/{number}.png"})
    for name, lines in (("pages.jsonl", texts), ("gallery.jsonl", entries)):
        (directory / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


@pytest.fixture
def small(tmp_path: Path) -> Path:
    page = {"url": "local://a", "title": "Runners", "text": "They were running past the old mill."}
    return make_corpus(tmp_path / "corpus", [page], [("local://a", "A", encode_png(Image.new("RGB", (40, 30))))])


def test_it_is_a_search_provider(search: LocalSearch) -> None:
    text: TextProvider = search
    image: ImageProvider = search
    assert len(text.revision) == 64
    assert not image.needs_url


def test_a_country_and_a_fact_find_the_page_and_mostly_the_value(search: LocalSearch) -> None:
    asked = [(known.country.name, *fact) for known in known_countries()[::9] for fact in known.facts.items()]
    shown = 0
    for name, wording, fact in asked:
        own = [hit for hit in search.find_pages(f"{name} {wording}", 5) if hit.title == name]
        assert own, (name, wording)
        shown += fact.answers[0] in own[0].snippet
    # A snippet may end before the value (one in eight does); a model then has to ask again.
    assert shown >= 0.75 * len(asked)


def test_results_are_limited_and_equal_each_time(search: LocalSearch) -> None:
    first = search.find_pages("airport elevation", 5)
    assert len(first) == 5
    assert search.find_pages("airport elevation", 5) == first
    assert search.find_pages("airport elevation", 2) == first[:2]


def test_dates_are_given_where_there_are_any(search: LocalSearch) -> None:
    assert str(search.find_pages("earthquake of magnitude", 1)[0].date).startswith("2024-")
    assert search.find_pages("Denmark", 1)[0].date is None


def test_words_are_found_by_their_stem(small: Path, tmp_path: Path) -> None:
    search = LocalSearch(small, BlobStore(tmp_path / "blobs"), tmp_path / "indexes")
    assert [hit.url for hit in search.find_pages("mills run", 5)] == ["local://a"]
    assert search.find_pages("zebra", 5) == ()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        '"',
        "'",
        '" OR title:* --',
        "NEAR(a b, 3)",
        "AND OR NOT",
        "title : x",
        "a* ^b",
        "x\0y",
        "(",
        "\ud800",
        "%s ;drop table pages",
        "-" * 5000,
        "word " * 5000,
    ],
)
def test_no_query_is_syntax(search: LocalSearch, query: str) -> None:
    assert len(search.find_pages(query, 5)) <= 5
    assert search.find_pages("Denmark", 1)


@given(query=st.text(max_size=80))
def test_any_text_may_be_searched_for(search: LocalSearch, query: str) -> None:
    assert len(search.find_pages(query, 3)) <= 3


def test_an_outline_is_found_by_its_render(search: LocalSearch) -> None:
    asked = known_countries()[::8]
    places = []
    for known in asked:
        sheet = encode_png(draw_outline(known.country.shape, SIZE, PADDING, GREY, LINE))
        urls = [hit.url for hit in search.find_pictures(sheet, 5)]
        assert f"local://country/{known.country.alpha3}" in urls
        places.append(urls.index(f"local://country/{known.country.alpha3}"))
    # Of all 138 outlines the demo may ask for, all but two are found first, those two second.
    assert sum(place == 0 for place in places) >= 0.9 * len(asked)


def test_another_encoding_and_size_find_the_same_picture(search: LocalSearch) -> None:
    outline = draw_outline(known_countries()[30].country.shape, SIZE, PADDING, GREY, LINE)
    buffer = io.BytesIO()
    outline.resize((700, 525)).save(buffer, "JPEG", quality=30)
    assert search.find_pictures(buffer.getvalue(), 1) == search.find_pictures(encode_png(outline), 1)


def test_thumbnails_are_in_the_store(search: LocalSearch) -> None:
    hit = search.find_pictures(encode_png(Image.new("RGB", (300, 200), "white")), 1)[0]
    assert hit.thumbnail is not None
    assert hit.thumbnail.width == 320
    assert search._blobs.get(hit.thumbnail.sha256)


def test_threads_may_search_at_once(search: LocalSearch) -> None:
    image = Image.new("RGB", (200, 100), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 150, 90), fill="black")
    content, queries = encode_png(image), [known.country.name for known in known_countries()[:40]]
    alone = [search.find_pages(query, 5) for query in queries], search.find_pictures(content, 5)
    with ThreadPoolExecutor(8) as pool:
        images = [pool.submit(search.find_pictures, content, 5) for _ in range(8)]
        texts = list(pool.map(lambda query: search.find_pages(query, 5), queries))
        assert (texts, images[0].result()) == alone
        assert len({future.result() for future in images}) == 1


def test_the_index_is_made_once_and_only_for_the_same_content(small: Path, tmp_path: Path) -> None:
    blobs, indexes = BlobStore(tmp_path / "blobs"), tmp_path / "indexes"
    first = LocalSearch(small, blobs, indexes)
    made = [(path.name, path.stat().st_mtime_ns) for path in indexes.iterdir()]
    assert LocalSearch(small, blobs, indexes).revision == first.revision
    assert [(path.name, path.stat().st_mtime_ns) for path in indexes.iterdir()] == made
    (small / "gallery/0.png").write_bytes(encode_png(Image.new("RGB", (40, 30), "red")))
    assert LocalSearch(small, blobs, indexes).revision != first.revision
    assert len(list(indexes.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("pages.jsonl", "{", "line 1"),
        ("pages.jsonl", '{"url": "a", "title": "b"}', "`text`"),
        ("pages.jsonl", None, "pages.jsonl"),
        ("gallery.jsonl", None, "gallery.jsonl"),
        ("gallery.jsonl", '{"url": "a", "title": "b", "image": "../secret.png"}', "leads out"),
        ("gallery.jsonl", '{"url": "a", "title": "b", "image": "gallery/none.png"}', "none.png"),
        ("gallery.jsonl", '{"url": "a", "title": "b", "image": "pages.jsonl"}', "line 1"),
    ],
)
def test_a_corpus_that_is_wrong_is_refused_with_file_and_line(
    small: Path, tmp_path: Path, name: str, content: str | None, named: str
) -> None:
    (tmp_path / "secret.png").write_bytes(encode_png(Image.new("RGB", (9, 9))))
    if content is None:
        (small / name).unlink()
    else:
        (small / name).write_text(content)
    with pytest.raises(UsageError, match=named):
        LocalSearch(small, BlobStore(tmp_path / "blobs"), tmp_path / "indexes")
    assert not list((tmp_path / "indexes").glob("*"))
