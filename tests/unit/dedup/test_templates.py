"""Questions of one wording are counted together, and what they are answered most often is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.answers.choices import answer_texts
from filters.dedup.clusters import DedupSettings
from filters.dedup.templates import TemplateRow, template_facts, template_of
from flows.stages.dedup import DedupStageSettings, run
from pipeline.demo import vocabulary
from pipeline.demo.vocabulary import COLOURS
from pipeline.engine.units import UnitInput
from pipeline.records import AnswerType, Cluster, QuestionKey, TemplateFacts
from pipeline.store import Store


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("How many red dots are drawn?", "how many <colour> dots are drawn"),
        ("Is Dark Olive the minimum?", "is <name> the minimum"),
        ("What is the light blue line's value in Jan?", "what is the <colour> line's value in <name>"),
        ("In which year did the value exceed $5,000?", "in which year did the value exceed <number>"),
        ("How many said “very good” in Q3 2019?", "how many said <text> in <name> <number>"),
        ("Is the 3rd bar higher than 50%?", "is the <number> bar higher than <number>"),
        ("Are there two or 3 cars?", "are there <number> or <number> cars"),
        ("What was the GDP of Rio de Janeiro?", "what was the <name> of <name>"),
        ("Look at the map. Which city is it?", "look at the map which city is it"),
        ("Look at the map\nWhich city is it?", "look at the map which city is it"),
        ("WHICH CITY IS THIS?", "which city is this"),
        ("What's the cat's name?", "what's the cat's name"),
        ("这是什么城市\uff1f", "这是什么城市"),
        ("", ""),
    ],
)
def test_what_varies_between_questions_of_one_wording_is_taken_out(text: str, template: str) -> None:
    assert template_of(text) == template


@pytest.mark.parametrize(
    "wording",
    [
        vocabulary.TABLE_ICAO,
        vocabulary.DOT_COUNT,
        vocabulary.ELEMENT_FACT,
        vocabulary.CHART_SUM,
        vocabulary.REGION_RATIO,
    ],
)
def test_a_wording_of_the_demo_is_one_template_whatever_the_colours(wording: str) -> None:
    colours = list(COLOURS)
    filled = {
        template_of(wording.format(colour=one, colour1=one, colour2=two))
        for one, two in zip(colours, colours[1:] + colours[:1], strict=True)
    }
    assert len(filled) == 1


def test_different_wordings_are_different_templates() -> None:
    wordings = (
        vocabulary.MAP_LABEL,
        vocabulary.TABLE_ICAO,
        vocabulary.TABLE_ELEVATION,
        vocabulary.DOT_COUNT,
        vocabulary.CHART_SUM,
    )
    assert len(set(map(template_of, wordings))) == len(wordings)


@given(st.text(max_size=60))
def test_every_text_has_a_template_that_is_its_own(text: str) -> None:
    template = template_of(text)
    assert template == " ".join(template.split())
    assert template_of(text.replace("\n", " \n ")) == template


def row(number: int, text: str, *answers: str, answer_type: AnswerType = "text") -> TemplateRow:
    return TemplateRow(f"q{number}", text, answers, answer_type)


def test_the_most_frequent_answer_of_a_wording_is_found_as_the_grader_reads_it() -> None:
    rows = [
        row(1, "What colour is the bus in Rome?", "Grey"),
        row(2, "What colour is the bus in Oslo?", "the gray.", "silver"),
        row(3, "What colour is the bus in Bern?", "red"),
        row(4, "How many are there?", "1,000", answer_type="number"),
        row(5, "How many are there?", "1000.0", answer_type="number"),
        row(6, "Why?", "since"),
    ]
    facts = {fact.question_id: fact for fact in template_facts(rows)}
    assert [(facts[f"q{n}"].majority, facts[f"q{n}"].is_majority) for n in (1, 2, 3)] == [
        ("gray", True),
        ("gray", True),
        ("gray", False),
    ]
    assert (facts["q1"].questions, facts["q1"].share) == (3, 2 / 3)
    assert (facts["q4"].questions, facts["q4"].majority, facts["q4"].share) == (2, "1000", 1)
    assert (facts["q6"].questions, facts["q6"].share, facts["q6"].is_majority) == (1, 1, True)


ANSWERS = st.sampled_from(("red", "Red", "blue", "5", "five", "-", "no"))
ROWS = st.lists(
    st.tuples(st.sampled_from(("Is it Rome?", "Is it Oslo?", "Why?")), st.lists(ANSWERS, max_size=3)), max_size=12
)


@given(ROWS, st.randoms(use_true_random=False))
def test_every_question_has_its_facts_whatever_the_order(
    drawn: list[tuple[str, list[str]]], shuffler: st.DataObject
) -> None:
    rows = [row(number, text, *answers) for number, (text, answers) in enumerate(drawn)]
    facts = template_facts(rows)
    mixed = list(rows)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined] # a random.Random that hypothesis controls
    assert template_facts(mixed) == facts
    assert {fact.question_id for fact in facts} == {made.question_id for made in rows}
    for fact in facts:
        having = [other for other in facts if other.template == fact.template]
        assert fact.questions == len(having)
        assert fact.share == sum(other.is_majority for other in having) / len(having) or not fact.majority


def key(
    number: int, text: str, *answers: str, answer_type: AnswerType = "text", choices: tuple[str, ...] = ()
) -> QuestionKey:
    return QuestionKey(
        id=f"q{number}",
        source="s",
        category="perception",
        text=text,
        images=(),
        answers=answers,
        answer_type=answer_type,
        choices=choices,
    )


def test_dedup_tells_the_templates_and_one_stem_over_other_options_is_another_question(tmp_path: Path) -> None:
    stem = "Which of these is shown?"
    keys = (
        key(1, stem, "Paris", answer_type="choice", choices=("Paris", "Rome")),
        key(2, stem, "London", answer_type="choice", choices=("London", "Oslo")),
        key(3, stem.upper(), "paris", answer_type="choice", choices=("Bern", "paris")),
        key(4, "Which city?", "Paris"),
        key(5, "which city", "Lutetia", "paris"),
    )
    output = run(UnitInput(keys), DedupStageSettings(dedup=DedupSettings()), Store(tmp_path))
    clusters = [record for record in output.tables["clusters"] if isinstance(record, Cluster)]
    assert {c.question_id: c.representative for c in clusters} == {
        "q1": "q1",
        "q2": "q2",
        "q3": "q1",
        "q4": "q4",
        "q5": "q4",
    }
    templates = [record for record in output.tables["templates"] if isinstance(record, TemplateFacts)]
    assert [(fact.question_id, fact.questions, fact.majority) for fact in templates] == [
        ("q1", 3, "paris"),
        ("q2", 3, "paris"),
        ("q3", 3, "paris"),
        ("q4", 2, "paris"),
        ("q5", 2, "paris"),
    ]


def test_no_letter_is_a_majority_answer() -> None:
    assert answer_texts(("B", "Rome"), ("Paris", "London", "Rome")) == ("London", "Rome")
    assert answer_texts(("B",), ()) == ("B",)
    assert answer_texts(("D",), ("Paris",)) == ("D",)
