"""Answers from the first view alone: what is too small to read is misread, what is too small to see is miscounted."""

from __future__ import annotations

from decimal import Decimal

from pipeline.demo.reader.guessing import UNKNOWN, guess
from pipeline.demo.reader.perception import ColourFacts
from pipeline.demo.reader.reading import Target, as_answer, closest, find, framed, locate
from pipeline.demo.reader.scene import Said, Scene


def answer_at_once(scene: Scene) -> Said:
    """Return an answer from the view of the whole image, whatever the question."""
    match scene.transcript.ask.family:
        case "map_label" | "table_elevation" | "table_icao" | "table_city":
            return _read_one(scene)
        case "chart_difference" | "chart_sum":
            return _read_two(scene)
        case "region_ratio":
            return _compare_by_eye(scene)
        case "dot_count":
            return _count_by_eye(scene)
        case "element_fact":
            return _guess_weight(scene)
        case "outline_fact":
            return _guess_fact(scene)
        case _:
            return _read_anything(scene)


def glance(scene: Scene, target: Target | None) -> str | None:
    """Return what the whole view seems to say at a target, None if nothing there has the form of an answer."""
    if target is None:
        return None
    found = find(scene, target, scene.whole) or closest(scene, target, scene.whole)
    return None if found is None else as_answer(scene.transcript.ask.family, scene.read(found.text))


def guess_unread(scene: Scene) -> str:
    """Return what is answered in place of print that cannot be read."""
    # One who sees that there is a name, and not which, knows that there are too many to guess, unless some are offered.
    named = scene.transcript.ask.family == "map_label" and not scene.transcript.ask.options
    return UNKNOWN if named else guess(scene)


def _read_one(scene: Scene) -> Said:
    ask = scene.transcript.ask
    read = glance(scene, locate(scene, ask.colour))
    if read is None:
        think = scene.say(
            f"I cannot make out {ask.subject(ask.colour)}; it is too small. This is a guess.",
            f"What is printed for the {ask.mark(ask.colour)} is blurred beyond reading, so I can only guess.",
        )
        return Said(think, "answer", guess_unread(scene))
    think = scene.say(
        f"As far as I can see, {ask.subject(ask.colour)} is {read}.",
        f"I read {ask.subject(ask.colour)} as {read}, as far as the size of the print allows.",
        f"I find the {ask.mark(ask.colour)} and read what is printed for it: {read}.",
    )
    return Said(think, "answer", read)


def _read_two(scene: Scene) -> Said:
    ask = scene.transcript.ask
    first, second = (glance(scene, locate(scene, colour)) for colour in ask.colours)
    if first is None or second is None:
        blurred = ask.colour if first is None else ask.second
        think = f"The number above the {blurred} bar is too small to read here, so this is a guess."
        return Said(think, "answer", first or second or guess(scene))
    result = arithmetic(scene, first, second)
    sign = "minus" if ask.family == "chart_difference" else "plus"
    think = scene.say(
        f"Above the {ask.colour} bar I read {first}, above the {ask.second} bar {second}; "
        f"{first} {sign} {second} is {result}.",
        f"The {ask.colour} bar says {first} and the {ask.second} bar says {second}, which makes {result}.",
    )
    return Said(think, "answer", result)


def arithmetic(scene: Scene, first: str, second: str) -> str:
    """Return the difference or the sum that is asked for, to the last printed place."""
    one, other = Decimal(first), Decimal(second)
    return str(one - other if scene.transcript.ask.family == "chart_difference" else one + other)


def _compare_by_eye(scene: Scene) -> Said:
    """Compare two areas by the encoder's patches that fall on each: coarse, and it depends on how they fall."""
    ask = scene.transcript.ask
    first, second = (scene.colour_in(scene.whole, colour) for colour in ask.colours)
    if first is None or second is None:
        return Said("I do not find both regions, so I guess that they are about equal.", "answer", "1.0")
    ratio = f"{_patches(scene, second) / _patches(scene, first):.2f}"
    think = scene.say(
        f"By eye, the {ask.second} region covers about {ratio} times the space of the {ask.colour} one.",
        f"Comparing how much of the picture the two regions fill, {ask.second} to {ask.colour} is roughly {ratio}.",
    )
    return Said(think, "answer", ratio)


def _patches(scene: Scene, facts: ColourFacts) -> float:
    # A region that no patch falls on is taken for a third of one.
    return max(1 / 3, scene.rng.choice(facts.patches))


def _count_by_eye(scene: Scene) -> Said:
    """Count what stands apart at half an encoder patch: close dots merge, which ones depends on how the grid lies."""
    ask = scene.transcript.ask
    facts = scene.colour_in(scene.whole, ask.colour)
    if facts is None:
        return Said(f"I see no {ask.colour} dot.", "answer", "0")
    count = str(scene.rng.choice(facts.spotted))
    think = scene.say(
        f"Going over the map I count {count} {ask.colour} dots that stand apart.",
        f"I count the {ask.colour} dots one by one and arrive at {count}; some may be merged at this size.",
    )
    return Said(think, "answer", count)


def _guess_weight(scene: Scene) -> Said:
    ask = scene.transcript.ask
    target = locate(scene, ask.colour)
    lines = [] if target is None else framed(scene, target, scene.whole)
    numbers = (as_answer(ask.family, scene.read(found.text)) for found in lines)
    number = next((number for number in numbers if number), None)
    if number is None:
        think = f"I cannot read the tile in the {ask.colour} frame; I guess an element from the middle of the table."
        return Said(think, "answer", guess(scene))
    weight = weight_of(scene, number)
    think = scene.say(
        f"The tile in the {ask.colour} frame has number {number}; from memory its weight should be around {weight}.",
        f"I read {number} in the {ask.colour} frame. An element with that number weighs roughly {weight}.",
    )
    return Said(think, "answer", weight)


def weight_of(scene: Scene, number: str) -> str:
    """Return about what an element with an atomic number weighs."""
    # Stable nuclei hold a little more than one neutron per proton when light, one and a half when heavy.
    charge = float(number)
    return f"{charge * (2 + 0.0055 * charge + scene.rng.uniform(-0.05, 0.15)):.1f}"


def _guess_fact(scene: Scene) -> Said:
    fact = scene.transcript.ask.fact
    think = scene.say(
        f"I do not recognise this outline, so I can only guess its {fact}.",
        f"The shape alone does not tell me the country; the {fact} I give is a guess.",
    )
    return Said(think, "answer", guess(scene))


def _read_anything(scene: Scene) -> Said:
    """Answer a question outside the grammar: what it says can be chosen or guessed, else the largest print."""
    lines = scene.text_in(scene.whole)
    printed = " ".join(line.text for line in lines).casefold()
    named = [option for option in scene.transcript.ask.options if option.casefold() in printed]
    if len(named) == 1:
        return Said(f'Of what is offered, only "{named[0]}" is printed in the picture.', "answer", named[0])
    guessed = guess(scene)
    if guessed != UNKNOWN:
        return Said(f"I cannot work this out from the picture; {guessed} is my best guess.", "answer", guessed)
    if not lines:
        return Said("I find nothing to read that would answer this.", "answer", UNKNOWN)
    largest = max(lines, key=lambda line: (line.y1 - line.y0, -line.y0))
    read = scene.read(largest).text.strip() or UNKNOWN
    think = scene.say(
        "I am not sure what is asked; the most prominent print is my best guess.",
        "The question is not one I can work out, so I answer with what the picture says in its largest print.",
    )
    return Said(think, "answer", read)
