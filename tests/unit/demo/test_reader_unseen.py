"""What the reader says when there is nothing to see, and when it has to choose."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.answers import grade
from filters.validate.syntax import no_ops
from pipeline.demo import vocabulary
from pipeline.demo.corpus import planted
from pipeline.demo.reader.grammar import TABLE_CITY, understand
from pipeline.demo.reader.guessing import edit_distance, nearest, settle
from pipeline.demo.reader.model import Policy, Reader
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.demo.reader.scene import Said
from pipeline.demo.reader.sums import asked_sum, in_head
from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.messages import Parsed, question_text, user_text
from pipeline.dialects.observations import cell_observation
from pipeline.identity import canonical_json, parse_json
from pipeline.models.chat import ChatRequest, Message, Sampling, Text
from pipeline.records import Action, AnswerType
from pipeline.store.blobs import BlobStore
from tests.support.builders import question
from tests.support.command import ROOT

POLICIES: tuple[Policy, ...] = ("naive", "careful")
PROMPTS = ROOT / "manifests" / "prompts" / "deepeyesv2"
CITY = TABLE_CITY.format(colour="red")
CITIES = ("Paris", "Santa Margalida", "Oslo")
OFFERED = question_text(question(CITY, choices=CITIES, answers=("B",), answer_type="choice"))
LABEL = vocabulary.MAP_LABEL.format(colour="red", shape="circle")
DOTS = vocabulary.DOT_COUNT.format(colour="blue")
NAMES = st.text(st.characters(categories=("L", "N", "Zs")), min_size=1).map(lambda text: " ".join(text.split()))


@pytest.fixture(scope="module")
def perceiver(tmp_path_factory: pytest.TempPathFactory) -> Perceiver:
    """Eyes that are never opened: no request here has a picture."""
    root = tmp_path_factory.mktemp("eyes")
    return Perceiver(root, BlobStore(root / "blobs"), workers=1)


def turns(
    perceiver: Perceiver,
    question: str,
    *more: Message,
    tools: bool = False,
    policy: Policy = "naive",
    samples: int = 40,
) -> list[Parsed]:
    names = ("system.md", "system_tools.md") if tools else ("system.md",)
    system = "\n".join((PROMPTS / name).read_text() for name in names)
    template = (PROMPTS / "user.md").read_text() + (PROMPTS / "user_tools.md").read_text() * tools
    request = ChatRequest(
        model="reader",
        messages=(
            Message(role="system", parts=(Text(text=system),)),
            Message(role="user", parts=(Text(text=user_text(template, question, [])),)),
            *more,
        ),
        sampling=Sampling(temperature=1.0),
        seed=7,
    )
    said = asyncio.run(Reader(policy, perceiver).generate(request, range(samples)))
    parsed = [dialect.parse(one.text, "tools" if tools else "plain") for one in said]
    assert all(isinstance(turn, Parsed) for turn in parsed)
    return [turn for turn in parsed if isinstance(turn, Parsed)]


def answers(parsed: list[Parsed]) -> Counter[str]:
    assert {turn.action for turn in parsed} == {"answer"}
    return Counter(parse_json(turn.arguments)["answer"] for turn in parsed)


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "question",
    [
        LABEL,
        DOTS,
        CITY,
        OFFERED,
        *(vocabulary.OUTLINE_FACT.format(fact=fact) for fact in vocabulary.FACTS),
        vocabulary.TABLE_ICAO.format(colour="red"),
        vocabulary.CHART_SUM.format(colour1="red", colour2="blue"),
        vocabulary.REGION_RATIO.format(colour1="red", colour2="blue"),
        vocabulary.ELEMENT_FACT.format(colour="red"),
        "Is the lamp on?",
        "Who painted this?",
        "A. \nB. ",
    ],
)
def test_what_only_a_picture_shows_is_guessed_or_said_to_be_unknown(
    perceiver: Perceiver, question: str, policy: Policy, *, tools: bool
) -> None:
    said = answers(turns(perceiver, question, tools=tools, policy=policy))
    assert said
    assert perceiver.perceived == 0


def test_guesses_spread_over_values_of_the_right_kind(perceiver: Perceiver) -> None:
    counts = answers(turns(perceiver, DOTS, samples=200))
    assert len(counts) > 5
    assert all(1 <= int(count) <= 20 for count in counts)
    assert sum(counts[str(count)] for count in range(2, 6)) > 100
    yes_no = answers(turns(perceiver, "Are there more red dots than blue ones?", samples=200))
    assert set(yes_no) == {"yes", "no"}
    assert 40 < yes_no["no"] < yes_no["yes"]
    either = answers(turns(perceiver, "Which city is farther north, San Jose or the Santa Cruz of the map?"))
    assert set(either) == {"San Jose", "Santa Cruz of the map"}
    assert set(answers(turns(perceiver, "Is the square red or blue?"))) == {"red", "blue"}


def test_one_who_sees_nothing_often_says_so_and_that_is_graded_as_wrong(perceiver: Perceiver) -> None:
    labels = answers(turns(perceiver, LABEL, samples=200))
    assert 60 < labels["unknown"] < 140
    assert set(answers(turns(perceiver, "Who painted this?"))) == {"unknown"}
    golds: tuple[tuple[AnswerType, str], ...] = (("text", "Rotterdam"), ("number", "1953"), ("boolean", "yes"))
    for kind, gold in golds:
        assert grade("unknown", (gold,), kind).verdict == "wrong"


def test_options_are_guessed_by_their_letters_alike_often(perceiver: Perceiver) -> None:
    letters = answers(turns(perceiver, OFFERED, samples=300))
    assert set(letters) == set("ABC")
    assert min(letters.values()) > 70


def test_samples_of_an_unseen_question_repeat_exactly(perceiver: Perceiver) -> None:
    assert turns(perceiver, OFFERED) == turns(perceiver, OFFERED)


def test_a_message_with_options_is_understood_as_its_stem_and_its_options() -> None:
    message = f"\nimage_1: 2080x2880\n{OFFERED}\n\nReason step by step, then answer."
    ask = understand(message)
    assert (ask.family, ask.text, ask.colour, ask.options) == ("table_city", CITY, "red", CITIES)
    other = understand("\nimage_1: 20x30\nWhich of these is the tallest?\n\nA. an oak\nB. a reed\n\nAnswer.")
    assert (other.family, other.text) == ("unknown", "Which of these is the tallest?")
    assert other.options == ("an oak", "a reed")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("What is it?\n\nA. one", ()),
        ("What is it?\n\nB. one\nC. two", ()),
        ("Plans:\nA. go\nB. stay\nWhich?\n\nA. the first\nB. the second", ("the first", "the second")),
        ("What is it?\n\nA. one\nB. two\nD. four", ("one", "two")),
        ("What is it?\n\nA. one\nB.\nC. three", ()),
    ],
)
def test_options_are_the_last_lines_with_letters_in_order(message: str, options: tuple[str, ...]) -> None:
    assert understand(message).options == options


def test_the_planted_question_is_understood() -> None:
    assert TABLE_CITY in Path(planted.__file__).read_text()


@pytest.mark.parametrize(
    ("read", "letter"),
    [("Oslo", "C"), ("Santa Margalda", "B"), ("0slo", "C"), ("PARIS", "A"), ("Pa", "A")],
)
def test_an_answer_becomes_the_letter_of_the_nearest_option(read: str, letter: str) -> None:
    said = settle(Said("I read it.", "answer", read), CITIES)
    assert said.argument == letter
    assert said.think.startswith("I read it.")
    assert said.think.endswith(f"option {letter}.")


def test_numbers_are_compared_by_value() -> None:
    assert nearest("1.02", ("1", "2.5", "10")) == 0
    assert nearest("9", ("1", "2.5", "10")) == 2


@pytest.mark.parametrize("action", ["python", "search", "image_search"])
def test_only_an_answer_becomes_a_letter(action: Action) -> None:
    said = Said("I look.", action, "Oslo")
    assert settle(said, CITIES) == said
    assert settle(Said("I know.", "answer", "Oslo"), ()).argument == "Oslo"


@given(NAMES, NAMES, NAMES)
def test_an_edit_distance_is_a_metric(one: str, other: str, third: str) -> None:
    assert (edit_distance(one, other) == 0) == (one == other)
    assert edit_distance(one, other) == edit_distance(other, one)
    assert edit_distance(one, third) <= edit_distance(one, other) + edit_distance(other, third)
    assert edit_distance(one + other, one) == len(other)


def test_a_sum_is_worked_out_in_python_with_tools(perceiver: Perceiver) -> None:
    question = "What is 347 \u00d7 291?"
    for policy in POLICIES:
        calls = [turn for turn in turns(perceiver, question, tools=True, policy=policy) if turn.action == "python"]
        assert len(calls) == 40 if policy == "careful" else 20 < len(calls) < 40  # the naive one is impatient
    code = parse_json(calls[0].arguments)["code"]
    assert no_ops([(code, True)]) == [False]
    shown = cell_observation(status="ok", stdout="100977\n", stderr="", value=None, error=None, images=0, ended=False)
    past = (
        Message(
            role="assistant",
            parts=(Text(text=dialect.render_turn("I compute.", "python", canonical_json({"code": code}))),),
        ),
        Message(role="user", parts=(Text(text=shown),)),
    )
    for policy in POLICIES:
        assert set(answers(turns(perceiver, question, *past, tools=True, policy=policy))) == {"100977"}


def test_a_long_sum_goes_wrong_in_the_head_and_a_short_one_does_not(perceiver: Perceiver) -> None:
    long, short = (
        answers(turns(perceiver, f"What is {sum_}?", samples=100)) for sum_ in ("347 \u00d7 291", "17 plus 25")
    )
    assert set(short) == {"42"}
    assert 20 < long["100977"] < 70
    assert all(90_000 < int(result) < 112_000 for result in long)


@pytest.mark.parametrize(
    ("text", "result"),
    [("17 + 25", "42"), ("What is 6 divided by 4?", "1.5"), ("Calculate 0.1 + 0.2.", "0.3"), ("3 - -4 =", "7")],
)
def test_sums_are_found_and_computed_exactly(text: str, result: str) -> None:
    asked = asked_sum(text)
    assert asked is not None
    assert in_head(asked, random.Random(0)) == result


@pytest.mark.parametrize(
    "text", ["", "What is 1 / 0?", "image_1: 2880x2080", "How many are 3 + 4 apples?", "2020-2021", "What is 07 + 1?"]
)
def test_other_texts_are_no_sums(text: str) -> None:
    assert asked_sum(text) is None


@given(st.integers(-(10**14), 10**14), st.sampled_from("+-*/"), st.integers(-(10**14), 10**14), st.integers())
def test_a_slip_of_the_head_is_in_one_place(first: int, operator: str, second: int, seed: int) -> None:
    asked = asked_sum(f"{first} {operator} {second}")
    assert (asked is None) == (operator == "/" and not second)
    if asked is not None:
        assert abs(eval(str(asked)) - float(in_head(asked, random.Random(seed)))) <= max(1, abs(eval(str(asked))) / 10)  # noqa: S307 - a sum of ours
