"""What a careful reader says of a view alone, when it does without a call, and how both policies choose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from pipeline.demo import vocabulary
from pipeline.demo.reader.grammar import TABLE_CITY
from pipeline.demo.reader.model import Policy, Reader
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.demo.vocabulary import COLOURS
from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.messages import Parsed
from pipeline.identity import parse_json
from pipeline.images import encode_png
from pipeline.models.chat import ChatRequest, Image, Message, Sampling, Text, View
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule

RULE = ViewRule("qwen2_5_vl", 262_144)
SIZE = (2080, 2880)
CLEAR, EDGE, HIDDEN = 60, 26, 15
"""Print sizes in pixels of the original, of which the view shows a fifth."""
ROWS = (("red", "Rotterdam", "EHRD", CLEAR), ("blue", "Samarkand", "UTSS", EDGE), ("green", "Tromso", "ENTC", HIDDEN))
BARS = (("orange", 300, "12.5"), ("purple", 900, "7.25"))
OPTIONS = "\n\nA. Samarkand\nB. Tromso\nC. Rotterdam\nD. Oslo"
LETTERS = {"blue": "A", "green": "B", "red": "C"}
POLICIES: tuple[Policy, ...] = ("naive", "careful")


def page() -> Pillow.Image:
    """A table with print of three sizes, two bars with their values, and nine dots."""
    picture = Pillow.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    for header, x in (("City", 220), ("ICAO", 1200)):
        pen.text((x, 100), header, fill=(20, 20, 20), font_size=52, anchor="lm")
    for row, (colour, city, code, size) in enumerate(ROWS):
        y = 300 + 200 * row
        pen.rectangle((100, y - 20, 140, y + 20), fill=COLOURS[colour])
        pen.text((220, y), city, fill=(20, 20, 20), font_size=size, anchor="lm")
        pen.text((1200, y), code, fill=(20, 20, 20), font_size=size, anchor="lm")
    for colour, x, value in BARS:
        pen.rectangle((x, 1400, x + 200, 1800), fill=COLOURS[colour])
        pen.text((x + 100, 1350), value, fill=(20, 20, 20), font_size=CLEAR, anchor="mm")
    for x in range(3):
        for y in range(3):
            pen.ellipse((300 + 600 * x, 2000 + 300 * y, 330 + 600 * x, 2030 + 300 * y), fill=COLOURS["magenta"])
    return picture


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    return BlobStore(tmp_path_factory.mktemp("store") / "blobs")


@pytest.fixture(scope="module")
def view(blobs: BlobStore) -> View:
    return make_view(encode_png(page()), RULE, blobs)


@pytest.fixture(scope="module")
def perceiver(blobs: BlobStore) -> Iterator[Perceiver]:
    with Perceiver(blobs.root.parent / "perceptions", blobs, workers=1) as eyes:
        yield eyes


def turns(
    perceiver: Perceiver,
    view: View | None,
    question: str,
    *,
    policy: Policy = "careful",
    tools: bool = False,
    samples: int = 8,
) -> list[Parsed]:
    parts = (Text(text=f"\nimage_1: {SIZE[0]}x{SIZE[1]}\n{question}\n\nReason step by step, then answer."),)
    request = ChatRequest(
        model="reader",
        messages=(
            Message(role="system", parts=(Text(text="Think first." + " # Tools: python, search." * tools),)),
            Message(role="user", parts=parts if view is None else (Image(view=view), *parts)),
        ),
        sampling=Sampling(temperature=1.0),
        seed=7,
    )
    said = asyncio.run(Reader(policy, perceiver).generate(request, range(samples)))
    parsed = [dialect.parse(one.text, "tools" if tools else "plain") for one in said]
    return [turn for turn in parsed if isinstance(turn, Parsed)]


def answers(parsed: list[Parsed]) -> list[str]:
    return [parse_json(turn.arguments)["answer"] for turn in parsed if turn.action == "answer"]


@pytest.mark.parametrize(
    ("question", "answer", "steps"),
    [
        (vocabulary.TABLE_ICAO.format(colour="red"), "EHRD", ("red square", "upper left part", "EHRD")),
        (vocabulary.MAP_LABEL.format(colour="red", shape="square"), "Rotterdam", ("Right of it", "Rotterdam")),
        (
            vocabulary.CHART_DIFFERENCE.format(colour1="orange", colour2="purple"),
            "5.25",
            ("orange bar", "12.5", "purple bar", "7.25", "minus", "is 5.25"),
        ),
        (vocabulary.DOT_COUNT.format(colour="magenta"), "9", ("3 lower left", "3 lower right", "9")),
    ],
)
def test_in_plain_mode_every_step_to_the_answer_is_described(
    perceiver: Perceiver, view: View, question: str, answer: str, steps: tuple[str, ...]
) -> None:
    parsed = turns(perceiver, view, question)
    assert answers(parsed) == [answer] * 8
    assert all(step in turn.think for turn in parsed for step in steps)
    assert len({turn.think for turn in parsed}) > 1


def test_in_plain_mode_what_is_illegible_is_called_so(perceiver: Perceiver, view: View) -> None:
    for turn in turns(perceiver, view, vocabulary.TABLE_ICAO.format(colour="green")):
        assert turn.action == "answer"
        assert "clear enough" not in turn.think
        assert any(doubt in turn.think for doubt in ("cannot make out", "most likely", "nearest"))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (vocabulary.TABLE_ICAO.format(colour="red"), "EHRD"),
        (vocabulary.MAP_LABEL.format(colour="red", shape="square"), "Rotterdam"),
        (vocabulary.CHART_SUM.format(colour1="orange", colour2="purple"), "19.75"),
        (TABLE_CITY.format(colour="red") + OPTIONS, "C"),
    ],
)
def test_what_is_legible_as_shown_needs_no_call(perceiver: Perceiver, view: View, question: str, answer: str) -> None:
    said = answers(turns(perceiver, view, question, tools=True))
    assert len(said) > 4  # a sample that reads a character otherwise looks closer
    assert set(said) == {answer}


@pytest.mark.parametrize(
    "question",
    [
        vocabulary.TABLE_ICAO.format(colour="green"),
        vocabulary.MAP_LABEL.format(colour="green", shape="square"),
        vocabulary.DOT_COUNT.format(colour="magenta"),
        TABLE_CITY.format(colour="green") + OPTIONS,
    ],
)
def test_what_is_not_is_looked_at_with_a_call(perceiver: Perceiver, view: View, question: str) -> None:
    assert {turn.action for turn in turns(perceiver, view, question, tools=True)} == {"python"}


def test_a_value_that_one_bar_lacks_is_not_answered_at_once(perceiver: Perceiver, view: View) -> None:
    question = vocabulary.CHART_SUM.format(colour1="orange", colour2="blue")  # nothing is printed above the blue square
    assert {turn.action for turn in turns(perceiver, view, question, tools=True)} == {"python"}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_kept_choice_is_answered_with_the_letter_of_what_is_read(
    perceiver: Perceiver, view: View, policy: Policy
) -> None:
    for colour, least in (("red", 8), ("blue", 6)):  # a label at the edge may be misread and is still nearest
        said = answers(turns(perceiver, view, TABLE_CITY.format(colour=colour) + OPTIONS, policy=policy))
        assert said.count(LETTERS[colour]) >= least


@pytest.mark.parametrize("policy", POLICIES)
def test_a_kept_choice_that_cannot_be_read_is_a_letter_all_the_same(
    perceiver: Perceiver, view: View, policy: Policy
) -> None:
    for seen in (view, None):
        said = answers(turns(perceiver, seen, TABLE_CITY.format(colour="green") + OPTIONS, policy=policy))
        assert len(said) == 8
        assert set(said) <= set("ABCD")


def test_other_questions_are_answered_in_their_kind(perceiver: Perceiver, view: View) -> None:
    assert set(answers(turns(perceiver, view, "Is there a lake?", samples=20))) == {"yes", "no"}
    assert all(int(count) for count in answers(turns(perceiver, view, "How many lakes are there?")))
    named = "Which of these is printed?\n\nA. Lisbon\nB. Rotterdam\nC. Cairo"
    assert set(answers(turns(perceiver, view, named, policy="naive"))) == {"B"}
