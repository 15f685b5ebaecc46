"""Grading a text: by its words, and by the closed sets in which two different words are two different things.

Two texts that differ are wrong where a rule can know it: they hold other numbers or another code, they are two colours,
two directions, two weekdays, two times of day, they are a mere piece of the stored one. Otherwise another text may be
another word for the same thing (couch for sofa, USA for United States), which no spelling tells: that is undecided.
"""

from __future__ import annotations

import re
import unicodedata

from filters.answers.closed_sets import NUMBER_WORDS, contradict, without_lead
from filters.answers.evasion import evasion
from filters.answers.numbers.grade_numbers import grade_number
from filters.answers.numbers.quantities import NUMBER_WORDS as ENGLISH_NUMBERS
from filters.answers.numbers.quantities import read_number
from filters.answers.text import Grade, contains, equal, folded, tokens
from filters.answers.times import read_time, same_time, time_or_decimal

OTHER_WORDS = "other_words"
"""Rule of a grade that takes knowledge of the world."""

_PHRASES = frozenset(
    {"is", "are", "was", "were", "has", "have", "because", "that", "which", "who", "wearing", "with", "to", "from"}
)


def grade_text(said: str, gold: str) -> Grade:
    """Grade cleaned text against one stored text."""
    if said == gold:
        return Grade("right", "text_equal")
    if len(said) == len(gold) == 1 and folded((said.casefold(),)) != folded((gold.casefold(),)) and not gold.isdigit():
        return Grade("wrong", "label_differs")
    wanted, whole = tokens(gold), tokens(said)
    if equal(whole, wanted):
        return Grade("right", "text_equal")
    bare = without_lead(said)
    words = whole if bare == said else tokens(bare)
    if bare != said and equal(words, wanted):
        return Grade("right", "text_equal_after_lead")
    if not words or not wanted:
        return Grade("undecided", "no_words") if not wanted else Grade("wrong", "empty")
    evades = evasion(said, gold)
    if evades:
        return Grade("wrong", evades)
    return _closed(bare, gold, words, wanted) or _partly(folded(words), folded(wanted)) or _differing(words, wanted)


def _closed(said: str, gold: str, words: tuple[str, ...], wanted: tuple[str, ...]) -> Grade | None:
    """Decide two texts of one closed set: times, numbers, colours, directions, weekdays; None if they are of none."""
    if _HAS_DIGIT.search(said) or _HAS_DIGIT.search(gold) or "o" in gold:
        times = read_time(said), read_time(gold)
        if times[0] is not None and times[1] is not None:
            same = same_time(times[0], times[1])
            return (
                Grade("undecided", "half_of_the_day") if same is None else Grade("right" if same else "wrong", "time")
            )
        if time_or_decimal(said, gold):
            return Grade("undecided", "time_or_decimal")
    differ = contradict(words, wanted)
    if differ is not None:
        # "rouge" is red, but which words are those of a question's language is a judge's to say.
        return Grade("wrong", "another_of_its_kind") if differ else Grade("undecided", "one_of_its_kind")
    if _labels(said, gold):
        return Grade("wrong", "label_differs")
    if _capitals(said, gold):
        return Grade("wrong", "code_differs")
    both = (*words, *wanted)
    if _SPELT.isdisjoint(both) and not any(map(_HAS_DIGIT.search, both)):
        return None
    return _codes(said, gold) or _numbers(said, gold, words, wanted)


def _codes(said: str, gold: str) -> Grade | None:
    """Decide two codes by all their signs: labels with digits in capital letters (EXIT 12B), and runs of both (b7).

    A code that is spaced in another way may be the same.
    """
    mine, theirs = (" ".join(_RUN.findall(text)) for text in (said, gold))
    if not (_HAS_DIGIT.search(mine) and _HAS_DIGIT.search(theirs)):
        return None
    if "".join(said.split()).casefold() == "".join(gold.split()).casefold():
        return Grade("undecided", "spaced_otherwise")
    whole = mine == mine.upper() and theirs == theirs.upper() and mine != mine.lower() and theirs != theirs.lower()
    parts = [sorted(run.casefold() for run in text.split(" ") if _CODE.fullmatch(run)) for text in (mine, theirs)]
    return Grade("wrong", "code_differs") if whole or (all(parts) and parts[0] != parts[1]) else None


_LABEL = re.compile(r"[^\W\d_]{1,2}[+*#-]{0,2}")


def _labels(said: str, gold: str) -> bool:
    """Return whether two texts are two letters, or letters with other signs: A and A+, C and C#."""
    if _LABEL.fullmatch(said) is None or _LABEL.fullmatch(gold) is None or said.casefold() == gold.casefold():
        return False
    return len(said) == len(gold) == 1 or said.rstrip("+*#-").casefold() == gold.rstrip("+*#-").casefold()


_CAPITALS = re.compile(r"[A-Z]{3,8}")


def _capitals(said: str, gold: str) -> bool:
    """Return whether two texts are two codes of capital letters: KJFK and KLGA, USD and EUR, of one length.

    The same letters in another order may be one thing in another language (NATO, OTAN).
    """
    both = _CAPITALS.fullmatch(said) is not None and _CAPITALS.fullmatch(gold) is not None
    return both and len(said) == len(gold) and sorted(said) != sorted(gold)


_SPELT = ENGLISH_NUMBERS | NUMBER_WORDS.keys()
_RUN = re.compile(r"[^\W_]+")
_CODE = re.compile(r"(?=.*[0-9])(?=.*[^\W\d_])(?![0-9]+(?:st|nd|rd|th)$)[^\W_]+", re.IGNORECASE)
_HAS_DIGIT = re.compile("[0-9]")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")


def _numbers(said: str, gold: str, words: tuple[str, ...], wanted: tuple[str, ...]) -> Grade | None:
    """Decide texts with numbers: plain ones by their value, others by their digits, which have to agree one by one."""
    number, target = read_number(said), read_number(gold)
    # 007 is a name.
    coded = _LEADING_ZERO.match(said) or _LEADING_ZERO.match(gold)
    if number is not None and target is not None and not coded:
        return _quantities(said, gold)
    mine, theirs = _digits(words), _digits(wanted)
    if mine and theirs:
        return None if mine == theirs else Grade("wrong", "digits_differ")
    if (number is not None and not theirs and not _roman(wanted)) or (
        target is not None and not mine and not _roman(words)
    ):
        plain = (number is None or not number.unit) and (target is None or not target.unit)
        other = wanted if number is not None else words
        return (
            Grade("wrong", "no_number")
            if plain and _LATIN.fullmatch(" ".join(other)) and NUMBER_WORDS.keys().isdisjoint(other)
            else None
        )
    return None


_LATIN = re.compile(r"[a-z ]+")
_ROMAN = re.compile(r"[ivxlcdm]+")


def _roman(words: tuple[str, ...]) -> bool:
    return any(_ROMAN.fullmatch(word) for word in words) or not {"dozen", "half", "pair", "both", "hundred"}.isdisjoint(
        words
    )


def _quantities(said: str, gold: str) -> Grade:
    number, target = read_number(said), read_number(gold)
    grade = grade_number(said, gold, None)
    if grade.rule == "unit_differs" and grade.verdict == "undecided":
        return Grade("undecided", OTHER_WORDS)
    if grade.verdict != "right" or number is None or target is None:
        return grade
    if number.unit != target.unit:
        return Grade("undecided", "unit_differs")
    # 1.10 may be a section and not 1.1.
    return (
        grade._replace(rule="number_in_text")
        if number.decimals == target.decimals
        else Grade("undecided", "decimals_differ")
    )


def _digits(words: tuple[str, ...]) -> list[str]:
    """Return what holds digits, letters beside digits included: B7, 12a."""
    return sorted(word for word in words if _HAS_DIGIT.search(word))


def _partly(words: tuple[str, ...], wanted: tuple[str, ...]) -> Grade | None:
    """Return why two different texts may still mean the same, or that one is a mere piece of the other.

    English puts the name of a thing last: "hydrant" may do for "fire hydrant" and "Obama" for "Barack Obama",
    which a judge has to say; "fire" and "Barack" do not.
    """
    if words == wanted[-len(words) :] or contains(words, wanted):
        return Grade("undecided", "contains")
    if contains(wanted, words):
        return Grade("wrong", "piece")
    if _initials(words, wanted) or _initials(wanted, words):
        return Grade("undecided", "initials")
    if _singular(words) == _singular(wanted):
        return Grade("undecided", "inflected")
    return Grade("undecided", "phrase") if _phrased(words) or _phrased(wanted) else None


def _differing(words: tuple[str, ...], wanted: tuple[str, ...]) -> Grade:
    """Grade two texts that share nothing that a rule knows."""
    if any(map(_mixed, words)) and not any(map(_mixed, wanted)):
        return Grade("wrong", "look_alike")
    if _negative_of(words, wanted):
        return Grade("wrong", "opposite")
    return Grade("undecided", OTHER_WORDS)


_OPPOSING = ("un", "in", "non", "dis", "im")


def _negative_of(words: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Return whether two texts differ by a syllable that denies: locked and unlocked."""
    differing = [(a, b) for a, b in zip(words, wanted, strict=False) if a != b]
    if len(words) != len(wanted) or len(differing) != 1:
        return False
    short, long = sorted(differing[0], key=len)
    return any(long == prefix + short for prefix in _OPPOSING)


def _mixed(word: str) -> bool:
    """Return whether a word is put together from letters of scripts that look alike: Latin, Cyrillic and Greek."""
    scripts = {unicodedata.name(char, "").partition(" ")[0] for char in word if char.isalpha()}
    return len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1


def _phrased(words: tuple[str, ...]) -> bool:
    """Return whether a text is a phrase, which two people do not word alike: a verb or a preposition among words."""
    return len(words) > 2 and not _PHRASES.isdisjoint(words)  # noqa: PLR2004 - two words are a name


def _singular(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(re.sub(r"(?<=\w\w)(?:(?<=[sxh])es|s)$", "", word) for word in words)


def _initials(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Return whether one word spells the initials of several, with or without the small ones."""
    if len(short) != 1 or len(long) < 2:  # noqa: PLR2004 - initials of one word are a letter
        return False
    small = {"of", "and", "for", "in", "de"}
    return short[0] in {"".join(word[0] for word in long), "".join(word[0] for word in long if word not in small)}
