"""Which hits of a search a rollout must not see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.dedup.leaks import Hit, LeakSettings, leak, shared
from flows.asking.leaks import HitRules, public_url
from flows.recipe.searching import leak_rules
from pipeline.errors import RowError
from pipeline.identity import canonical_json
from pipeline.records import ImageRef
from pipeline.tools.search.hits import ImageHit, TextHit
from tests.support.builders import question

RULES = leak_rules(LeakSettings())
ASKED = "In which year was the old water mill that stands beside the stone bridge in this picture built?"
SAID = "in which year was the old water mill that stands beside the stone bridge in this picture built"
FAR = Hit("https://mills.example/1", "Mills", "The mill was built in 1702 by the river.")


def reason(hit: Hit, settings: LeakSettings = RULES, as_of: str | None = None, text: str = ASKED) -> str:
    return leak("q", text, hit, settings, as_of).reason


@pytest.mark.parametrize(
    "url",
    [
        "https://huggingface.co/datasets/lmms-lab/textvqa",
        "HTTPS://HuggingFace.co/Datasets/x",
        "https://www.kaggle.com/datasets/a/b?select=train.csv",
        "https://user:word@huggingface.co:443/datasets/x",
        "//huggingface.co/datasets",
        "https://huggingface.co//datasets/x",
        "https://huggingface.co/./a/../datasets/x",
        "https://huggingface.co/%64atasets/x",
        "https://huggingface.co./datasets/x",
        "https://quizlet.com/1234/mills-flash-cards/",
        "https://ro.brainly.com/x",
        "https://github.com/anyone/MathVista/blob/main/data.json",
        "https://raw.githubusercontent.com/a/MMSearch/main/x.json",
    ],
)
def test_a_denied_site_is_never_shown_however_its_address_is_spelt(url: str) -> None:
    assert reason(FAR._replace(url=url)) == "denied_site"


@pytest.mark.parametrize(
    "url",
    [
        "https://huggingface.co/blog/mills",
        "https://notquizlet.com/1",
        "https://quizlet.com.example/1",
        "https://mills.example/huggingface.co/datasets",
        "https://mills.example/?u=https://quizlet.com",
        "https://github.com/anyone/mills",
        "local://country/FRA",
        "",
        "mailto:a@quizlet.com",
        "http://[::1",
    ],
)
def test_other_sites_are_shown(url: str) -> None:
    assert reason(FAR._replace(url=url)) == ""


@pytest.mark.parametrize(
    ("snippet", "held"),
    [
        (f"Q12. {ASKED} A: 1702", True),
        (SAID.upper(), True),
        (f"… {SAID[:60]} …", True),  # a snippet that is cut, of which all stands in the question
        ("The old water mill stands beside the stone bridge; it was built in 1702.", False),
        ("Which year was the mill built?", False),
        ("", False),
    ],
)
def test_a_page_that_holds_the_question_is_not_shown(snippet: str, held: bool) -> None:
    assert reason(FAR._replace(snippet=snippet)) == ("holds_question" if held else "")


def test_a_title_that_holds_the_question_counts_and_scripts_without_spaces_do() -> None:
    assert reason(FAR._replace(title=ASKED)) == "holds_question"
    asked = "图片中的这座石桥旁边的老水磨坊是在哪一年由谁建造的?"
    assert reason(FAR._replace(snippet=f"问题:{asked} 答案:1702年"), text=asked) == "holds_question"
    assert reason(FAR._replace(snippet="这座老水磨坊建于1702年,位于石桥旁边。"), text=asked) == ""


def test_a_question_of_few_words_is_held_by_no_page() -> None:
    assert shared("What is this bird called?", "What is this bird called? A wren.") == 0


@pytest.mark.parametrize(
    ("url", "bits", "found"),
    [
        ("https://github.com/a/pictures/1.png", (2, 3), "copy_of_picture"),
        ("https://arxiv.org/html/2411.00001", (4, 8), "copy_of_picture"),
        ("https://arxiv.org/html/2411.00001", (6, 0), ""),
        ("https://arxiv.org/html/2411.00001", (0, 9), ""),
        ("https://mills.example/1", (0, 0), ""),  # what a search by picture is for
        ("https://arxiv.org/html/2411.00001", (None, None), ""),
    ],
)
def test_a_copy_of_the_picture_is_a_leak_where_data_sets_are(
    url: str, bits: tuple[int | None, int | None], found: str
) -> None:
    assert reason(Hit(url, "Mill", phash_bits=bits[0], dhash_bits=bits[1])) == found


@pytest.mark.parametrize(
    ("published", "as_of", "found"),
    [
        ("2024-01-06", "2024-01-05", "after_as_of"),
        ("2024-01-05", "2024-01-05", ""),
        ("2023-12-31", "2024-01-05", ""),
        (None, "2024-01-05", ""),
        ("2030-01-01", None, ""),
    ],
)
def test_a_hit_is_no_younger_than_the_answer(published: str | None, as_of: str | None, found: str) -> None:
    assert reason(FAR._replace(published=published), as_of=as_of) == found


def test_a_hit_without_its_picture_is_left_out() -> None:
    assert reason(Hit("https://mills.example/1", "Mill", picture=False)) == "no_picture"


def test_a_recipe_adds_sites_and_takes_none_away() -> None:
    rules = leak_rules(LeakSettings(deny=("mills.example/old",), copies=("stones.example",)))
    assert reason(FAR._replace(url="https://mills.example/old/1"), rules) == "denied_site"
    assert reason(FAR, rules) == ""
    assert reason(FAR._replace(url="https://quizlet.com/1"), rules) == "denied_site"
    assert reason(Hit("https://www.stones.example/1", "A", phash_bits=0, dhash_bits=0), rules) == "copy_of_picture"


@pytest.mark.parametrize("site", ["https://a.example", "a", "A.example", "a.example/", "a.example/b c", ""])
def test_what_is_no_site_is_refused(site: str) -> None:
    with pytest.raises(ValidationError):
        LeakSettings(deny=(site,))


@given(url=st.text(max_size=80), title=st.text(max_size=80), snippet=st.text(max_size=200), text=st.text(max_size=120))
def test_any_hit_is_decided(url: str, title: str, snippet: str, text: str) -> None:
    decision = leak("q", text, Hit(url, title, snippet), RULES, "2024-01-01")
    assert decision.outcome in {"keep", "reject"}
    assert 0 <= shared(text, snippet) <= 1


@given(path=st.text(max_size=30))
def test_no_path_leads_out_of_a_site_that_is_denied_as_a_whole(path: str) -> None:
    assert reason(FAR._replace(url=f"https://www.quizlet.com/{path}")) == "denied_site"


THUMBNAIL = ImageRef(sha256="0" * 64, mime="image/png", width=9, height=9, nbytes=9)


def test_a_row_says_for_itself_until_when_evidence_counts() -> None:
    rules = HitRules(RULES, "2020-01-01")
    young = TextHit(title="Mill", url="https://mills.example", date="x", snippet="", published="2023-01-01")
    own = question(ASKED).model_copy(update={"meta": canonical_json({"as_of": "2024-01-01"})})
    assert rules.decide(question(ASKED), young).reason == "after_as_of"
    assert rules.decide(own, young).reason == ""
    for wrong in ("yesterday", 2024, "2024", ["2024-01-01"]):
        row = question(ASKED).model_copy(update={"meta": canonical_json({"as_of": wrong})})
        with pytest.raises(RowError, match="as_of"):
            rules.decide(row, young)


def test_pictures_and_pages_are_decided_by_one_rule() -> None:
    rules = HitRules(RULES, None)
    copy = ImageHit(title="A", url="https://arxiv.org/1", thumbnail=THUMBNAIL, phash_bits=0, dhash_bits=0)
    assert rules.decide(question(ASKED), copy).reason == "copy_of_picture"
    assert rules.decide(question(ASKED), copy.model_copy(update={"thumbnail": None})).reason == "copy_of_picture"
    far = copy.model_copy(update={"url": "https://a.example", "thumbnail": None})
    assert rules.decide(question(ASKED), far).reason == "no_picture"
    assert HitRules(RULES, None).identity != HitRules(RULES, "2024-01-01").identity


@pytest.mark.parametrize(
    ("meta", "source", "url"),
    [
        ({"image_url": "https://a.example/1.jpg", "redistributable": True}, False, "https://a.example/1.jpg"),
        ({"image_urls": ["https://a.example/1.jpg", "x"]}, True, "https://a.example/1.jpg"),
        ({"image_url": "https://a.example/1.jpg"}, False, None),
        ({"image_url": "https://a.example/1.jpg", "redistributable": False}, True, None),
        ({"image_url": "https://a.example/1.jpg", "redistributable": "yes"}, True, None),
        ({"redistributable": True}, True, None),
        ({"image_url": ["https://a.example/1.jpg"]}, True, "https://a.example/1.jpg"),
        ({"image_urls": []}, True, None),
        *(
            ({"image_url": url}, True, None)
            for url in (
                *("ftp://a.example/1", "https://127.0.0.1/1", "http://localhost/1", "http://10.0.0.1/1", "file:///etc"),
                *("https://[::1]/1", "https://intranet/1", "https://a.internal/1", "https://u:p@a.example/1", "a.jpg"),
            )
        ),
    ],
)
def test_a_picture_is_searched_for_by_its_address_only_if_it_is_public_and_may_be_passed_on(
    meta: dict[str, object], source: bool, url: str | None
) -> None:
    row = question(ASKED).model_copy(update={"meta": canonical_json(meta), "source": "mills"})
    assert public_url(row, {"mills": source}) == url
