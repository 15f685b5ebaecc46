"""Areas and counts, measured in Python on the original pixels."""

from __future__ import annotations

import re

from pipeline.demo.reader import programs
from pipeline.demo.reader.places import within
from pipeline.demo.reader.plain import answer_at_once
from pipeline.demo.reader.scene import Said, Scene


def compare_areas(scene: Scene) -> Said:
    """Count the pixels of both regions."""
    ask, past = scene.transcript.ask, scene.transcript.past
    facts = {word: scene.colour_in(scene.whole, word) for word in ask.colours}
    found = {word: fact for word, fact in facts.items() if fact is not None}
    if len(found) < len(facts):
        return answer_at_once(scene)
    if not past:
        # A view pixel more on each side: edges are where the view is least exact.
        parts = {
            word: within(scene.whole.to_original(fact.extent), scene.image, 2 * scene.whole.scale)
            for word, fact in found.items()
        }
        colours = {word: fact.rgb for word, fact in found.items()}
        think = scene.say(
            f"A ratio within 3 % cannot be judged by eye. I count the pixels of the {ask.colour} and the "
            f"{ask.second} region in the original image.",
            f"Both shapes are irregular, so I measure them: the number of {ask.second} pixels divided by the "
            f"number of {ask.colour} pixels is the ratio that is asked for.",
            f"The {ask.colour} and {ask.second} regions can be counted exactly, pixel by pixel, with numpy.",
        )
        return Said(think, "python", programs.areas(ask.colour, ask.second, colours, parts))
    printed = re.findall(r"\d+\.\d+", past[-1].stdout)
    if not printed:
        return answer_at_once(scene)
    ratio = f"{float(printed[-1]):.3f}"
    think = scene.say(
        f"The counts give {printed[-1]}, so the {ask.second} region is about {ratio} times as large.",
        f"{ask.second.capitalize()} divided by {ask.colour} is {printed[-1]}; rounded, {ratio}.",
    )
    return Said(think, "answer", ratio)


def count_dots(scene: Scene) -> Said:
    """Count connected patches of the colour."""
    ask, past = scene.transcript.ask, scene.transcript.past
    facts = scene.colour_in(scene.whole, ask.colour)
    if facts is None:
        return answer_at_once(scene)
    if not past:
        think = scene.say(
            f"There are dozens of {ask.colour} dots and some nearly touch at this size. I label the connected "
            "patches of that colour in the original image.",
            f"I see about {len(facts.blobs)} {ask.colour} patches, but neighbours may have merged. Counting connected "
            "components at full resolution settles it.",
            f"Rather than counting by eye I mask the {ask.colour} pixels and count the separate patches.",
        )
        return Said(think, "python", programs.count_dots(ask.colour, facts.rgb))
    counted = re.search(r"dots: (\d+)", past[-1].stdout)
    if counted is None:
        return answer_at_once(scene)
    think = scene.say(
        f"The mask falls into {counted[1]} patches of similar size, one for each dot.",
        f"{counted[1]} separate {ask.colour} dots were found, and their sizes are alike, so none have merged.",
    )
    return Said(think, "answer", counted[1])
