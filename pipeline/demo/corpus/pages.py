"""What the searches find: short pages made from tables, among them many that match but do not answer, and pictures.

Pictures are small renders of every outline, near-duplicates of the sheets among them, and other shapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from PIL import Image

from pipeline.demo.corpus.canvas import seeded
from pipeline.demo.corpus.facts import country_record
from pipeline.demo.corpus.geography import Country, areas, countries
from pipeline.demo.corpus.outlines import draw_outline
from pipeline.demo.corpus.packages import query, read_csv
from pipeline.demo.vocabulary import RGB


class Page(NamedTuple):
    """One line of `pages.jsonl`."""

    url: str
    title: str
    text: str
    date: str | None = None


def pages() -> Iterator[Page]:
    """Yield all pages; they depend on the packages alone."""
    records = [(country, country_record(country)) for country in countries()]
    yield from _country_pages(records)
    yield from _member_pages(records)
    yield from _element_pages()
    yield from _airport_pages()
    yield from _earthquake_pages()
    for state in areas("us_states"):
        yield Page(f"local://state/{state.key}", state.name, f"{state.name} ({state.key}) is one of the United States.")


_Records = list[tuple[Country, dict[str, Any]]]


def _country_pages(records: _Records) -> Iterator[Page]:
    """Yield a page per country, one about its neighbours and one about its capital."""
    by_code = {country.alpha3: (country, record) for country, record in records}
    for country, record in records:
        name, code = country.name, country.alpha3
        neighbours = [by_code[other] for other in record.get("borders") or [] if other in by_code]
        yield Page(f"local://country/{code}", name, _country_text(country, record, [n.name for n, _ in neighbours]))
        if neighbours:
            each = "; ".join(f"{other.name} ({_codes(facts)})" for other, facts in neighbours)
            yield Page(f"local://neighbours/{code}", f"Neighbours of {name}", f"The neighbours of {name} are {each}.")
        if record.get("capital"):
            place = ", ".join(f"{degree:.2f}°" for degree in record.get("capital_latlng") or ())
            text = f"{record['capital']} is the capital of {name} in {_part(record)}. It lies at {place}."
            yield Page(f"local://capital/{code}", record["capital"], text)


def _country_text(country: Country, record: dict[str, Any], neighbours: list[str]) -> str:
    """Say what is known in an order of the country's own, so that no fact is always the first."""
    name = country.name
    sentences = [
        f"Its capital is {record['capital']}." if record.get("capital") else "It has no capital.",
        f"It covers {record.get('area')} square kilometres.",
        f"It has borders with {', '.join(neighbours)}." if neighbours else "It has no land border.",
        f"Languages spoken there: {', '.join(map(_language, record.get('languages') or [])) or 'not known'}.",
        f"Time zones: {', '.join(record.get('timezones') or []) or 'not known'}.",
        f"Its internet country code top-level domain is {' and '.join(record.get('tld') or ['not known'])}.",
        f"Its international telephone calling code is {_calling(record)}.",
        f"Payments are made in {_money(record)}.",
    ]
    seeded("page", country.alpha3).shuffle(sentences)
    opening = f"{name} ({country.alpha3}) is a country in {_part(record)}."
    return " ".join([opening, *sentences])


def _part(record: dict[str, Any]) -> str:
    """Return the part of the world."""
    return record.get("subregion") or record.get("region") or "no part of the world"


def _calling(record: dict[str, Any]) -> str:
    return " and ".join(f"+{code}" for code in record.get("callingCodes") or []) or "not known"


def _codes(record: dict[str, Any]) -> str:
    return ", ".join([*(record.get("tld") or []), _calling(record), *(record.get("currencies") or [])])


def _money(record: dict[str, Any]) -> str:
    return (
        " and ".join(f"{_currency(code)}, ISO 4217 currency code {code}" for code in record.get("currencies") or [])
        or "several currencies"
    )


def _currency(code: str) -> str:
    import pycountry

    currency = pycountry.currencies.get(alpha_3=code)
    return currency.name if currency else "a currency that is no longer used"


def _language(code: str) -> str:
    import pycountry

    language = pycountry.languages.get(alpha_2=code)
    return language.name if language else code


def _member_pages(records: _Records) -> Iterator[Page]:
    """Yield a page per currency, language and part of the world with the countries it belongs to."""
    for code, names in _members(records, "currencies"):
        text = f"{_currency(code)} (code {code}) is money in {names}."
        yield Page(f"local://currency/{code}", _currency(code), text)
    for code, names in _members(records, "languages"):
        text = f"{_language(code)}, a language with the ISO 639 code {code}, is spoken in {names}."
        yield Page(f"local://language/{code}", _language(code), text)
    for place, names in _members(records, "subregion"):
        yield Page(f"local://region/{place}", place, f"{place} has the countries {names}.")


def _members(records: _Records, field: str) -> Iterable[tuple[str, str]]:
    members: dict[str, list[str]] = defaultdict(list)
    for country, record in records:
        value = record.get(field) or []
        for key in [value] if isinstance(value, str) else value:
            members[key].append(country.name)
    return sorted((key, ", ".join(names)) for key, names in members.items())


def _element_pages() -> Iterator[Page]:
    """Yield a page per element and one about its isotopes, whose masses are not the standard weight."""
    masses: dict[int, list[str]] = defaultdict(list)
    for row in query(
        "mendeleev",
        "elements.db",
        "SELECT atomic_number, mass_number, mass FROM isotopes WHERE mass IS NOT NULL AND abundance > 0 "
        "ORDER BY atomic_number, mass_number",
    ):
        masses[row["atomic_number"]].append(f"{row['mass_number']} with a mass of {row['mass']:.4f}")
    for row in query("mendeleev", "elements.db", "SELECT * FROM elements ORDER BY atomic_number"):
        symbol, name = row["symbol"], row["name"]
        yield Page(f"local://element/{symbol}", name, _element_text(dict(row)))
        if masses[row["atomic_number"]]:
            listed = ", ".join(masses[row["atomic_number"]])
            text = f"Isotopes of the element {name} ({symbol}) that are found in nature: {listed}."
            yield Page(f"local://isotopes/{symbol}", f"Isotopes of {name}", text)


def _element_text(row: dict[str, Any]) -> str:
    name = row["name"]
    facts = {
        f"The standard atomic weight of {name} is": row["atomic_weight"],
        "Its density in grams per cubic centimetre is": row["density"],
        "Its electronegativity on the scale of Pauling is": row["en_pauling"],
        f"{name} was discovered in the year": row["discovery_year"],
        "It stands in the group": row["group_id"],
        "Its radius in picometres, by Cordero, is": row["covalent_radius_cordero"],
    }
    sentences = [f"{text} {value:.8g}." for text, value in facts.items() if value is not None]
    seeded("page", row["symbol"]).shuffle(sentences)
    opening = f"{name} is the chemical element with the symbol {row['symbol']} and the number {row['atomic_number']}."
    return " ".join([opening, *sentences])


def _airport_pages() -> Iterator[Page]:
    """Yield a page per airport of the airports named international that have an IATA code."""
    for row in read_csv("airportsdata", "airports.csv"):
        if row["iata"] and "International" in row["name"]:
            text = (
                f"{row['name']} (IATA {row['iata']}, ICAO {row['icao']}) serves {row['city']} in {row['country']}. "
                f"Its elevation is {row['elevation']} feet and its time zone {row['tz']}."
            )
            yield Page(f"local://airport/{row['icao']}", row["name"], text)


def _earthquake_pages() -> Iterator[Page]:
    for row in read_csv("hvsampledata", "_data/earthquakes.csv"):
        text = f"An earthquake of magnitude {row['mag']} was measured {row['place']}, {row['depth']} km deep."
        yield Page(f"local://earthquake/{row['time']}", f"Earthquake, {row['place']}", text, row["time"][:10])


SIZE = (320, 240)
FILLS: tuple[RGB, ...] = ((200, 205, 190), (170, 190, 210), (215, 190, 165), (160, 160, 160))
PADDINGS = (16, 22, 28)
LINES = (1, 2, 3)


class Picture(NamedTuple):
    """One entry of `gallery.jsonl`."""

    url: str
    title: str
    name: str
    """File name without extension."""
    image: Image.Image


def pictures() -> Iterator[Picture]:
    """Yield all countries with an outline, then the states of the US, each in a style of its own."""
    named = [("country", c.alpha3, c.name, c.shape) for c in countries()]
    named += [("state", a.key, a.name, a.shape) for a in areas("us_states")]
    for kind, key, name, shape in named:
        rng = seeded("gallery", key)
        image = draw_outline(shape, SIZE, rng.choice(PADDINGS), rng.choice(FILLS), rng.choice(LINES))
        yield Picture(f"local://{kind}/{key}", f"Outline of {name}", f"{kind}-{key}", image)
