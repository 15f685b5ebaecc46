"""Times of day: 3:30 pm, 15:30, 15h30, half past three, 下午3点30分, and whether two are one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Time(NamedTuple):
    """A time as it was written."""

    minute: int
    """Of the day."""
    second: int
    settled: bool
    """Which half of the day is meant is said, or follows from the hour; 3:30 may be either."""


_HALF = r"(?P<half>a\.?\s?m\.?|p\.?\s?m\.?)"
_BEFORE = r"(?P<before>上午|下午|早上|晚上|凌晨|中午|午前|午後|夜|朝|सुबह|दोपहर|शाम|रात)"
_BEHIND = (
    r"(?P<behind>de la mañana|de la tarde|de la noche|da manhã|da tarde|da noite|du matin|de l'après-midi|du soir"
    r"|morgens|vormittags|nachmittags|abends|in the morning|in the afternoon|in the evening|at night)"
)
_CLOCK = re.compile(
    rf"(?:at\s+|um\s+|à\s+|a las?\s+|às?\s+|las\s+|at about\s+)?{_BEFORE}?\s*(?P<hour>[0-9]{{1,2}})"
    r"(?:\s?(?::|\.(?=[0-9]{2}\s?[ap])|h|hrs?|uhr|点|點|时|時)\s?(?P<minute>[0-9]{2}|[0-9](?=分))?(?:\s?(?::|分)\s?(?:(?P<second>[0-9]{2})\s?秒?)?)?(?P<to_the_half>半)?)?"
    rf"(?P<tail>\s?o'?\s?clock|\s?uhr|\s?बजे|\s?(?:hours|hrs|h))?\s*(?:{_HALF}|{_BEHIND})?\.?",
    re.IGNORECASE,
)
_HOURS = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1
    )
}
_HOUR = re.compile(r"[点點时時]|uhr|[0-9]\s?h", re.IGNORECASE)
_SPOKEN = re.compile(
    rf"(?:a\s+)?(?P<part>half|quarter|ten|five|twenty|[0-9]{{1,2}})\s+(?:minutes?\s+)?(?P<side>past|after|to|before)\s+"
    rf"(?P<hour>{'|'.join(_HOURS)}|[0-9]{{1,2}})|(?P<whole>{'|'.join(_HOURS)})\s+o'?\s?clock|(?P<name>noon|midday|midnight)",
    re.IGNORECASE,
)
_PARTS = {"half": 30, "quarter": 15, "ten": 10, "five": 5, "twenty": 20}
_MORNING = frozenset(["上午", "早上", "凌晨", "午前", "朝", "सुबह"]) | {
    "de la mañana", "da manhã", "du matin", "morgens", "vormittags", "in the morning"
}  # fmt: skip
_NOON, _DAY = 12 * 60, 24 * 60


@lru_cache(maxsize=4096)  # the rollouts of a question share its gold and many of their answers
def read_time(text: str) -> Time | None:
    """Return the time that the whole of a cleaned text is; None if it is none.

    A bare number is none, and neither is 25:00, or a ratio such as 3:4.
    """
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return _spoken(text.strip().rstrip("."))
    half = (match["half"] or "")[:1].lower()
    told = match["before"] or (match["behind"] or "").lower()
    if match["minute"] is None and not (half or told or match["tail"] or _HOUR.search(text)):
        return None
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    minute = 30 if match["to_the_half"] else minute
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and minute):  # noqa: PLR2004 - of a clock
        return None
    if half or told:
        if told and not half and hour > 12:  # noqa: PLR2004 - 下午15点 says it twice
            return Time(60 * hour + minute, second, settled=True)
        if not 1 <= hour <= 12:  # noqa: PLR2004 - hours with am and pm
            return Time(60 * hour + minute, second, settled=True) if hour > 12 and half == "p" else None  # noqa: PLR2004 - 15:30 pm
        early = half == "a" or told in _MORNING
        open_half = told in {"夜", "रात", "दोपहर", "at night", "de la noche", "da noite", "中午"} and not half
        minute += 60 * (hour % 12)
        return Time(minute if early else minute + _NOON, second, settled=not open_half)
    # 0:30 and 13:30 are of one half of the day only, and 03:30 is mostly written where there are 24 hours.
    return Time((60 * hour + minute) % _DAY, second, settled=hour == 0 or hour > 12)  # noqa: PLR2004 - said above


def _spoken(text: str) -> Time | None:
    match = _SPOKEN.fullmatch(text)
    if match is None:
        return None
    if match["name"]:
        return Time(0 if match["name"].lower() == "midnight" else _NOON, 0, settled=True)
    if match["whole"]:
        return Time(60 * _HOURS[match["whole"].lower()], 0, settled=False)
    part, hour = match["part"].lower(), match["hour"].lower()
    minutes = _PARTS[part] if part in _PARTS else int(part)
    hours = _HOURS[hour] if hour in _HOURS else int(hour)
    if hours > 12 or minutes > 59:  # noqa: PLR2004 - of a clock
        return None
    early = match["side"].lower() in {"to", "before"}
    return Time((60 * hours + (-minutes if early else minutes)) % _DAY, 0, settled=False)


def same_time(said: Time, gold: Time) -> bool | None:
    """Return whether two times are one; None where one does not say which half of the day it means."""
    if said.second != gold.second:
        return False
    if said.settled == gold.settled:
        one = said.minute == gold.minute if said.settled else (said.minute - gold.minute) % _NOON == 0
        return one or False
    return None if (said.minute - gold.minute) % _NOON == 0 else False


_POINTED = re.compile(r"[0-9]{1,2}\.[0-9]{2}")


def time_or_decimal(said: str, gold: str) -> bool:
    """Return whether of two cleaned texts one is a time and one a decimal that may be the same: 12:30 and 12.30."""
    for time, decimal in ((said, gold), (gold, said)):
        if ":" in time and _POINTED.fullmatch(decimal):
            times = read_time(time), read_time(decimal.replace(".", ":"))
            return times[0] is not None and times[1] is not None and same_time(times[0], times[1]) is not False
    return False
