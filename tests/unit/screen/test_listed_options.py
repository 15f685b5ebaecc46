"""Options that stand in a text become choices in every usual form of a list, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from filters.screen.listed_options import read_listing, with_choices
from filters.screen.open_ended import to_open_ended
from pipeline.records import AnswerType, Question
from tests.support.builders import question

STEM, OPTIONS = "Which city is this?", ("Paris", "New York", "Rome")
FORMS = {
    "letters on lines": "{0}\nA. {1}\nB. {2}\nC. {3}",
    "letters in one line": "{0} A. {1} B. {2} C. {3}",
    "brackets on lines": "{0}\n(A) {1}\n(B) {2}\n(C) {3}",
    "brackets in one line": "{0} (A) {1} (B) {2} (C) {3}",
    "half brackets": "{0} A) {1} B) {2} C) {3}",
    "square brackets": "{0}\n[A] {1}\n[B] {2}\n[C] {3}",
    "colons": "{0}\nA: {1}\nB: {2}\nC: {3}",
    "dashes": "{0}\nA - {1}\nB - {2}\nC - {3}",
    "spaces": "{0}\nA {1}\nB {2}\nC {3}",
    "two marks": "{0} A.) {1} B.) {2} C.) {3}",
    "tabs": "{0}\nA\t{1}\nB\t{2}\nC\t{3}",
    "commas and or": "{0} (A) {1}, (B) {2}, or (C) {3}",
    "small letters": "{0}\na) {1}\nb) {2}\nc) {3}",
    "numbers on lines": "{0}\n1. {1}\n2. {2}\n3. {3}",
    "numbers in one line": "{0} 1) {1} 2) {2} 3) {3}",
    "circled": "{0}\n① {1}\n② {2}\n③ {3}",
    "roman": "{0}\n(i) {1}\n(ii) {2}\n(iii) {3}",
    "two a line": "{0}\nA. {1}    B. {2}\nC. {3}",
    "label above": "{0}\nA.\n{1}\nB.\n{2}\nC.\n{3}",
    "bold": "{0}\n**A.** {1}\n**B.** {2}\n**C.** {3}",
    "bulleted letters": "{0}\n- A. {1}\n- B. {2}\n- C. {3}",
    "the word before": "{0}\nOption A: {1}\nOption B: {2}\nOption C: {3}",
    "full-width": "{0}\nＡ．{1}\nＢ．{2}\nＣ．{3}",
    "full-width brackets": "{0}（A）{1}（B）{2}（C）{3}",
    "Chinese commas": "{0}A、{1}；B、{2}；C、{3}",
    "corner brackets": "{0}\n【A】{1}\n【B】{2}\n【C】{3}",
    "kana": "{0}\nア．{1}\nイ．{2}\nウ．{3}",
    "Devanagari": "{0}\n(क) {1}\n(ख) {2}\n(ग) {3}",
    "Arabic": "{0}\nأ) {1}\nب) {2}\nج) {3}",
    "Cyrillic": "{0}\nа) {1}\nб) {2}\nв) {3}",
    "Hangul": "{0}\n가. {1}\n나. {2}\n다. {3}",
    "LaTeX": "{0} $\\textbf{{(A)}}\\ {1} \\qquad\\textbf{{(B)}}\\ {2} \\qquad\\textbf{{(C)}}\\ {3}$",
    "under a header": "{0}\nOptions:\nA. {1}\nB. {2}\nC. {3}",
    "under a bold header": "{0}\n**Choices:**\n(A) {1}\n(B) {2}\n(C) {3}",
    "header and commas": "{0} Options: {1}, {2}, {3}.",
    "header, commas and or": "{0} Choices: {1}, {2}, or {3}",
    "header and bars": "{0}\nOptions: {1} | {2} | {3}",
    "header and lines": "{0}\nAnswer choices:\n{1}\n{2}\n{3}",
    "header and bullets": "{0}\nOptions:\n- {1}\n- {2}\n- {3}",
    "header and a printed list": "{0}\nOptions: ['{1}', \"{2}\", '{3}']",
    "header and an object": "{0}\nOptions: {{'A': '{1}', 'B': '{2}', 'C': '{3}'}}",
    "header with a verb": "{0} Choose from the following options: {1}, {2}, {3}.",
    "header with an article": "{0} The options are:\n{1}\n{2}\n{3}",
    "Chinese header": "{0}选项：{1}、{2}、{3}。",
    "Japanese header": "{0}\n選択肢：{1}，{2}，{3}",
    "German header": "{0}\nAntwortmöglichkeiten: {1}; {2}; {3}",
    "French header": "{0}\nChoix : {1}, {2}, {3}",
    "Spanish header": "{0}\nOpciones: {1}, {2} , o {3}",
    "Portuguese header": "{0}\nOpções: {1}, {2}, {3}",
    "Hindi header": "{0}\nविकल्प: {1}, {2}, {3}",
    "Arabic header": "{0}\nالخيارات: {1}، {2}، {3}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_list_in_a_usual_form_is_read_and_taken_off(form: str) -> None:
    listing = read_listing(form.format(STEM, *OPTIONS))
    assert listing is not None
    assert (listing.stem, listing.options) == (STEM, OPTIONS)


def test_what_stands_behind_a_list_stays_and_its_empty_slot_goes() -> None:
    rest = "The picture was taken in May."
    assert read_listing(f"{STEM}\nA. x\nB. y\n{rest}") == (f"{STEM}\n{rest}", ("x", "y"), ("A", "B"))
    assert read_listing(f"{STEM}\nA. x\nB. y\nAnswer:") == (STEM, ("x", "y"), ("A", "B"))
    assert read_listing(f"{STEM}\nA. x\nB. y\nAnswer with the letter only.") == (STEM, ("x", "y"), ("A", "B"))
    assert read_listing(f"Choices:\nA. x\nB. y\nQuestion: {STEM}") == (f"Question: {STEM}", ("x", "y"), ("A", "B"))


def test_numbered_statements_are_what_lettered_options_speak_of() -> None:
    text = "下列正确的是（ ）\n①猫在睡 ②狗在跑 ③下雨\nA. ①② B. ①③\nC. ②③ D. ①②③"
    listing = read_listing(text)
    assert listing is not None
    assert listing.options == ("①②", "①③", "②③", "①②③")
    assert listing.stem == "下列正确的是（ ）\n①猫在睡 ②狗在跑 ③下雨"


def test_options_that_speak_of_others_and_of_several_lines_are_whole() -> None:
    listing = read_listing("Which is true?\n(A) x\n(B) y (or (C))\n(C) both (A) and (B)")
    assert listing is not None
    assert listing.options == ("x", "y (or (C))", "both (A) and (B)")
    listing = read_listing("Which is true?\nA. one\nline\nB. another\nline\n\nLook closely.")
    assert listing == ("Which is true?\nLook closely.", ("one\nline", "another\nline"), ("A", "B"))


@pytest.mark.parametrize(
    "text",
    [
        "How many dots are there?",
        "What is P(A) and P(B)?",
        "Is it (A) red or (B) blue?",
        "I. Newton and J. Doe are named. Who was first?",
        "Which is larger, A or B?",
        "What is 1.5 times 2.5?",
        "At 9 a.m. and 10 b.m.?",
        "A. B. C.",
        "A. x\nB. y",
        "Options: red",
        "Which?\nB. x\nC. y",
        "",
        "(A)",
        "A. " * 2000,
    ],
)
def test_what_is_no_list_of_options_is_none(text: str) -> None:
    assert read_listing(text) is None


def asked(text: str, *answers: str, **fields: Any) -> Question:
    return with_choices(question(text, answers=answers, **{"answer_type": "choice"} | fields))


LETTERS, NUMBERS = "Which?\nA. red\nB. dark blue\nC. 7", "Which?\n1. red\n2. dark blue\n3. 7"


@pytest.mark.parametrize(
    ("text", "answer", "answer_type", "letter"),
    [
        (LETTERS, "B", "choice", "B"),
        (LETTERS, "(b)", "choice", "B"),
        (LETTERS, "B. dark blue", "choice", "B"),
        (LETTERS, "（Ｂ）dark  blue", "choice", "B"),
        (LETTERS, "Dark blue.", "choice", "B"),
        (LETTERS, "Option B", "choice", "B"),
        (LETTERS, "B", "text", "B"),
        (LETTERS, "dark blue", "text", "B"),
        (LETTERS, "7", "number", "C"),
        (LETTERS, "C", "number", "C"),
        (NUMBERS, "2", "choice", "B"),
        (NUMBERS, "B", "choice", "B"),
        (NUMBERS, "2. dark blue", "text", "B"),
        (NUMBERS, "7", "number", "C"),
    ],
)
def test_an_answer_becomes_the_letter_of_what_it_names(text: str, answer: str, answer_type: str, letter: str) -> None:
    made = asked(text, answer, answer_type=answer_type)
    assert (made.text, made.choices) == ("Which?", ("red", "dark blue", "7"))
    assert (made.answers, made.answer_type) == ((letter,), "choice")


@pytest.mark.parametrize(
    ("text", "answer", "answer_type"),
    [
        (LETTERS, "green", "text"),
        (LETTERS, "D", "choice"),
        (LETTERS, "B. red", "choice"),
        (LETTERS, "B", "list"),
        (LETTERS, "b", "expression"),
        (NUMBERS, "2", "number"),
        (NUMBERS, "2", "text"),
        # 2 is the label of one option and the text of another.
        ("Which?\n1. 2\n2. 5", "2", "choice"),
    ],
)
def test_a_question_whose_answer_names_none_or_two_stays_as_it_is(text: str, answer: str, answer_type: str) -> None:
    before = question(text, answers=(answer,), answer_type=answer_type)
    assert with_choices(before) == before


def test_a_question_of_type_choice_without_a_list_is_rejected() -> None:
    form, decision = to_open_ended(asked("Is it (A) red or (B) blue?", "B"))
    assert (form, decision.reason) == (None, "needs_options")


def test_choices_that_are_mere_letters_are_those_of_the_list() -> None:
    for given in (("A", "B", "C"), ("(A)", "(B)", "(C)"), ("a", "b", "c")):
        assert asked(LETTERS, "B", choices=given).choices == ("red", "dark blue", "7")
    kept = question(LETTERS, answers=("B",), answer_type="choice", choices=("A", "B", "C", "D"))
    assert with_choices(kept) == kept


def test_a_text_does_not_list_again_what_is_given() -> None:
    given = {"choices": ("red", "dark blue", "7")}
    for text in (LETTERS, LETTERS.replace(". ", "．")):
        assert asked(text, "B", **given).text == "Which?"
    assert asked(LETTERS, "B", choices=("red", "green")).text == LETTERS


def test_what_became_choices_is_asked_as_if_they_had_been_given() -> None:
    opened, _ = to_open_ended(asked("Which city is this?\nA. Paris\nB. Rome\nC. Oslo", "B"))
    assert opened is not None
    assert (opened.text, opened.answers, opened.choices) == ("Which city is this?", ("Rome",), ())
    shuffled, _ = to_open_ended(asked("Which of these is shown? (A) Paris (B) Rome (C) Oslo", "B"))
    assert shuffled is not None
    assert (shuffled.text, {*shuffled.choices}) == ("Which of these is shown?", {"Paris", "Rome", "Oslo"})
    assert shuffled.choices["ABC".index(shuffled.answers[0])] == "Rome"
    assert with_choices(opened) == opened
    assert with_choices(shuffled) == shuffled


def test_a_question_that_brings_its_solution_keeps_the_options_that_it_speaks_of() -> None:
    before = question(LETTERS, answers=("B",), answer_type="choice", meta={"solution": "It is B."})
    assert with_choices(before) == before


@pytest.mark.parametrize("single", ["['red', 'blue']", "A. red\nB. blue", "red, blue", "(A) red (B) blue", "red\nblue"])
def test_a_single_choice_is_a_list_itself(single: str) -> None:
    made = asked("Which?", "B", choices=(single,))
    assert (made.text, made.choices, made.answers) == ("Which?", ("red", "blue"), ("B",))
    assert asked("Which?", "A", choices=("red",)).choices == ("red",)


@pytest.mark.parametrize(
    "text",
    [
        "Which?\nA. cat\nB. dog\nD. emu",
        "Which? (a) cat (b) dog (d) emu",
        "Which?\n1. cat\n2. dog\n4. emu\n5. ox",
        "Which? ① cat ② dog ④ emu",
    ],
)
def test_a_gap_in_the_labels_is_a_listing_that_is_not_understood(text: str) -> None:
    assert read_listing(text) is None


@pytest.mark.parametrize(
    ("answer", "kind", "named"), [("②", "choice", "B"), ("2", "choice", "B"), ("②", "text", "B"), ("2", "text", "")]
)
def test_a_circled_number_names_its_option(answer: str, kind: AnswerType, named: str) -> None:
    asked = with_choices(question("Which animal?\n① cat\n② dog\n③ emu", answers=(answer,), answer_type=kind))
    assert (asked.answers if asked.choices else ()) == ((named,) if named else ())
