"""Facts that are on no image: find out what is shown, search for it, and check what the page is about."""

from __future__ import annotations

from pipeline.models.reader.careful_reading import next_crop, usable_looks
from pipeline.models.reader.lookup import KEYWORDS, country_in, stated_fact, stated_weight
from pipeline.models.reader.plain import answer_at_once
from pipeline.models.reader.reading import Target, locate
from pipeline.models.reader.scene import Said, Scene
from pipeline.models.reader.tile import Tile, read_tile

MAX_QUERIES = 3


def look_up_outline(scene: Scene) -> Said:
    """Find the country by its outline, then the fact on the country's page."""
    ask, past = scene.transcript.ask, scene.transcript.past
    if not past:
        think = scene.say(
            "I cannot name this country from its outline with certainty. An image search over the whole picture "
            "should find similar outlines.",
            f"To find the {ask.fact} I first need to know the country, so I search for the outline.",
        )
        return Said(think, "image_search")
    shown = next((step for step in past if step.action == "image_search"), None)
    countries = list(dict.fromkeys(country_in(hit.title) for hit in shown.hits)) if shown else []
    queries = [step for step in past if step.action == "search"]
    for step in reversed(queries):
        for country in countries:
            value = stated_fact(step.hits, country, ask.fact)
            if value is not None:
                return _state_fact(scene, country, value)
    return _ask_for_fact(scene, countries, len(queries))


def _state_fact(scene: Scene, country: str, value: str) -> Said:
    fact = scene.transcript.ask.fact
    think = scene.say(
        f"The page about {country} states {value} as the {fact}.",
        f"The outline was that of {country}, and the result on {country} gives {value}.",
    )
    return Said(think, "answer", value)


def _ask_for_fact(scene: Scene, countries: list[str], asked: int) -> Said:
    fact = scene.transcript.ask.fact
    words = KEYWORDS[fact][0]
    if not countries or asked >= MAX_QUERIES:
        return answer_at_once(scene)
    if asked == 0:
        query = f"{countries[0]} {words}"
        think = scene.say(
            f"The closest outline is that of {countries[0]}. Now I search for its {words}.",
            f"The shape matches {countries[0]} best. Next: its {fact}.",
        )
    elif asked == 1:
        query = f"{countries[0]} country profile"
        think = f"None of these results is about {countries[0]} itself. I try the country's own page."
    else:
        query = f"{countries[min(1, len(countries) - 1)]} {words}"
        think = "Still nothing about that country; I check the next best match of the outline."
    return Said(think, "search", query)


def look_up_tile(scene: Scene) -> Said:
    """Read the framed tile at full resolution, then find the weight of its element."""
    ask, past = scene.transcript.ask, scene.transcript.past
    target = locate(scene, ask.colour)
    if target is None:
        return answer_at_once(scene)
    queries = [step for step in past if step.action == "search"]
    tile = _tile(scene, target)
    if not queries and not (tile.symbol and tile.number):
        again = next_crop(scene, target)
        if again is not None:
            return again
    if not tile.symbol and not tile.number:
        return answer_at_once(scene)
    for step in reversed(queries):
        weight = stated_weight(step.hits, tile.symbol, tile.number)
        if weight is not None:
            think = scene.say(
                f"The result about element {tile.symbol or tile.number} gives a standard atomic weight of {weight}.",
                f"The page agrees with the tile and states {weight}.",
            )
            return Said(think, "answer", weight)
    return _ask_for_weight(scene, tile, len(queries))


def _tile(scene: Scene, target: Target) -> Tile:
    """Join what the looks so far tell, the latest first."""
    symbol = number = ""
    for look in reversed(usable_looks(scene, target)):
        tile = read_tile(scene, target, look)
        symbol, number = symbol or tile.symbol, number or tile.number
    return Tile(symbol, number)


def _ask_for_weight(scene: Scene, tile: Tile, asked: int) -> Said:
    if asked >= MAX_QUERIES:
        return answer_at_once(scene)
    if asked == 0 and tile.symbol:
        name = f"{tile.symbol}, number {tile.number}" if tile.number else tile.symbol
        think = scene.say(
            f"The framed tile shows {name}. Its weight is not printed, so I search for it.",
            f"At full resolution the tile reads {name}. Next I look up the standard atomic weight.",
        )
        return Said(think, "search", f"{tile.symbol} chemical element standard atomic weight")
    if tile.number and asked <= 1:
        think = f"I look for the element by its number, {tile.number}."
        return Said(think, "search", f"chemical element with atomic number {tile.number}")
    think = f"No result is about {tile.symbol or tile.number}; I word the query differently."
    return Said(think, "search", f"atomic weight {tile.symbol} {tile.number}".strip())
