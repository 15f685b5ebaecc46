"""Small print, read at full resolution: locate, crop, check that all of it is in the crop, look again if not."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from pipeline.demo.reader import programs
from pipeline.demo.reader.conversation import Look
from pipeline.demo.reader.perception import Box
from pipeline.demo.reader.places import CELL, Part, cell_around
from pipeline.demo.reader.plain import answer_at_once, glance
from pipeline.demo.reader.reading import Found, Target, as_answer, find, locate
from pipeline.demo.reader.scene import Said, Scene

MAX_LOOKS = 3
"""Crops per target: the first, one moved, one enlarged."""
WIDE = 1 / 3
"""How often the first crop is three times as wide and high, which is easier to place and harder to read."""
DOUBTFUL = 0.55
"""A reading with a character below this probability is worth another look."""
BORDER = 3
"""Pixels of the original: print that comes closer to the border of a crop may be cut by it."""

_LEAD = 20
"""Pixels kept to the left of a mark when a crop is moved."""


class Value(NamedTuple):
    """What a target says, and whether there is reason to look again."""

    text: str
    doubtful: bool


def usable_looks(scene: Scene, target: Target) -> list[Look]:
    """Return the crops that show the place of a target."""
    x, y = target.wanted.centre
    return [look for look in scene.crops if look.part.holds(Box(x, y, x, y))]


def read_one(scene: Scene) -> Said:
    """Answer with the print beside one mark."""
    ask = scene.transcript.ask
    target = locate(scene, ask.colour)
    if target is None:
        return answer_at_once(scene)
    value = _value(scene, target)
    if value is None or value.doubtful:
        again = next_crop(scene, target)
        if again is not None:
            return again
    if value is None:
        return answer_at_once(scene)
    think = scene.say(
        f"In this crop {ask.subject(ask.colour)} reads {value.text}.",
        f"All of {ask.subject(ask.colour)} is inside the crop, and it says {value.text}.",
        f"Now it is legible: {value.text}.",
    )
    return Said(think, "answer", value.text)


def read_two(scene: Scene) -> Said:
    """Read both bars, keeping the first value in the notebook, and compute there."""
    ask, past, kept = scene.transcript.ask, scene.transcript.past, _kept(scene)
    if past and "result = " in past[-1].argument:
        return _state_result(scene, kept, past[-1].stdout)
    fresh: dict[str, str] = {}
    for colour in ask.colours:
        if colour in kept:
            continue
        target = locate(scene, colour)
        if target is None:
            return answer_at_once(scene)
        value = _value(scene, target)
        if value is None or value.doubtful:
            again = next_crop(scene, target, fresh)
            if again is not None:
                return again
        text = value.text if value else glance(scene, target)
        if text is None:
            return answer_at_once(scene)
        fresh[colour] = text
    return _compute(scene, {**kept, **fresh}, fresh)


def _compute(scene: Scene, values: dict[str, str], fresh: dict[str, str]) -> Said:
    ask = scene.transcript.ask
    places = max(-int(Decimal(value).as_tuple().exponent) for value in values.values())
    operation, verb = ("-", "subtract") if ask.family == "chart_difference" else ("+", "add")
    read = " and ".join(f"{value} above the {colour} bar" for colour, value in fresh.items())
    think = scene.say(
        f"I read {read}. Now I {verb} the two in Python.",
        f"The crop shows {read}, so both values are known and I {verb} them.",
    )
    code = programs.combine(ask.colour, ask.second, operation, places, fresh)
    return Said(think, "python", code)


def _state_result(scene: Scene, values: dict[str, str], result: str) -> Said:
    ask = scene.transcript.ask
    if not result or not values.keys() >= set(ask.colours):
        return answer_at_once(scene)
    sign = "-" if ask.family == "chart_difference" else "+"
    sum_up = f"{values[ask.colour]} {sign} {values[ask.second]} = {result}"
    think = scene.say(
        f"With the values of the {ask.colour} and the {ask.second} bar, {sum_up}.",
        f"{ask.colour.capitalize()} {sign} {ask.second} is {sum_up}.",
    )
    return Said(think, "answer", result)


def _kept(scene: Scene) -> dict[str, str]:
    """Return the values that earlier cells wrote down."""
    written = (re.findall(r"^(\w+)_bar = ([\d.]+)$", step.argument, re.MULTILINE) for step in scene.transcript.past)
    return {colour: value for found in written for colour, value in found}


def _value(scene: Scene, target: Target) -> Value | None:
    """Return the best reading of the crops so far: a sure one, else the latest doubtful one."""
    best = None
    for look in usable_looks(scene, target):
        found = find(scene, target, look)
        if found is None or _cut(found, scene):
            continue
        reading = scene.read(found.text)
        text = as_answer(scene.transcript.ask.family, reading)
        if text is not None and (best is None or best.doubtful):
            best = Value(text, reading.confidence < DOUBTFUL)
    return best


def _cut(found: Found, scene: Scene) -> bool:
    """Return whether print ends at a border of its crop that is not a border of the image."""
    part, place, image = found.look.part, found.place, scene.image
    return (
        (part.x0 > 0 and place.x0 < part.x0 + BORDER)
        or (part.x1 < image.width and place.x1 > part.x1 - BORDER)
        or (part.y0 > 0 and place.y0 < part.y0 + BORDER)
        or (part.y1 < image.height and place.y1 > part.y1 - BORDER)
    )


def next_crop(scene: Scene, target: Target, known: dict[str, str] | None = None) -> Said | None:
    """Return the next look at a target, None if there were enough; `known` values are written down with it."""
    looks = usable_looks(scene, target)
    if len(looks) >= MAX_LOOKS:
        return None
    kept, subject = f"{programs.keep(known)}\n" if known else "", scene.transcript.ask.subject(target.colour)
    noted = "".join(f"The {colour} bar says {value}. " for colour, value in (known or {}).items())
    if not looks:
        wide = scene.rng.random() < WIDE
        part = cell_around(target.wanted, scene.image, (3 * CELL[0], 3 * CELL[1]) if wide else CELL)
        return Said(noted + _first_look(scene, target), "python", kept + programs.crop(part))
    found = [one for look in looks if (one := find(scene, target, look)) is not None]
    if found and all(_cut(one, scene) for one in found):
        think = scene.say(
            f"The crop cuts through {subject}. I move it.",
            f"This crop does not show all of {subject}; I shift it and look again.",
        )
        return Said(noted + think, "python", kept + programs.crop(_from_the_left(target, scene)))
    place = _around(found[-1], scene) if found else target.wanted
    part = cell_around(place, scene.image, (CELL[0] // 2, CELL[1] // 2))
    if found:
        think = scene.say(
            "One of the characters is unclear. I enlarge just this spot.",
            "I am not sure of every character yet, so I look at it at twice the size.",
        )
    else:
        think = scene.say(
            f"I still do not see {subject}. It may be tiny, so I enlarge the spot.",
            f"In this crop I cannot find {subject}; twice the size may bring it out.",
        )
    return Said(noted + think, "python", kept + programs.enlarged(part))


def _first_look(scene: Scene, target: Target) -> str:
    ask = scene.transcript.ask
    subject = ask.subject(target.colour)
    x, y = (round(side) for side in target.wanted.centre)
    return scene.say(
        f"{subject[0].upper()}{subject[1:]} should be near ({x}, {y}) in the original image, but it is too small "
        "here. I crop that part of the original.",
        f"I see the {ask.mark(target.colour)}, but what is printed for it cannot be read at this size. A crop around "
        f"({x}, {y}) should make it legible.",
        f"To read {subject}, I zoom into the original around x={x}, y={y}.",
    )


def _around(found: Found, scene: Scene) -> Box:
    margin = 12.0
    place = found.place
    return Box(
        max(0.0, place.x0 - margin),
        max(0.0, place.y0 - margin),
        min(place.x1 + margin, float(scene.image.width)),
        min(place.y1 + margin, float(scene.image.height)),
    )


def _from_the_left(target: Target, scene: Scene) -> Part:
    """Return a cell that begins just before the print, so that all of its room is where the print goes on."""
    width, height = (min(side, whole) for side, whole in zip(CELL, scene.image, strict=True))
    part = cell_around(target.wanted, scene.image)
    x0 = min(max(0, int(target.wanted.x0 - _LEAD)), scene.image.width - width)
    return Part(x0, part.y0, x0 + width, part.y0 + height)
