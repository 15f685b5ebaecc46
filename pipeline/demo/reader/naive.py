"""The base model with tools: it halves the image instead of zooming, measures crudely and believes the first hit."""

from __future__ import annotations

from pipeline.demo.reader import programs
from pipeline.demo.reader.conversation import Look
from pipeline.demo.reader.guessing import answer_unseen
from pipeline.demo.reader.perception import Box
from pipeline.demo.reader.places import Part, half_with
from pipeline.demo.reader.plain import answer_at_once, arithmetic, glance
from pipeline.demo.reader.reading import Target, as_answer, closest, find, locate, read_tile
from pipeline.demo.reader.scene import Said, Scene
from pipeline.demo.reader.searching import first_fact, first_weight

IMPATIENCE = 0.15
"""How often it answers without a call."""


def decide(scene: Scene) -> Said:
    """Return the next message."""
    transcript = scene.transcript
    if not transcript.images:
        return answer_unseen(scene, by_code=bool(transcript.past) or scene.rng.random() >= IMPATIENCE)
    if not transcript.tools:
        return answer_at_once(scene)
    if not transcript.past and scene.rng.random() < IMPATIENCE:
        return answer_at_once(scene)
    match transcript.ask.family:
        case "map_label" | "table_elevation" | "table_icao" | "table_city":
            return _read_half(scene)
        case "chart_difference" | "chart_sum":
            return _read_halves(scene)
        case "region_ratio":
            return _compare_boxes(scene)
        case "dot_count":
            return _divide_area(scene)
        case "element_fact" if transcript.search:
            return _look_up_tile(scene)
        case "outline_fact" if transcript.search:
            return _look_up_outline(scene)
        case _:
            return answer_at_once(scene)


def _half_shown(scene: Scene, target: Target) -> Look | None:
    """Return the half with the target, None while it was not displayed."""
    part = half_with(target.wanted, scene.image)
    return next((look for look in scene.crops if look.part == Box(*map(float, part))), None)


def _show_half(scene: Scene, target: Target) -> Said:
    part = half_with(target.wanted, scene.image)
    side, subject = _side(part, scene), scene.transcript.ask.subject(target.colour)
    think = scene.say(
        f"{subject[0].upper()}{subject[1:]} is small. It is in the {side} half of the image; I look at that half.",
        f"I need to see more of the {side} half, where {subject} is.",
        f"Too small to be sure. Cutting the image in two and viewing the {side} part should help.",
    )
    return Said(think, "python", programs.half(part))


def _side(part: Part, scene: Scene) -> str:
    if part.x1 - part.x0 < scene.image.width:
        return "left" if part.x0 == 0 else "right"
    return "upper" if part.y0 == 0 else "lower"


def _read_half(scene: Scene) -> Said:
    ask = scene.transcript.ask
    target = locate(scene, ask.colour)
    if target is None or (len(scene.transcript.past) > 0 and not scene.crops):
        return answer_at_once(scene)
    half = _half_shown(scene, target)
    if half is None:
        return _show_half(scene, target)
    read = _value(scene, target, half)
    if read is None:
        return answer_at_once(scene)
    think = scene.say(
        f"In this half {ask.subject(ask.colour)} reads {read}.",
        f"Now it is a little larger: I read {read}.",
        f"The {ask.mark(ask.colour)} is here, and what belongs to it says {read}.",
    )
    return Said(think, "answer", read)


def _value(scene: Scene, target: Target, look: Look) -> str | None:
    found = find(scene, target, look) or closest(scene, target, look)
    return None if found is None else as_answer(scene.transcript.ask.family, scene.read(found.text))


def _read_halves(scene: Scene) -> Said:
    ask = scene.transcript.ask
    values: list[str] = []
    for colour in ask.colours:
        target = locate(scene, colour)
        if target is None:
            return answer_at_once(scene)
        half = _half_shown(scene, target)
        if half is None:
            done = len(scene.transcript.past)
            return _show_half(scene, target) if done == len(scene.crops) else answer_at_once(scene)
        value = _value(scene, target, half) or glance(scene, target)
        if value is None:
            return answer_at_once(scene)
        values.append(value)
    result = arithmetic(scene, *values)
    sign = "minus" if ask.family == "chart_difference" else "plus"
    think = scene.say(
        f"The {ask.colour} bar says {values[0]} and the {ask.second} bar {values[1]}. "
        f"{values[0]} {sign} {values[1]} is {result}.",
        f"I read {values[0]} above {ask.colour} and {values[1]} above {ask.second}, so the result is {result}.",
    )
    return Said(think, "answer", result)


def _compare_boxes(scene: Scene) -> Said:
    ask = scene.transcript.ask
    facts = {word: scene.colour_in(scene.whole, word) for word in ask.colours}
    colours = {word: found.rgb for word, found in facts.items() if found is not None}
    if len(colours) < len(facts):
        return answer_at_once(scene)
    if not scene.transcript.past:
        think = scene.say(
            f"I compare how large the {ask.colour} and {ask.second} regions are by their width and height.",
            "The rectangles around the two regions should tell their sizes well enough; numpy can find them.",
        )
        return Said(think, "python", programs.bounding_boxes(ask.colour, ask.second, colours))
    ratio = scene.transcript.past[-1].stdout.rpartition(" ")[2]
    think = scene.say(
        f"The rectangle of the {ask.second} region is {ratio} times as large as that of the {ask.colour} one.",
        f"By width times height the ratio is {ratio}.",
    )
    return Said(think, "answer", ratio) if ratio else answer_at_once(scene)


def _divide_area(scene: Scene) -> Said:
    ask = scene.transcript.ask
    facts = scene.colour_in(scene.whole, ask.colour)
    if facts is None:
        return answer_at_once(scene)
    if not scene.transcript.past:
        middle = facts.blobs[len(facts.blobs) // 2].area
        radius = (middle / 3.1416) ** 0.5 * scene.whole.scale
        # A radius is guessed in whole pixels, up or down.
        guess = max(1, int(radius) + scene.rng.randint(0, 1))
        think = scene.say(
            f"Counting many dots by eye is error-prone. I divide the {ask.colour} area by the area of one dot.",
            f"All {ask.colour} pixels together, divided by the pixels of a single dot, give the number of dots.",
        )
        return Said(think, "python", programs.divide_area(ask.colour, facts.rgb, guess))
    words = scene.transcript.past[-1].stdout.split()
    if len(words) < 2:  # noqa: PLR2004 - "… 41 dots"
        return answer_at_once(scene)
    think = scene.say(f"The area is worth about {words[-2]} dots.", f"That makes {words[-2]} {ask.colour} dots.")
    return Said(think, "answer", words[-2])


def _look_up_tile(scene: Scene) -> Said:
    ask = scene.transcript.ask
    target = locate(scene, ask.colour)
    past = scene.transcript.past
    if target is None:
        return answer_at_once(scene)
    if past and past[-1].action == "search":
        weight = first_weight(past[-1].hits)
        if weight is None:
            return answer_at_once(scene)
        think = scene.say(f"The first result gives {weight}.", f"According to the search the weight is {weight}.")
        return Said(think, "answer", weight)
    half = _half_shown(scene, target)
    if half is None:
        return _show_half(scene, target) if not past else answer_at_once(scene)
    tile = read_tile(scene, target, half)
    if not tile.symbol:
        return answer_at_once(scene)
    think = scene.say(
        f"The framed tile says {tile.symbol}. I look the element up.",
        f"It is the element {tile.symbol}; its weight is not on the tile, so I search for it.",
    )
    return Said(think, "search", f"element {tile.symbol}")


def _look_up_outline(scene: Scene) -> Said:
    ask, past = scene.transcript.ask, scene.transcript.past
    if not past:
        think = scene.say(
            "I do not recognise this shape, so I search for the image.",
            "An image search should tell which country this is.",
        )
        return Said(think, "image_search")
    hits = past[-1].hits
    if past[-1].action == "image_search" and hits:
        think = scene.say(
            f'The best match is "{hits[0].title}". I search for that.', f'It looks like "{hits[0].title}".'
        )
        return Said(think, "search", hits[0].title)
    value = first_fact(hits, ask.fact) if past[-1].action == "search" else None
    if value is None:
        return answer_at_once(scene)
    think = scene.say(f"The first result mentions {value}.", f"From the first result I take {value}.")
    return Said(think, "answer", value)
