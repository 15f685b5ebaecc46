"""Facts of the world that the demo asks for: each only where two independent packages agree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from pipeline.demo.corpus.geography import Country, countries
from pipeline.demo.corpus.packages import query, read_json
from pipeline.demo.vocabulary import FACTS

WEIGHT_AGREEMENT = 0.005
"""Largest relative difference of two atomic weights; the question allows 1 %."""


class Fact(NamedTuple):
    """A value, every spelling that is right (the usual one first), and who agrees."""

    answers: tuple[str, ...]
    field: str
    """In the file of countryinfo."""
    second_package: str
    second_value: str


class KnownCountry(NamedTuple):
    """A country for which all of `FACTS` are agreed upon."""

    country: Country
    facts: dict[str, Fact]
    """By the wording of `FACTS`."""


class Element(NamedTuple):
    """A chemical element whose standard atomic weight is agreed upon."""

    number: int
    symbol: str
    name: str
    weight: float
    """As mendeleev has it."""
    second_weight: float
    """As periodictable has it."""
    stable: bool
    """Elements without a stable isotope have no standard atomic weight."""


@cache
def known_countries() -> tuple[KnownCountry, ...]:
    """Return the countries of countryinfo with an outline and three facts that other packages confirm."""
    return tuple(_known_countries())


def _known_countries() -> Iterator[KnownCountry]:
    for country in countries():
        facts = _facts(country)
        if facts is not None:
            yield KnownCountry(country, dict(zip(FACTS, facts, strict=True)))


def _facts(country: Country) -> tuple[Fact, Fact, Fact] | None:
    """Return the facts if countryinfo names one value for each, and the second source the same."""
    import phonenumbers
    import pycountry
    from babel.numbers import get_territory_currencies

    record = read_json("countryinfo", f"data/{country.file}")
    standard = pycountry.countries.get(alpha_3=country.alpha3)
    domain = f".{standard.alpha_2.lower()}" if standard else ""
    calling = str(phonenumbers.country_code_for_region(country.alpha2))
    # Babel and countryinfo may both be late; ISO 4217 drops a code when it is no longer money.
    currencies = [code for code in get_territory_currencies(country.alpha2) if pycountry.currencies.get(alpha_3=code)]
    if (record.get("tld"), record.get("callingCodes"), record.get("currencies")) != (
        [domain],
        [calling],
        currencies[:1] if len(currencies) == 1 else None,
    ):
        return None
    return (
        Fact((domain, domain[1:]), "tld", "pycountry", domain[1:]),
        Fact((f"+{calling}", calling), "callingCodes", "phonenumbers", calling),
        Fact((currencies[0],), "currencies", "babel", currencies[0]),
    )


@cache
def elements() -> tuple[Element, ...]:
    """Return the elements whose weight is agreed upon, by atomic number."""
    import periodictable

    rows = query(
        "mendeleev",
        "elements.db",
        "SELECT atomic_number, symbol, name, atomic_weight, is_radioactive FROM elements ORDER BY atomic_number",
    )
    found = (
        Element(
            row["atomic_number"],
            row["symbol"],
            row["name"],
            row["atomic_weight"],
            float(periodictable.elements[row["atomic_number"]].mass),
            not row["is_radioactive"],
        )
        for row in rows
        if row["atomic_weight"]
    )
    return tuple(e for e in found if abs(e.second_weight / e.weight - 1) <= WEIGHT_AGREEMENT)


def country_record(country: Country) -> dict[str, object]:
    """Return all that countryinfo has on a country, for the pages."""
    record: dict[str, object] = read_json("countryinfo", f"data/{country.file}")
    return record
