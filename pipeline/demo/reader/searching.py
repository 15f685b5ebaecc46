"""Queries, and how a value is taken from what a search found."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.demo.reader.conversation import Hit

FORMS = {
    "internet country code top-level domain": re.compile(r"(?<![\w.])\.[a-z]{2}\b"),
    "international telephone calling code": re.compile(r"\+\d{1,4}(?:[ -]\d{1,4})*"),
    "ISO 4217 currency code": re.compile(r"\b[A-Z]{3}\b"),
}
"""Fact → what its values look like."""
KEYWORDS = {
    "internet country code top-level domain": ("top-level domain", "internet domain", "domain"),
    "international telephone calling code": ("calling code", "telephone", "dial"),
    "ISO 4217 currency code": ("ISO 4217 currency code", "currency"),
}
"""Fact → words that stand beside it, best first; the first is also what a careful query says."""
_DECIMAL = re.compile(r"\d+\.\d+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_OUTLINE = re.compile(r"^(?:Outline|Map|Shape|Borders?) of (?:the )?(.+)$")


def country_in(title: str) -> str:
    """Return what a title of an image search is the outline of; the title itself if it does not say."""
    found = _OUTLINE.match(title.strip())
    return found.group(1) if found else title.strip()


def first_fact(hits: Iterable[Hit], fact: str) -> str | None:
    """Return the first value of the right form in the first hit, whatever it says."""
    for hit in hits:
        found = FORMS[fact].search(hit.snippet)
        return found.group() if found else None
    return None


def stated_fact(hits: Iterable[Hit], country: str, fact: str) -> str | None:
    """Return the value that follows the fact's keyword on the page about `country`."""
    for hit in hits:
        if hit.title.casefold() == country.casefold():
            value = _after(hit.snippet, KEYWORDS[fact], FORMS[fact])
            if value is not None:
                return value
    return None


def listed_fact(hits: Iterable[Hit], country: str, fact: str) -> str | None:
    """Return the value in a list such as `Niger (.ne, +227, XOF)`, on whatever page it stands."""
    for hit in hits:
        for listed in re.findall(rf"(?:^|[;…] ?|\bare ){re.escape(country)} \(([^)]*)\)", hit.snippet):
            value = FORMS[fact].search(listed)
            if value is not None:
                return value.group()
    return None


def is_known(hits: Iterable[Hit], country: str) -> bool:
    """Return whether a page is about `country`."""
    return any(hit.title.casefold() == country.casefold() for hit in hits)


def element_name(hits: Iterable[Hit], symbol: str, number: str) -> str | None:
    """Return the title of the page that says it is about the element with this symbol or number."""
    for hit in hits:
        said = re.search(r"\bsymbol (\w+) and the number (\d+)", hit.snippet)
        if said and (said[1] == symbol or said[2] == number):
            return hit.title
    return None


def first_weight(hits: Iterable[Hit]) -> str | None:
    """Return the first decimal number of the first hit."""
    for hit in hits:
        found = _DECIMAL.search(hit.snippet)
        return found.group() if found else None
    return None


def stated_weight(hits: Iterable[Hit], name: str) -> str | None:
    """Return the atomic weight on the page about the element called `name`."""
    for hit in hits:
        if hit.title == name:
            value = _after(hit.snippet, ("atomic weight", "atomic mass"), _NUMBER)
            if value is not None:
                return value
    return None


def _after(snippet: str, keywords: Iterable[str], form: re.Pattern[str]) -> str | None:
    """Return the first value after a keyword, at most a sentence away; keywords are tried in order."""
    for keyword in keywords:
        for place in re.finditer(re.escape(keyword), snippet, re.IGNORECASE):
            sentence = re.split(r"(?<=[.;])\s+(?=[A-Z])", snippet[place.end() :], maxsplit=1)[0]
            found = form.search(sentence)
            if found:
                return found.group()
    return None
