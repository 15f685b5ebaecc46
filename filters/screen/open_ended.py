"""Multiple choice: asked without its options where it can stand without them, else with them in an order of our own.

An open question cannot be guessed. But a stem such as "Which of these is correct?" is none without its options,
and an answer that only the options narrow down ("dog", where a spaniel is seen) is not the only right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal

from filters.answers import grade
from filters.answers.choices import gold_option, option_texts
from filters.answers.grade_texts import OTHER_WORDS
from filters.answers.numbers.quantities import read_number
from filters.answers.text import clean, equal, tokens
from filters.instructions import split_instructions
from filters.rule import Rule
from filters.screen.option_order import about_options, option_order, stem_of
from filters.screen.option_stems import stands_alone
from filters.screen.questions import VERSION, QuestionSettings, verifiable
from pipeline.identity import Json, parse_json
from pipeline.records import AnswerType, Decision, Question

OpenReason = Literal["needs_options", "unverifiable_answer"]

_OPEN: Rule[OpenReason] = Rule("open_ended", VERSION)

SHUFFLED = "shuffled_from"
"""Key in `meta` of a question whose options stand in an order that was drawn."""
KEPT = "kept_from"
"""Key in `meta` of a question whose options had to stay in its source's order."""
SHORTENED = "shortened_from"
"""Key in `meta` of a question that is asked without the instructions of its source."""
CONVERTED = "converted_from"
"""Key in `meta` of a question that is asked without the options of its source."""

_DEFAULTS = QuestionSettings()


def to_open_ended(question: Question, settings: QuestionSettings = _DEFAULTS) -> tuple[Question | None, Decision]:
    """Return the question in the form in which it is asked, and the decision on the row; None where it cannot be.

    One that has no options is returned as it is (under `instructions: remove` without them), and so is one that was
    returned by this function. Another is
    asked without its options where its stem does not refer to them, no other option would be right as well, and
    its answer can be checked without them. Else they are kept, in an order drawn by the id (see `option_order`),
    and the answers are letters; a benchmark's metric that the source names goes, since it does not read letters.
    Both have an id of their own and say in `meta` what they were made from.

    Rejected as `needs_options`: options are asked for and there are none, or more than letters. Rejected as
    `unverifiable_answer`: a stored answer names no option, or two options say the same and only one of them is
    stored as right, so that one who sees the answer cannot know which of them to name.
    """
    if not question.choices:
        if question.answer_type == "choice":
            return None, _OPEN.reject(question.id, "needs_options")
        return _without_instructions(question, settings), _OPEN.keep(question.id)
    if not {SHUFFLED, KEPT}.isdisjoint(_meta(question)):
        return question, _OPEN.keep(question.id)
    if len(question.choices) > len(ascii_uppercase):
        return None, _OPEN.reject(question.id, "needs_options")
    options = option_texts(question.choices)
    right = _right_options(question, options)
    if not right:
        return None, _OPEN.reject(question.id, "unverifiable_answer")
    stem = stem_of(question.text, options)
    if settings.instructions == "remove":
        stem = split_instructions(stem).question
    opened = _opened(question, stem, options, min(right)) if len(right) == 1 else None
    if opened is not None and verifiable(opened, settings).outcome == "keep":
        return opened, _OPEN.keep(question.id)
    return _with_options(question, stem, options, right), _OPEN.keep(question.id)


def _without_instructions(question: Question, settings: QuestionSettings) -> Question:
    """Return a question without options as it is asked: told of the form of its answer, or not."""
    asked = split_instructions(question.text).question
    if settings.instructions == "keep" or asked == question.text.strip():
        return question
    before: Json = {"id": question.id, "text": question.text}
    return _rebuilt(
        question, {SHORTENED: before}, text=asked, answers=question.answers, answer_type=question.answer_type
    )


def _right_options(question: Question, options: Sequence[str]) -> frozenset[int]:
    """Return the places of the options that the answers name; none if one of them is not named beyond doubt."""
    named = {gold_option(answer, question.choices) for answer in question.answers}
    places = frozenset(place for place in named if place is not None)
    words = [tokens(clean(option)) for option in options]
    others = [word for place, word in enumerate(words) if place not in places]
    clear = all(words[place] and not any(equal(other, words[place]) for other in others) for place in places)
    return places if clear and None not in named else frozenset()


def _opened(question: Question, stem: str, options: Sequence[str], place: int) -> Question | None:
    """Return the question without its options, None if it makes no sense or has several answers without them."""
    answer, answer_type = options[place], _answer_type(options)
    if about_options(answer) or not stands_alone(stem, options, answer):
        return None
    others = (option for other, option in enumerate(options) if other != place)
    # What the grader would not call wrong may be right: "dog" for "a brown dog", 102 for 100 within 5 %. Options are
    # offered as different things, so other words are none for the same.
    grades = [grade(other, (answer,), answer_type, tolerance=question.tolerance) for other in others]
    if any(result.verdict != "wrong" and result.rule != OTHER_WORDS for result in grades):
        return None
    before: Json = {"id": question.id, "choices": list(question.choices)}
    return _rebuilt(question, {CONVERTED: before}, text=stem, answers=(answer,), answer_type=answer_type)


def _with_options(question: Question, stem: str, options: Sequence[str], right: frozenset[int]) -> Question:
    """Return the question with its options in the order in which they are asked."""
    drawn = option_order(question.id, stem, options)
    order = range(len(options)) if drawn is None else drawn
    answers = tuple(letter for letter, place in zip(ascii_uppercase, order, strict=False) if place in right)
    before: Json = {"id": question.id, "choices": list(question.choices), "answers": list(question.answers)}
    mark = KEPT if drawn is None else SHUFFLED
    choices = tuple(options[place] for place in order)
    return _rebuilt(question, {mark: before}, text=stem, choices=choices, answers=answers, answer_type="choice")


def offered_choices(meta: str) -> tuple[str, ...]:
    """Return the options that a question had before it was asked without them, from its `meta`; none if it had none."""
    told = parse_json(meta) if CONVERTED in meta else None
    before = told.get(CONVERTED) if isinstance(told, dict) else None
    return tuple(before["choices"]) if isinstance(before, dict) else ()


def _meta(question: Question) -> dict[str, Json]:
    meta = parse_json(question.meta)
    return meta if isinstance(meta, dict) else {"source_meta": meta}


def _rebuilt(
    question: Question,
    mark: dict[str, Json],
    *,
    text: str,
    choices: tuple[str, ...] = (),
    answers: tuple[str, ...],
    answer_type: AnswerType,
) -> Question:
    """Return a question made from another; its id is its own. Letters are graded by no benchmark's metric."""
    meta = _meta(question) | mark
    if choices:
        meta.pop("metric", None)
    return Question.build(
        source=question.source,
        source_revision=question.source_revision,
        source_row=question.source_row,
        category=question.category,
        text=text,
        images=question.images,
        choices=choices,
        answers=answers,
        answer_type=answer_type,
        tolerance=question.tolerance,
        licence=question.licence,
        meta=meta,
    )


def _answer_type(options: Sequence[str]) -> AnswerType:
    """Return the type of a converted answer, from all options: one number among names is a name."""
    numbers = [read_number(clean(option)) for option in options]
    if all(number is not None and number.other is None and not number.about for number in numbers):
        return "number"
    if {tokens(clean(option)) for option in options} in ({("yes",), ("no",)}, {("true",), ("false",)}):
        return "boolean"
    return "text"
