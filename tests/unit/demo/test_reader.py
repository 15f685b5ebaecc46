from __future__ import annotations

import ast
import inspect
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw

import pipeline.demo.reader
from pipeline.demo import vocabulary
from pipeline.demo.reader import programs
from pipeline.demo.reader.colours import measure_colours
from pipeline.demo.reader.conversation import Hit, read_request
from pipeline.demo.reader.grammar import understand
from pipeline.demo.reader.model import Reader
from pipeline.demo.reader.perception import Box, TextBox, collapse, sample_reading
from pipeline.demo.reader.places import CELL, Extent, Part, cell_around, half_with
from pipeline.demo.reader.reading import as_code, as_name, as_number, as_symbol
from pipeline.demo.reader.searching import country_in, first_fact, listed_fact, stated_fact, stated_weight
from pipeline.demo.vocabulary import COLOURS, SHAPES
from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.observations import WebResult, cell_observation, text_search_observation
from pipeline.identity import canonical_json
from pipeline.models.chat import ChatRequest, Image, Message, Sampling, Text, View

PART = Part(308, 210, 924, 630)
RED, BLUE = COLOURS["red"], COLOURS["blue"]
ASKED = [
    (vocabulary.MAP_LABEL.format(colour="red", shape="circle"), "map_label"),
    (vocabulary.TABLE_ELEVATION.format(colour="navy"), "table_elevation"),
    (vocabulary.TABLE_ICAO.format(colour="olive"), "table_icao"),
    (vocabulary.CHART_DIFFERENCE.format(colour1="cyan", colour2="brown"), "chart_difference"),
    (vocabulary.CHART_SUM.format(colour1="cyan", colour2="brown"), "chart_sum"),
    (vocabulary.REGION_RATIO.format(colour1="purple", colour2="green"), "region_ratio"),
    (vocabulary.DOT_COUNT.format(colour="orange"), "dot_count"),
    *((vocabulary.OUTLINE_FACT.format(fact=fact), "outline_fact") for fact in vocabulary.FACTS),
    (vocabulary.ELEMENT_FACT.format(colour="magenta"), "element_fact"),
]
PAGES = [
    Hit("Neighbours of Mali", "The neighbours of Mali are Niger (.ne, +227, XOF); Nigeria (.ng, +234, NGN)."),
    Hit("Niger", "Niger (NER) is a country. Its currency has the ISO 4217 currency code XOF. It has a domain, .ne."),
    Hit("Iron", "Iron has the number 26. The standard atomic weight of Iron is 55.845. It melts at 1811.5."),
]
ambiguous = TextBox(
    x0=0, y0=0, x1=40, y1=10, steps=((("C", 0.6), ("G", 0.4)), (("", 0.9), ("o", 0.1)), (("o", 0.7), ("a", 0.3)))
)


@pytest.mark.parametrize(("question", "family"), ASKED)
def test_a_question_is_found_anywhere_in_a_message(question: str, family: str) -> None:
    ask = understand(f"image_1: 2880x2080\n{question}\n\nThink first, then answer.")
    assert (ask.family, ask.text) == (family, question)


def test_a_question_keeps_its_words() -> None:
    ask = understand(vocabulary.REGION_RATIO.format(colour1="purple", colour2="green"))
    assert ask.colours == ("purple", "green")
    assert understand(vocabulary.MAP_LABEL.format(colour="red", shape=SHAPES[2])).shape == SHAPES[2]


@pytest.mark.parametrize(
    "question", ["", "How many dots are there?", vocabulary.DOT_COUNT.format(colour="pink"), vocabulary.MAP_LABEL]
)
def test_other_questions_are_unknown(question: str) -> None:
    assert understand(question).family == "unknown"


def test_a_reading_at_temperature_zero_is_the_greedy_one() -> None:
    rng = random.Random(0)
    assert {sample_reading(ambiguous, rng, 0.0).text for _ in range(50)} == {ambiguous.text} == {"Co"}


def test_readings_follow_the_distribution() -> None:
    rng = random.Random(0)
    first = [sample_reading(ambiguous, rng, 1.0).text[0] for _ in range(2000)]
    assert 0.36 < first.count("G") / len(first) < 0.44
    sharp = [sample_reading(ambiguous, rng, 0.5).text[0] for _ in range(2000)]
    assert 0.27 < sharp.count("G") / len(sharp) < 0.35  # 0.16 / (0.16 + 0.36)


def test_a_reading_is_as_sure_as_its_least_sure_character() -> None:
    assert sample_reading(ambiguous, random.Random(0), 0.0).confidence == 0.6


def test_repeats_collapse_and_blanks_separate() -> None:
    assert collapse(["b", "", "o", "o", "", "o", "k", "k"]) == "book"


def test_what_stands_left_of_a_mark_is_not_read() -> None:
    steps = tuple(((character, 1.0),) for character in "#Rome")
    box = TextBox(x0=10, y0=0, x1=60, y1=10, steps=steps)
    assert box.right_of(20).text == "Rome"
    assert box.right_of(5) == box


@given(
    st.integers(700, 4000),
    st.integers(500, 4000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(10, 600),
    st.floats(10, 400),
)
def test_a_crop_holds_what_is_wanted(  # noqa: PLR0917 - one argument per drawn number
    width: int, height: int, right: float, down: float, wide: float, tall: float
) -> None:
    image = Extent(width, height)
    x0, y0 = right * (width - wide), down * (height - tall)
    wanted = Box(x0, y0, x0 + wide, y0 + tall)
    part = cell_around(wanted, image)
    assert Box(*map(float, part)).holds(wanted, margin=-1e-6)
    assert Box(0, 0, width, height).holds(Box(*map(float, part)))
    assert (part.x1 - part.x0, part.y1 - part.y0) == (min(CELL[0], width), min(CELL[1], height))


def test_neighbours_share_a_crop() -> None:
    image = Extent(2880, 2080)
    crops = {cell_around(Box(900 + 7 * i, 800, 1100 + 7 * i, 860), image) for i in range(10)}
    assert len(crops) == 1


def test_a_half_is_cut_across_the_longer_side() -> None:
    assert half_with(Box(10, 10, 20, 20), Extent(2880, 2080)) == Part(0, 0, 1440, 2080)
    assert half_with(Box(10, 2800, 20, 2810), Extent(2080, 2880)) == Part(0, 1440, 2080, 2880)


@pytest.mark.parametrize(
    "code",
    [
        *(programs.crop(PART._replace(x0=x0)) for x0 in range(8)),
        programs.half(Part(0, 0, 1440, 2080)),
        programs.half(Part(0, 1440, 2080, 2880)),
        programs.enlarged(PART),
        programs.combine("red", "blue", "-", 1, {"blue": "4.5"}),
        programs.areas("red", "blue", {"red": RED, "blue": BLUE}, {"red": PART, "blue": PART}),
        programs.bounding_boxes("red", "blue", {"red": RED, "blue": BLUE}),
        programs.count_dots("red", RED),
        programs.divide_area("red", RED, 5),
    ],
)
def test_cells_are_python_that_a_turn_can_hold(code: str) -> None:
    ast.parse(code)
    arguments = canonical_json({"code": code})
    assert dialect.parse(dialect.render_turn("why", "python", arguments), "tools") == ("why", "python", arguments)
    assert max(map(len, code.splitlines())) <= 120


def test_areas_are_counted_exactly() -> None:
    picture = Pillow.new("RGB", (400, 200), "white")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((10, 10, 49, 49), fill=RED)
    pen.rectangle((200, 10, 279, 89), fill=BLUE)
    parts = {"red": Part(0, 0, 100, 100), "blue": Part(150, 0, 400, 200)}
    printed: list[str] = []
    names = {"image_1": picture, "print": lambda *words: printed.append(" ".join(map(str, words)))}
    exec(programs.areas("red", "blue", {"red": RED, "blue": BLUE}, parts), names)  # noqa: S102 - our own cell
    assert "4.0" in printed[-1]


@pytest.mark.parametrize("word", COLOURS)
def test_every_colour_is_found_where_it_is_after_shrinking(word: str) -> None:
    picture = Pillow.new("RGB", (1000, 600), "white")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((400, 200, 433, 233), fill=COLOURS[word])
    pen.text((500, 200), "ink", fill=(20, 20, 20), font_size=40)
    colours = measure_colours(np.asarray(picture.resize((200, 120), Pillow.Resampling.BICUBIC)))
    assert [facts.colour for facts in colours.colours] == [word]
    (blob,) = colours.colours[0].blobs
    assert abs(blob.box.centre[0] - 83.4) < 0.6
    assert abs(blob.box.centre[1] - 43.4) < 0.6
    assert abs(blob.area - 34 * 34 / 25) < 3
    assert blob.shape == "square"


def test_close_dots_are_told_apart_only_when_they_are_far_enough() -> None:
    picture = Pillow.new("RGB", (200, 100), "white")
    pen = ImageDraw.Draw(picture)
    for x, y in ((20, 20), (25, 20), (100, 60), (150, 60)):
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=RED)
    facts = measure_colours(np.asarray(picture)).of("red")
    assert facts is not None
    assert len(facts.blobs) == 4
    assert set(facts.spotted) == {3, 4}


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,234", "1234"), ("12.5", "12.5"), ("12,5", "12.5"), ("l0", "10"), ("■ 45", "45"), ("Oslo", None), ("", None)],
)
def test_numbers_are_read_as_printed(text: str, number: str | None) -> None:
    assert as_number(text) == number


def test_a_reading_without_the_form_of_an_answer_is_none() -> None:
    assert (as_code("KJFK"), as_code("KJF"), as_code("kj0k")) == ("KJFK", None, "KJOK")
    assert (as_name("· Oslo"), as_name("•"), as_name("São Paulo")) == ("Oslo", None, "São Paulo")
    assert (as_symbol("FE"), as_symbol("26"), as_symbol("Iron")) == ("Fe", None, None)


def test_a_fact_is_taken_from_the_page_about_its_subject() -> None:
    assert first_fact(PAGES, "ISO 4217 currency code") == "XOF"
    assert first_fact(PAGES[1:], "ISO 4217 currency code") == "NER"  # the first thing of the right form
    assert stated_fact(PAGES, "Niger", "ISO 4217 currency code") == "XOF"
    assert stated_fact(PAGES, "Nigeria", "ISO 4217 currency code") is None
    assert listed_fact(PAGES, "Niger", "international telephone calling code") == "+227"
    assert stated_weight(PAGES, "Iron") == "55.845"
    assert country_in("Outline of Niger") == "Niger"


def test_a_transcript_knows_which_part_each_crop_shows() -> None:
    request = _conversation()
    transcript = read_request(request)
    assert transcript.tools
    assert [past.action for past in transcript.past] == ["python", "search"]
    assert [look.part for look in transcript.looks] == [Box(0, 0, 2880, 2080), Box(*map(float, PART))]
    assert transcript.looks[1].to_original(Box(10, 10, 20, 20)) == Box(318, 220, 328, 230)
    assert [hit.title for hit in transcript.past[1].hits] == ["Niger", "Niamey"]
    assert transcript.past[1].hits[1].snippet == "The capital."


def test_a_reader_is_given_the_request_and_nothing_else() -> None:
    assert list(inspect.signature(Reader.generate).parameters) == ["self", "request", "samples"]
    package = Path(inspect.getfile(pipeline.demo.reader)).parent
    imported = {
        node.module
        for file in package.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    # With the demo's generators it shares the wording of questions and the palette, and no answer.
    ours = {name for name in imported if name.startswith(("pipeline.sources", "pipeline.demo"))}
    assert {name for name in ours if not name.startswith("pipeline.demo.reader")} <= {
        "pipeline.demo",
        "pipeline.demo.vocabulary",
    }
    assert "pipeline.store.calls" not in imported


def _view(width: int, height: int, source: tuple[int, int]) -> View:
    return View(
        blob="0" * 64, pixels=f"{width}", width=width, height=height, source_width=source[0], source_height=source[1]
    )


def _conversation() -> ChatRequest:
    crop = dialect.render_turn("I zoom in.", "python", canonical_json({"code": programs.crop(PART)}))
    search = dialect.render_turn("I search.", "search", canonical_json({"query": "Niger"}))
    shown = cell_observation(
        status="ok", stdout="", stderr="", value=None, error=None, images=1, ended=False
    ).removesuffix("<image>")
    found = text_search_observation(
        "Niger",
        [
            WebResult("Niger", "local://country/NER", None, "A country.\nIn two lines."),
            WebResult("Niamey", "local://capital/NER", None, "The capital."),
        ],
    )
    whole = Image(view=_view(588, 420, (2880, 2080)))
    part = Image(view=_view(616, 420, (616, 420)))
    return ChatRequest(
        model="reader",
        messages=(
            Message(role="system", parts=(Text(text="# Tools: python, image_search, search."),)),
            Message(role="user", parts=(whole, Text(text=ASKED[0][0]))),
            Message(role="assistant", parts=(Text(text=crop),)),
            Message(role="user", parts=(Text(text=shown), part)),
            Message(role="assistant", parts=(Text(text=search),)),
            Message(role="user", parts=(Text(text=found),)),
        ),
        sampling=Sampling(),
        seed=0,
    )
