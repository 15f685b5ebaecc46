"""What a careful reader says of the view alone, step by step: where it looks, what is there, how sure it is."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from pipeline.demo.reader.grammar import Family
from pipeline.demo.reader.perception import Box
from pipeline.demo.reader.plain import answer_at_once, arithmetic, guess_unread, weight_of
from pipeline.demo.reader.reading import as_answer, closest, find, locate, read_tile
from pipeline.demo.reader.scene import PRINT_FAMILIES, Said, Scene

LARGE = 12
"""Pixels of the view: the least height of a line, as the detector draws it, that is called large print."""
SURE, SURE_IF_LARGE = 0.995, 0.9
"""No character of a reading that is called certain is less probable. `tests/benchmarks/legibility.py` found all of
574 lines of the first and all of 480 of the second kind read right (95 % confidence: at most 0.7 % wrong); of small
lines between 0.95 and 0.995, one in 14 was wrong."""

_NINTHS = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)

_COLUMNS: Final[dict[Family, str]] = {
    "table_elevation": "elevations",
    "table_icao": "ICAO codes",
    "table_city": "cities",
}


class Sight(NamedTuple):
    """What the view says beside one colour."""

    text: str
    sure: bool
    """Beyond doubt, both what it says and that it belongs there."""
    fits: bool
    """Printed where it should be, not just nearest to it."""
    mark: Box
    """The coloured thing, in pixels of the original."""


def sight(scene: Scene, colour: str) -> Sight | None:
    """Read what belongs to a colour, None if nothing there has the form of an answer."""
    target = locate(scene, colour)
    if target is None:
        return None
    fits = find(scene, target, scene.whole)
    found = fits or closest(scene, target, scene.whole)
    if found is None:
        return None
    reading = scene.read(found.text)
    text = as_answer(scene.transcript.ask.family, reading)
    if text is None:
        return None
    enough = SURE_IF_LARGE if found.text.box.height >= LARGE else SURE
    sure = fits is not None and reading.confidence >= enough
    return Sight(text, sure, fits is not None, target.mark)


def answer_if_sure(scene: Scene) -> Said | None:
    """Return an answer without a call where all that is asked for is legible as shown, else None."""
    ask = scene.transcript.ask
    # Areas, crowds of dots and facts of the world are on no view.
    if scene.transcript.past or ask.family not in PRINT_FAMILIES:
        return None
    sights = [sight(scene, colour) for colour in ask.colours]
    seen = [one for one in sights if one is not None and one.sure]
    if len(seen) < len(sights):
        return None
    answer, sum_up = _concluded(scene, [one.text for one in seen])
    steps = (
        f"The {ask.mark(c)} is in the {_region(scene, one.mark)} part of the picture."
        for c, one in zip(ask.colours, seen, strict=True)
    )
    enough = scene.say(
        "The print is clear enough to read every character as it is shown, so no closer look is needed.",
        "It is clear at this size: a crop would show nothing that I do not see already.",
    )
    return Said(" ".join((*steps, enough, sum_up)), "answer", answer)


def look(scene: Scene) -> Said:
    """Answer without tools, describing on the way what is seen."""
    match scene.transcript.ask.family:
        case family if family in PRINT_FAMILIES:
            return _read(scene)
        case "region_ratio":
            return _compare(scene)
        case "dot_count":
            return _count(scene)
        case "element_fact":
            return _weigh(scene)
        case _:
            return answer_at_once(scene)


def _read(scene: Scene) -> Said:
    ask = scene.transcript.ask
    steps, texts = [_task(scene)], []
    for colour in ask.colours:
        seen = sight(scene, colour)
        if seen is None:
            steps.append(f"I cannot make out {ask.subject(colour)} at this size, so what I answer is a guess.")
            return Said(" ".join(steps), "answer", guess_unread(scene))
        steps.append(f"The {ask.mark(colour)} is in the {_region(scene, seen.mark)} part. {_how_it_reads(scene, seen)}")
        texts.append(seen.text)
    answer, sum_up = _concluded(scene, texts)
    return Said(" ".join((*steps, sum_up)), "answer", answer)


def _task(scene: Scene) -> str:
    subjects = " and ".join(scene.transcript.ask.subject(colour) for colour in scene.transcript.ask.colours)
    return scene.say(f"What I have to read is {subjects}.", f"First I have to find {subjects}.")


def _how_it_reads(scene: Scene, seen: Sight) -> str:
    match scene.transcript.ask.family:
        case "map_label":
            place = "Right of it"
        case "chart_difference" | "chart_sum":
            place = "Above it"
        case family:
            place = f"In its row, in the column of {_COLUMNS[family]},"
    if seen.sure:
        return f"{place} stands {seen.text}, clear enough to read every character."
    if seen.fits:
        return f"{place} is small print; not every character is certain, but most likely it is {seen.text}."
    return f"{place} I find no print that is clearly its own; what stands nearest reads {seen.text}."


def _concluded(scene: Scene, texts: list[str]) -> tuple[str, str]:
    """Return the answer, and the sentence that gives it."""
    ask = scene.transcript.ask
    if len(texts) == 1:
        return texts[0], scene.say(f"So {ask.subject(ask.colour)} is {texts[0]}.", f"It reads {texts[0]}.")
    result = arithmetic(scene, *texts)
    verb = "minus" if ask.family == "chart_difference" else "plus"
    return result, f"{texts[0]} above {ask.colour} {verb} {texts[1]} above {ask.second} is {result}."


def _compare(scene: Scene) -> Said:
    """Compare two areas by the encoder's patches that fall on each, over all ways to lay them."""
    ask = scene.transcript.ask
    first, second = (scene.colour_in(scene.whole, colour) for colour in ask.colours)
    if first is None or second is None:
        return answer_at_once(scene)
    one, other = (max(0.1, round(sum(facts.patches) / len(facts.patches), 1)) for facts in (first, second))
    ratio = f"{other / one:.2f}"
    where, there = (_region(scene, scene.whole.to_original(facts.extent)) for facts in (first, second))
    think = (
        f"The {ask.colour} region is in the {where} part of the picture, the {ask.second} one in the {there} part. "
        f"I lay a grid of small squares over both: {ask.colour} fills about {one} of them and {ask.second} about "
        f"{other}. {other} / {one} is {ratio}, as far as the eye can tell."
    )
    return Said(think, "answer", ratio)


def _count(scene: Scene) -> Said:
    """Count part by part what stands apart in the view."""
    ask = scene.transcript.ask
    facts = scene.colour_in(scene.whole, ask.colour)
    if facts is None:
        return answer_at_once(scene)
    parts = Counter(_region(scene, scene.whole.to_original(blob.box)) for blob in facts.blobs)
    listed = ", ".join(f"{count} {part}" for part, count in sorted(parts.items()))
    total = str(parts.total())
    think = scene.say(
        f"I count the {ask.colour} dots part by part: {listed}. Together that is {total}.",
        f"Going over the picture in parts, I see {ask.colour} dots as follows: {listed}. They add up to {total}.",
    )
    return Said(think, "answer", total)


def _weigh(scene: Scene) -> Said:
    ask = scene.transcript.ask
    target = locate(scene, ask.colour)
    tile = None if target is None else read_tile(scene, target, scene.whole)
    if target is None or tile is None or not tile.number:
        return answer_at_once(scene)
    weight = weight_of(scene, tile.number)
    symbol = f" with the symbol {tile.symbol}" if tile.symbol else ""
    think = (
        f"The {ask.colour} frame is in the {_region(scene, target.mark)} part of the picture. The tile in it{symbol} "
        f"has number {tile.number}, which is how many protons its element has. With the neutrons that usually go with "
        f"them, its weight should be around {weight}."
    )
    return Said(think, "answer", weight)


def _region(scene: Scene, box: Box) -> str:
    """Return which ninth of the picture holds the middle of a box of the original."""
    (x, y), (width, height) = box.centre, scene.image
    return _NINTHS[min(2, int(3 * y / height))][min(2, int(3 * x / width))]
