"""Grading a date: the same day, month or year, however it is written; an open order of day and month is undecided."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from filters.answers.closed_sets import MONTHS, WEEKDAYS, contradict, without_lead
from filters.answers.evasion import evasion, refuses
from filters.answers.text import Grade, tokens
from filters.answers.times import read_time, same_time


class Day(NamedTuple):
    """A date at the precision at which it was written: 0 for a part that was not."""

    year: int
    """Astronomical: 44 BC is -43."""
    month: int
    day: int


_MONTH = rf"(?P<month>{'|'.join(sorted(map(re.escape, MONTHS), key=len, reverse=True))})(?![^\W\d_])\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|er|º|ª|\.)?"
_YEAR = r"(?P<year>[0-9]{3,4}|'[0-9]{2})"
_NAMED = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?:(?:the|le|el|den|der|dem|am|o|em)\s+)?{_DAY}[\s-]*(?:(?:of|de|do)\s+)?{_MONTH}(?:(?:,|\s+del?|\s+do)?[\s-]*{_YEAR})?",
        rf"{_MONTH}\s*{_DAY}(?:,?\s+{_YEAR})?",
        rf"{_YEAR},?[\s-]+{_MONTH}[\s-]+{_DAY}",
        rf"{_MONTH}(?:\s+(?:of|del?|do))?,?[\s-]*{_YEAR}",
        rf"{_YEAR},?[\s-]+{_MONTH}",
        rf"{_MONTH}",
    )
)
_CHINESE = re.compile(r"(?:(?P<year>[0-9]{3,4})年)?\s*(?:(?P<month>[0-9]{1,2})月)?\s*(?:(?P<day>[0-9]{1,2})[日号號])?")
_NUMERIC = re.compile(r"([0-9]{1,4})([-/.])\s?([0-9]{1,2})\2\s?([0-9]{1,4})\.?(?:T(?:00:?){1,3}(?:\.0+)?Z?)?")
_YEAR_AND_MONTH = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})|([0-9]{1,2})[/.]([0-9]{4})")
_YEAR_ALONE = re.compile(
    r"(?:(?P<before>ad|ce)\s*)?(?P<year>[0-9]{1,4})(?:\s*(?P<era>ad|ce|bce?|a\.d\.|c\.e\.|b\.c\.(?:e\.)?))?",
    re.IGNORECASE,
)
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])")
_SHORT_YEAR = re.compile(r"'([0-9]{2})")
_DAYS = "|".join(sorted(map(re.escape, WEEKDAYS), key=len, reverse=True))
_WEEKDAY = re.compile(
    rf"(?:(?:on|am|le|el)\s+)?(?P<name>{_DAYS})(?![^\W\d_])\.?,?\s*(?:(?:the|den|le|el|de)\s+)?",
    re.IGNORECASE,
)
_WEEKDAY_BEHIND = re.compile(rf"[\s,(]*(?P<name>{_DAYS})\)?$", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:in|on|since the year|in the year|the year|year|im jahr|im|en l'an|en|em|año|ano|jahr)\s+", re.IGNORECASE
)
# What is not one date: bounds, ranges, and spans named by a word.
_SPAN = re.compile(
    r"\b(?:after|before|since|until|till|between|from|to|through|by|around|about|circa|ca|early|late|mid|during|century"
    r"|decade|spring|summer|autumn|fall|winter|today|yesterday|tomorrow|now|recently|ago|next|last)\b|[0-9]0'?s\b|~|\.\.|<|>",
    re.IGNORECASE,
)
_YEARS = re.compile(r"(?<![0-9])[0-9]{3,4}(?![0-9])")
_CENTURY = 100


def grade_date(said: str, gold: str) -> Grade:
    """Grade cleaned text against one stored date."""
    bare = without_lead(said)
    if _compact(said) == _compact(gold) or _compact(bare) == _compact(gold):
        return Grade("right", "equal_as_written")
    if refuses(said):
        return Grade("wrong", "abstained")
    times = read_time(bare), read_time(gold)
    if times[0] is not None and times[1] is not None:
        same = same_time(times[0], times[1])
        return Grade("undecided", "half_of_the_day") if same is None else Grade("right" if same else "wrong", "time")
    wanted = read_dates(gold)
    if wanted is None or len(wanted) != 1:
        return _unclear_gold(said, gold)
    (target,) = wanted
    meant = read_dates(bare)
    if meant is not None:
        return _compare(meant, target) if meant else Grade("wrong", "no_such_day")
    if _SPAN.search(said):
        return Grade("wrong", "span")
    evades = evasion(said, gold)
    if evades in {"hedged", "negated", "corrected", "several", "asked_back", "about_grading"}:
        return Grade("wrong", evades)
    return _unread(said, target)


def _compare(meant: frozenset[Day], target: Day) -> Grade:
    grades = {_same(day, target) for day in meant}
    if len(grades) == 1:
        return grades.pop()
    return (
        Grade("undecided", "ambiguous_order")
        if any(g.verdict != "wrong" for g in grades)
        else Grade("wrong", "date_differs")
    )


def _same(said: Day, target: Day) -> Grade:
    """Compare two dates; one that is more precise than what is stored may be right."""
    if said == target:
        return Grade("right", "date_equal")
    known = [(a, b) for a, b in zip(said, target, strict=True) if b]
    if any(a != b for a, b in known if a):
        return Grade("wrong", "date_differs")
    if any(not a for a, _ in known):
        return Grade("wrong", "less_precise")
    return Grade("undecided", "more_precise")


def _unclear_gold(said: str, gold: str) -> Grade:
    evades = evasion(said, gold)
    if evades:
        return Grade("wrong", evades)
    # A stored weekday.
    differ = contradict(tokens(without_lead(said)), tokens(gold))
    if differ is None:
        return Grade("undecided", "gold_unread")
    return Grade("wrong", "another_of_its_kind") if differ else Grade("right", "one_of_its_kind")


def _unread(said: str, target: Day) -> Grade:
    """Grade a text that is no date: without digits it names none, and with another year alone it names another."""
    digits = [character for character in said if character.isdigit()]
    if not digits:
        return Grade("wrong", "no_date")
    years = {int(year) for year in _YEARS.findall(said)}
    if target.year > _CENTURY and years and target.year not in years:
        return Grade("wrong", "date_differs")
    if len(years) > 1 or not any(map(str.isalpha, said)):
        return Grade("wrong", "no_date")
    return Grade("undecided", "date_unread")


def _compact(text: str) -> str:
    return "".join(text.casefold().split()).rstrip(".")


@lru_cache(maxsize=4096)  # the rollouts of a question share its gold and many of their answers
def read_dates(text: str) -> frozenset[Day] | None:
    """Return all dates that the whole of a cleaned text may be: none if there is no such day; None if it is no date."""
    bare, weekday = _without_weekday(text.rstrip(".!"))
    days = _read(_BEFORE.sub("", bare, count=1).strip())
    if days is None or weekday is None:
        return days
    wrong = any(day.month and day.day and day.year and _weekday(day) != weekday for day in days)
    # Of a day and a weekday that do not agree one is wrong, and nobody knows which.
    return days | {Day(0, 0, 0)} if wrong else days


def _without_weekday(text: str) -> tuple[str, int | None]:
    for form in (_WEEKDAY.match, _WEEKDAY_BEHIND.search):
        match = form(text)
        if match is not None and match[0] != text:
            return text[: match.start()] + text[match.end() :], WEEKDAYS[match["name"].lower()]
    return text, None


def _weekday(day: Day) -> int:
    return date(day.year, day.month, day.day).isoweekday()


def _read(bare: str) -> frozenset[Day] | None:
    """Return all dates that a text without weekday may be."""
    for form in _NAMED:
        match = form.fullmatch(bare)
        if match is not None:
            return _existing(_named(match))
    match = _CHINESE.fullmatch(bare)
    if match is not None and (match["year"] or match["month"]):
        day = Day(*(int(match[part] or 0) for part in ("year", "month", "day")))
        return _existing(day) if day.month else frozenset({day} if not day.day else ())
    match = _COMPACT.fullmatch(bare)
    if match is not None:
        return _existing(Day(*map(int, match.groups())))
    match = _SHORT_YEAR.fullmatch(bare)
    if match is not None:
        return frozenset(Day(century + int(match[1]), 0, 0) for century in (1900, 2000))
    match = _NUMERIC.fullmatch(bare)
    if match is not None:
        return _existing(*_orders(match[1], match[3], match[4]))
    match = _YEAR_AND_MONTH.fullmatch(bare)
    if match is not None:
        year, month = (match[1], match[2]) if match[1] else (match[4], match[3])
        return _existing(Day(int(year), int(month), 0))
    match = _YEAR_ALONE.fullmatch(bare)
    if match is None or not (match["era"] or match["before"] or len(match["year"]) > 2):  # noqa: PLR2004 - "12" is no year
        return None
    year_number = int(match["year"])
    before_christ = (match["era"] or "").lower().startswith("b")
    return frozenset({Day(1 - year_number if before_christ else year_number, 0, 0)})


def _named(match: re.Match[str]) -> Day:
    found = match.groupdict()
    year = (found.get("year") or "0").lstrip("'")
    full = int(year) if len(year) != 2 else -1  # noqa: PLR2004 - '95 does not say which century
    return Day(full, MONTHS[found["month"].lower()], int(found.get("day") or 0))


def _orders(first: str, second: str, third: str) -> list[Day]:
    """Return the readings of three numbers: year first if it has four digits, else day and month in both orders.

    A year of two digits may be of this century or the last; three short numbers may also begin with the year.
    """
    if len(first) > 2:  # noqa: PLR2004 - a day has two digits
        return [Day(int(first), int(second), int(third))] if len(third) <= 2 else []  # noqa: PLR2004 - as above
    a, b = int(first), int(second)
    if len(third) > 2:  # noqa: PLR2004 - as above
        return [Day(int(third), b, a), Day(int(third), a, b)]
    c = int(third)
    centuries = (1900, 2000)
    return [
        day for century in centuries for day in (Day(century + c, b, a), Day(century + c, a, b), Day(century + a, b, c))
    ]


def _existing(*days: Day) -> frozenset[Day]:
    return frozenset(day for day in days if _exists(day))


def _exists(day: Day) -> bool:
    if not 0 <= day.year <= 9999:  # noqa: PLR2004 - the years that four digits hold
        return False
    try:
        # Without a year, 29 February exists in some.
        date(day.year or 2000, day.month or 1, day.day or 1)
    except ValueError:
        return False
    return day.month > 0
