"""A value is right in every notation of it, and another value in none; so are formulas and their variants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answers import grade
from filters.answers.closed_sets import CHANGING, SCALES
from filters.answers.mathematics.expressions import expression_pairs, settle
from pipeline.math_worker import MathWorker

WHOLE = st.integers(-99_999_999, 99_999_999)
DEVANAGARI = str.maketrans("0123456789", "".join(chr(0x966 + digit) for digit in range(10)))
FULL_WIDTH = str.maketrans("0123456789-", "".join(chr(0xFF10 + digit) for digit in range(10)) + "\uff0d")
NOTATIONS: tuple[Callable[[int], str], ...] = (
    str,
    "{:,}".format,
    lambda value: f"{value:,}".replace(",", " "),
    lambda value: f"{value:,}".replace(",", "{,}"),
    lambda value: f"{value:,}".replace(",", "\\,"),
    lambda value: str(value).replace("-", "\u2212"),
    lambda value: str(value).translate(FULL_WIDTH),
    lambda value: str(value).translate(DEVANAGARI),
    "{}.0".format,
    "${}$".format,
    "\\boxed{{{}}}".format,
    "\\text{{{}}}".format,
    "**{}**".format,
    "\\frac{{{}}}{{1}}".format,
)
SENTENCES: tuple[Callable[[int], str], ...] = (
    "The answer is {}.".format,
    "\u7b54\u6848\u662f{}\u3002".format,
    "{} apples".format,
)


@given(WHOLE, WHOLE, st.sampled_from(NOTATIONS + SENTENCES), st.sampled_from(NOTATIONS))
@settings(max_examples=600, deadline=None)
def test_a_whole_number_is_right_in_every_notation_and_another_in_none(
    value: int, other: int, said: Callable[[int], str], stored: Callable[[int], str]
) -> None:
    gold = stored(value)
    assert grade(said(value), [gold], "number").verdict == "right", (said(value), gold)
    if other != value:
        assert grade(said(other), [gold], "number").verdict != "right", (said(other), gold)


FRACTIONS: tuple[Callable[[Fraction], str], ...] = (
    lambda value: f"{value.numerator}/{value.denominator}",
    lambda value: f"\\frac{{{value.numerator}}}{{{value.denominator}}}",
    lambda value: f"\\dfrac{{{value.numerator}}}{{{value.denominator}}}",
    lambda value: f"${value.numerator}/{value.denominator}$",
    lambda value: _mixed(value, "{sign}{whole}\\frac{{{top}}}{{{bottom}}}"),
    lambda value: _mixed(value, "{sign}{whole} {top}/{bottom}"),
)


def _mixed(value: Fraction, form: str) -> str:
    whole, top = divmod(abs(value.numerator), value.denominator)
    if not whole or not top:
        return f"{value.numerator}/{value.denominator}"
    return form.format(sign="-" if value < 0 else "", whole=whole, top=top, bottom=value.denominator)


@given(
    st.fractions(-50, 50, max_denominator=40),
    st.fractions(-50, 50, max_denominator=40),
    st.sampled_from(FRACTIONS),
    st.sampled_from(FRACTIONS),
    st.sampled_from(("number", "expression")),
)
@settings(max_examples=600, deadline=None)
def test_a_fraction_is_right_in_every_notation_and_another_in_none(
    value: Fraction, other: Fraction, said: Callable[[Fraction], str], stored: Callable[[Fraction], str], kind: str
) -> None:
    gold = stored(value)
    assert grade(said(value), [gold], kind).verdict == "right", (said(value), gold)  # type: ignore[arg-type]  # sampled
    if other != value:
        assert grade(said(other), [gold], kind).verdict == "wrong", (said(other), gold)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("word", sorted(SCALES | dict.fromkeys(CHANGING, 0)))
def test_no_scale_word_is_taken_for_a_noun(word: str) -> None:
    for said in (f"5 {word}", f"5{word}", f"about 5 {word}", f"5 {word.title()}", f"5.0 {word}"):
        assert grade(said, ["5"], "number").verdict != "right", said
    if SCALES.get(word) and word != "k":
        assert grade(f"5 {word}", [str(5 * SCALES[word])], "number").verdict == "right"


TERMS = st.recursive(
    st.sampled_from(("x", "y", "2", "3", "5", "\\pi", "\\sqrt{2}", "x^2", "\\frac{1}{3}", "ab")),
    lambda parts: st.builds(
        lambda form, a, b: form.format(a=a, b=b),
        st.sampled_from(
            ("({a})+({b})", "({a})-({b})", "({a})({b})", "\\frac{{{a}}}{{{b}}}", "({a})^2", "\\left({a}\\right)")
        ),
        parts,
        parts,
    ),
    max_leaves=4,
)
CHANGED: tuple[Callable[[str], str], ...] = (
    lambda term: f"({term})+1",
    lambda term: f"({term})+10^{{-12}}",
    lambda term: f"\\frac{{{term}}}{{2}}+7",
    lambda term: f"({term})^2+100",
    lambda term: f"({term})+z",
)
SAME: tuple[Callable[[str], str], ...] = (
    lambda term: f"${term}$",
    lambda term: f"\\boxed{{{term}}}",
    lambda term: f"({term})+0",
    lambda term: f"1\\cdot({term})",
    lambda term: term.replace("\\frac", "\\dfrac").replace("(", "\\left(").replace(")", "\\right)"),
    lambda term: f"w = {term}",
)


@pytest.fixture(scope="module")
def worker() -> Iterator[MathWorker]:
    with MathWorker() as worker:
        yield worker


@given(TERMS, st.sampled_from(SAME), st.sampled_from(CHANGED))
@settings(max_examples=60, deadline=None)
def test_a_formula_is_never_wrong_in_its_own_notations_and_never_right_when_changed(
    worker: MathWorker, term: str, same: Callable[[str], str], changed: Callable[[str], str]
) -> None:
    def verdict(said: str) -> str:
        result = grade(said, [term], "expression")
        return settle(result, worker.equal(expression_pairs(said, [term], result))).verdict

    assert verdict(same(term)) != "wrong"
    assert verdict(changed(term)) != "right"


def _in_chinese(value: int) -> str:
    """Write a whole number below 10^12 as Chinese does: places with their names, one zero for those passed over."""
    digits = f"{value:012d}"
    sections = [
        "".join(
            "零一二三四五六七八九"[int(digit)] + (place if digit != "0" else "")
            for digit, place in zip(digits[at : at + 4], ("千", "百", "十", ""), strict=True)
        ).rstrip("零")
        for at in (0, 4, 8)
    ]
    named = (text + myriad if text else "零" for text, myriad in zip(sections, ("亿", "万", ""), strict=True))
    return re.sub("零+", "零", "".join(named)).strip("零") or "零"


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
@settings(max_examples=400, deadline=None)
def test_a_whole_number_is_right_in_chinese_numerals_and_another_in_none(value: int, other: int) -> None:
    assert grade(_in_chinese(value), [str(value)], "number").verdict == "right", _in_chinese(value)
    if other != value:
        assert grade(_in_chinese(other), [str(value)], "number").verdict == "wrong"
