"""What is answered by one who cannot know: a value of the right kind, likelier ones more often."""

from __future__ import annotations

import random
import re
from typing import Final

from pipeline.models.reader.grammar import Family
from pipeline.models.reader.scene import Scene

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
