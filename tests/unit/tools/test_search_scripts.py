"""The local index finds text of every script, written with spaces or without."""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tools.search.index import GALLERY, PAGES, build_index, find_pages, holds
from pipeline.tools.search.words import TOKENIZE, any_word, spread, whole_phrase, without_seams

TEXTS = {
    "zh": "东京都厅位于新宿区，高二百四十三米，一九九一年竣工。",
    "zh-other": "北京的故宫建于明代，是世界上最大的宫殿建筑群。",
    "zh-hant": "臺北一〇一大樓高五百零八公尺，位於信義區。",
    "ja": "富士山は静岡県と山梨県にまたがる活火山で、標高は3776メートルである。",
    "ja-kana": "ラーメンはスープとめんのりょうりです。",
    "ko": "서울은 대한민국의 수도이며 한강이 흐른다.",
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย",
    "km": "ភ្នំពេញជារាជធានីនៃព្រះរាជាណាចក្រកម្ពុជា",
    "my": "ရန်ကုန်သည် မြန်မာနိုင်ငံ၏ အကြီးဆုံးမြို့ဖြစ်သည်။",
    "hi": "दिल्ली भारत की राजधानी है और यमुना नदी के तट पर बसी है।",
    "ta": "சென்னை தமிழ்நாட்டின் தலைநகரம் ஆகும்.",
    "ar": "القاهرة عاصمة جمهورية مصر العربية وأكبر مدنها.",
    "ru": "Москва — столица России, город на Москве-реке.",
    "el": "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας.",
    "en": "Paris is the capital of France and lies on the Seine.",
    "mixed": "Tokyo Skytree（東京スカイツリー）is 634 m tall; 入場料は大人3100円.",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scripts")
    pages = [{"url": f"local://{key}", "title": f"{key} page", "text": text} for key, text in TEXTS.items()]
    (root / PAGES).write_text("".join(json.dumps(page, ensure_ascii=False) + "\n" for page in pages))
    (root / GALLERY).write_text("")
    build_index(root, root / "index.sqlite")
    return root / "index.sqlite"


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("新宿区", "zh"),
        ("故宫是哪个朝代建的", "zh-other"),
        ("信義區的大樓", "zh-hant"),
        ("富士山の標高", "ja"),
        ("山梨県", "ja"),
        ("スープ", "ja-kana"),
        ("対 ラーメン", "ja-kana"),
        ("대한민국 수도", "ko"),
        ("한강", "ko"),
        ("เมืองหลวงของไทย", "th"),
        ("រាជធានី", "km"),
        ("မြန်မာ", "my"),
        ("यमुना नदी", "hi"),
        ("சென்னை", "ta"),
        ("عاصمة مصر", "ar"),
        ("столица России", "ru"),
        ("πρωτεύουσα", "el"),
        ("capital of France", "en"),
        ("東京スカイツリー height", "mixed"),
        ("skytree 634", "mixed"),
        ("大人3100円", "mixed"),
    ],
)
def test_a_query_finds_the_page_in_its_script(index: Path, query: str, key: str) -> None:
    assert find_pages(index, query, 5)[0].url == f"local://{key}"


@pytest.mark.parametrize(("query", "keys"), [("宫", {"zh-other"}), ("円", {"mixed"}), ("山", {"ja"}), ("区", {"zh"})])
def test_a_single_character_is_found(index: Path, query: str, keys: set[str]) -> None:
    assert {hit.url for hit in find_pages(index, query, 9)} == {f"local://{key}" for key in keys}


def test_characters_that_are_no_neighbours_on_a_page_do_not_find_it(index: Path) -> None:
    assert find_pages(index, "京区", 5) == ()


def test_marks_are_part_of_their_word(index: Path) -> None:
    assert find_pages(index, "नद", 5) == ()  # the consonants of नदी
    assert find_pages(index, "नदी", 5)


def test_what_is_shown_is_what_the_page_says(index: Path) -> None:
    for key, text in TEXTS.items():
        (hit,) = (hit for hit in find_pages(index, text, 99) if hit.url == f"local://{key}")
        assert hit.title == f"{key} page"
        assert hit.snippet.strip("…") in text


@pytest.mark.parametrize(
    ("text", "held"),
    [
        *(("三七七六", False), ("3776", True), ("静岡県", True), ("静岡市", False), ("capital of France", True)),
        *(("France capital", False), ("", False), ("…", False), ("634 m", True), ("634 km", False), ("故宫", True)),
    ],
)
def test_a_text_stands_in_the_corpus_as_a_whole(index: Path, text: str, held: bool) -> None:
    assert holds(index, text) == held


@given(text=st.text(max_size=60))
def test_seams_are_never_seen(text: str) -> None:
    shown = unicodedata.normalize("NFC", text.replace("\x1f", " "))
    assert without_seams(spread(text)) == shown
    assert ("\x1f" not in spread(text)) == (spread(text) == shown)


SCRIPTS = st.text(
    st.one_of(
        st.characters(),
        st.characters(min_codepoint=0x0E00, max_codepoint=0x17FF),
        st.sampled_from('東京カナがか\u3099 "()*:'),
    ),
    max_size=40,
)


@given(query=SCRIPTS)
@settings(max_examples=300)
def test_any_query_is_an_expression_that_fts_reads(index: Path, query: str) -> None:
    assert len(find_pages(index, query, 3)) <= 3
    assert holds(index, query) in {True, False}


@given(
    text=st.text("東京都カナがกขคี한국abc ,。de1ल्ी", min_size=1, max_size=40).filter(lambda t: any(map(str.isalnum, t)))
)
def test_every_page_is_found_by_its_own_text(text: str) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f'CREATE VIRTUAL TABLE pages USING fts5(text, tokenize="{TOKENIZE}")')
        db.execute("INSERT INTO pages VALUES (?)", (spread(text),))
        for match in (any_word(text), whole_phrase(text)):
            assert db.execute("SELECT count(*) FROM pages WHERE pages MATCH ?", (match,)).fetchone() == (1,)


@given(query=st.text(st.characters(max_codepoint=0x24F), max_size=60))
def test_latin_text_is_asked_for_and_stored_as_it_ever_was(query: str) -> None:
    """Words between anything else, quoted: what the index did before it knew of other scripts."""
    words = [word for word in re.findall(r"\w+", query)[:64] if word.strip("_")]
    assert any_word(query) == " OR ".join(f'"{word}"' for word in words)
    assert spread(query) == query.replace("\x1f", " ")
