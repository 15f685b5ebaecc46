"""What is answered by one who cannot know: a value of the right kind, likelier ones more often.

So are questions that come without a picture, but for sums, which are worked out. Where options are given, the letter of
the one that is nearest to what was found out is the answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Final

from pipeline.demo.reader.grammar import Family
from pipeline.demo.reader.scene import READING_FAMILIES, Said, Scene
from pipeline.demo.reader.sums import Sum, asked_sum, in_head

UNKNOWN = "unknown"
"""The answer of one who does not even guess."""

_YES_NO = re.compile(r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)\b", re.IGNORECASE)
_COUNT = re.compile(r"\bhow many\b|\bthe number of\b", re.IGNORECASE)
# After a comma the two may be of several words ("Which is larger, New York or Los Angeles?"); else of one each.
_EITHER: Final = (
    re.compile(r"[,:] (?:the |an? )?([^,?]+?),? or (?:the |an? )?([^,?]+?)\?", re.IGNORECASE),
    re.compile(r"([\w'-]+) or (?:the |an? )?([\w'-]+)", re.IGNORECASE),
)
_YES = 0.6
"""People ask about what is there more often than about what is not."""
_COUNTS: Final = {1: 3, 2: 6, 3: 6, 4: 5, 5: 4, 6: 3, 7: 2, 8: 2, 9: 1, 10: 2, 12: 1, 15: 1, 20: 1}
"""Count → weight: a question "how many" is mostly about a handful."""

_CITIES = ("London", "Paris", "Madrid", "Springfield", "San Jose", "Santa Cruz", "Victoria", "Richmond")
_USUAL: Final[dict[Family, tuple[str, ...]]] = {
    "map_label": _CITIES,
    "table_icao": ("KLAX", "EGLL", "EDDF", "YSSY"),
    "table_elevation": ("35", "120", "400", "650"),
    "table_city": _CITIES,
    "chart_difference": ("5", "10", "20"),
    "chart_sum": ("5", "10", "20"),
}
"""Family → answers that such a question often has."""
_FACTS: Final = {
    "internet country code top-level domain": (".com", ".de", ".uk", ".fr", ".br", ".cn", ".ng"),
    "international telephone calling code": ("+1", "+44", "+33", "+49", "+55", "+86", "+234"),
    "ISO 4217 currency code": ("USD", "EUR", "XOF", "GBP", "CNY", "BRL"),
}


def guess(scene: Scene) -> str:
    """Return a plausible answer, or that it is unknown where a question asks for anything at all."""
    ask, rng = scene.transcript.ask, scene.rng
    if ask.options:
        return rng.choice(ask.options)
    match ask.family:
        case "region_ratio":
            return f"{rng.uniform(0.5, 2):.1f}"
        case "dot_count":
            return _count(rng)
        case "element_fact":
            return f"{rng.uniform(60, 140):.1f}"
        case "outline_fact":
            return rng.choice(_FACTS[ask.fact])
        case "unknown":
            return _guess_by_words(ask.text, rng)
        case family:
            return rng.choice(_USUAL[family])


def _guess_by_words(text: str, rng: random.Random) -> str:
    if _COUNT.search(text):
        return _count(rng)
    for pattern in _EITHER:
        either = pattern.search(text)
        if either:
            return rng.choice(either.groups())
    if _YES_NO.match(text):
        return "yes" if rng.random() < _YES else "no"
    return UNKNOWN


def _count(rng: random.Random) -> str:
    (count,) = rng.choices(tuple(_COUNTS), tuple(_COUNTS.values()))
    return str(count)


def settle(said: Said, options: Sequence[str]) -> Said:
    """Return an answer as the letter of the option that is nearest to it; anything else as it is."""
    if said.action != "answer" or not options:
        return said
    place = nearest(said.argument, options)
    letter, option = ascii_uppercase[place], options[place]
    how = "that is option" if option == said.argument else f'the nearest to it is "{option}", option'
    return replace(said, think=f"{said.think} Of the options, {how} {letter}.", argument=letter)


def nearest(text: str, options: Sequence[str]) -> int:
    """Return the place of the option that is most like a text: numbers by value, all else by its letters."""
    numbers = [_number(each) for each in (text, *options)]
    if all(number is not None for number in numbers):
        value, *offered = (number for number in numbers if number is not None)
        distances: Sequence[float] = [abs(number - value) for number in offered]
    else:
        distances = [edit_distance(text.casefold(), option.casefold()) for option in options]
    return min(range(len(options)), key=distances.__getitem__)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(?:\.\d+)?", text) else None


def edit_distance(one: str, other: str) -> int:
    """Return how many characters to insert, delete or replace make one text the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for column, opposite in enumerate(other, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (character != opposite)),
            )
    return row[-1]


_ABSTAINS = 0.5
"""How often it says that it cannot know, where an answer is read off the picture."""


def answer_unseen(scene: Scene, *, by_code: bool) -> Said:
    """Return the next message about a question that has no picture; `by_code` lets Python do sums."""
    transcript = scene.transcript
    asked = asked_sum(transcript.ask.text)
    if asked is not None:
        return _work_out(scene, asked, by_code=by_code and transcript.tools)
    if not transcript.ask.options and transcript.ask.family in READING_FAMILIES and scene.rng.random() < _ABSTAINS:
        return _abstain(scene)
    answer = guess(scene)
    if answer == UNKNOWN:
        return _abstain(scene)
    think = scene.say(
        "I was given no picture, so I cannot check this. I say what seems likeliest to me.",
        f"Without a picture this is a guess; {answer} would be usual.",
        f"There is nothing to look at. From the question alone, {answer} is as good a guess as any.",
    )
    return Said(think, "answer", answer)


def _abstain(scene: Scene) -> Said:
    think = scene.say(
        "The question is about a picture, and I see none. I cannot know this.",
        "I was given no picture that could tell me, and the question alone does not.",
    )
    return Said(think, "answer", UNKNOWN)


def _work_out(scene: Scene, asked: Sum, *, by_code: bool) -> Said:
    past = scene.transcript.past
    if past and past[-1].stdout:
        think = scene.say(f"Python gives {past[-1].stdout}.", f"So {asked} is {past[-1].stdout}.")
        return Said(think, "answer", past[-1].stdout)
    if by_code and not past:
        think = scene.say(f"I let Python work out {asked}.", "This is a plain sum, and Python makes no slips in it.")
        return Said(think, "python", asked.code)
    result = in_head(asked, scene.rng)
    return Said(scene.say(f"{asked} = {result}.", f"In my head, {asked} makes {result}."), "answer", result)
