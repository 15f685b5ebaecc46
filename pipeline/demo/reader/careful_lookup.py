"""Facts that are on no image: find out what is shown, search for it, and check what the page is about."""

from __future__ import annotations

from pipeline.demo.reader.careful_reading import next_crop, usable_looks
from pipeline.demo.reader.conversation import Past
from pipeline.demo.reader.plain import answer_at_once
from pipeline.demo.reader.reading import Target, Tile, locate, read_tile
from pipeline.demo.reader.scene import Said, Scene
from pipeline.demo.reader.searching import (
    KEYWORDS,
    country_in,
    element_name,
    is_known,
    listed_fact,
    stated_fact,
    stated_weight,
)

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
    country = _country(countries, queries)
    for step in reversed(queries):
        value = stated_fact(step.hits, country, ask.fact)
        if value is not None:
            think = scene.say(
                f"The page about {country} states {value} as the {ask.fact}.",
                f"The outline was that of {country}, and the result on {country} gives {value}.",
            )
            return Said(think, "answer", value)
    for step in reversed(queries):
        value = listed_fact(step.hits, country, ask.fact)
        if value is not None:
            think = f"A list that names {country} gives {value} for it, which has the form of an {ask.fact}."
            return Said(think, "answer", value)
    return _ask_for_fact(scene, country, len(queries))


def _country(countries: list[str], queries: list[Past]) -> str:
    """Return the best match of the outline; the next one when a search found no page about the one before."""
    for country in countries:
        asked = [step for step in queries if country in step.argument]
        if not asked or any(is_known(step.hits, country) for step in asked):
            return country
    return countries[0] if countries else ""


def _ask_for_fact(scene: Scene, country: str, asked: int) -> Said:
    fact = scene.transcript.ask.fact
    words = KEYWORDS[fact][0]
    if not country or asked >= MAX_QUERIES:
        return answer_at_once(scene)
    match asked:
        case 0:
            query = f"{country} {words}"
            think = scene.say(
                f"The closest outline is that of {country}. Now I search for its {words}.",
                f"The shape matches {country} best. Next: its {fact}.",
            )
        case 1:
            query = f"{fact} of {country}"
            think = scene.say(
                f"No excerpt states the {words} of {country} in full. I spell the question out.",
                f"The results are close, but the {words} of {country} itself is cut off. I word it differently.",
            )
        case _:
            query = f"neighbours {country}"
            think = f"The page's excerpt still ends too early. A list of neighbours may name the code of {country}."
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
    hits = [hit for step in queries for hit in step.hits]
    name = element_name(hits, tile.symbol, tile.number)
    weight = stated_weight(hits, name) if name else None
    if weight is not None:
        think = scene.say(
            f"The page about {name} gives a standard atomic weight of {weight}.",
            f"The tile is that of {name}, and its page states {weight}.",
        )
        return Said(think, "answer", weight)
    return _ask_for_weight(scene, tile, name, queries)


def _tile(scene: Scene, target: Target) -> Tile:
    """Join what the looks so far tell, the latest first."""
    symbol = number = ""
    for look in reversed(usable_looks(scene, target)):
        tile = read_tile(scene, target, look)
        symbol, number = symbol or tile.symbol, number or tile.number
    return Tile(symbol, number)


def _ask_for_weight(scene: Scene, tile: Tile, name: str | None, queries: list[Past]) -> Said:
    shown = ", number ".join(filter(None, tile))
    asked = {step.argument for step in queries}
    if not queries:
        think = scene.say(
            f"The framed tile shows {shown}. Its weight is not printed, so I search for it.",
            f"In the crop the tile reads {shown}. Next I look up the standard atomic weight.",
        )
        return Said(think, "search", f"chemical element {tile.symbol or tile.number} standard atomic weight")
    for query in (f"{name} weight", f"atomic weight of {name} in the periodic table") if name else ():
        if query not in asked and len(queries) < MAX_QUERIES:
            think = scene.say(
                f"The element is {name}, but the excerpt ends before its weight. I search by name.",
                f"{name} fits the tile. The weight itself is cut off, so I ask again.",
            )
            return Said(think, "search", query)
    query = f"element with symbol {tile.symbol} and number {tile.number}"
    if name is None and query not in asked and len(queries) < MAX_QUERIES:
        return Said(f"No excerpt states the weight of the element {shown}; I describe it instead.", "search", query)
    return answer_at_once(scene)
