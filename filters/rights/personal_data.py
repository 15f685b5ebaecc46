"""Personal data in texts, by pattern and checksum: kinds and how often, never what was found.

A number is personal data only where it cannot well be another number. A checksum that chance passes once in a hundred
times or more is not enough in a field of charts, tables and mathematics: beside such a number a word must say what it
is. Addresses of reserved domains (RFC 2606) and of private networks are nobody's.

Not covered: names, street addresses, faces, and national ids beyond those named here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from ipaddress import ip_address
from typing import NamedTuple
from unicodedata import normalize

from pipeline.records import PersonalKind

_NEAR = 40
"""Characters before a number in which a word may say what it is: `Kreditkartennummer (Visa): `."""


class _Pattern(NamedTuple):
    """How one kind of personal data is written."""

    kind: PersonalKind
    form: re.Pattern[str]
    check: Callable[[str], bool]
    words: re.Pattern[str] | None = None
    """One of which must stand before it; None: the form and the check suffice."""


def personal_data(text: str) -> Counter[PersonalKind]:
    """Return how often each kind stands in a text. Linear; of two readings of the same characters the first counts."""
    found: Counter[PersonalKind] = Counter()
    plain = _plain(text)
    if not any(char.isdecimal() or char == "@" for char in plain):
        return found
    for pattern in _patterns():
        plain = pattern.form.sub(partial(_without, pattern, found), plain)
    return found


def _without(pattern: _Pattern, found: Counter[PersonalKind], match: re.Match[str]) -> str:
    """Count a place where a pattern holds, and return what stands there for the patterns after it."""
    before = match.string[max(0, match.start() - _NEAR) : match.start()]
    if (pattern.words is not None and pattern.words.search(before) is None) or not pattern.check(match[0]):
        return match[0]
    found[pattern.kind] += 1
    return "\0" * len(match[0])


def _plain(text: str) -> str:
    """Return a text with wide forms and the digits of all scripts as those of ASCII."""
    if text.isascii():
        return text
    return re.sub(r"\d", lambda digit: str(int(digit[0])), normalize("NFKC", text))


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


# Beside the domains of countries, of two letters: in code `a@b.mean` is a product of matrices.
_GENERIC = (
    "com|net|org|edu|gov|mil|int|info|biz|name|mobi|pro|app|dev|cloud|online|shop|site|store|tech|xyz|email|jobs|museum"
    "|travel|eu|africa|asia|berlin|london|paris"
)
_EMAIL = re.compile(
    rf"(?<![\w.+-])[\w.+-]{{1,64}}@(?:[\w-]{{1,63}}\.){{1,8}}(?:[a-z]{{2}}|{_GENERIC})(?![\w(@-]|\.\w)", re.IGNORECASE
)
_RESERVED = re.compile(r"[@.](?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost)$", re.IGNORECASE)

# Prefixes of the networks (ISO/IEC 7812; BIN ranges as the networks publish them): Visa, Mastercard, American Express,
# Discover, JCB, UnionPay.
_NETWORK = re.compile(r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|6(?:011|4[4-9]|5)|35(?:2[89]|[3-8])|62")
_CARD = re.compile(
    r"(?<![\w.])\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\w.-])|(?<![\w.])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?![\w-])"
)
_OF_CARDS = (
    r"card|visa|master|amex|american express|credit|debit|karte|carte|tarjeta|cart[aã]o|बैंक कार्ड|कार्ड|بطاقة|卡|カード"
)
_OF_PHONES = (
    r"(?<!\w)(?:tel|phone|telephone|mobile|cell|fax|whatsapp|call|telefon|handy|mobil|ruf(?:en|nummer)?|téléphone"
    r"|portable|appele[zr]|teléfono|móvil|celular|llam[ae]|telefone|ligue|फ़ोन|फोन|मोबाइल|هاتف|الهاتف|جوال|رقم الهاتف)\b"
    r"|电话|手机|電話|携帯"
)
_PHONE = re.compile(r"(?<![\w.,/-])\(?\d[\d ().\-/]{5,18}\d(?![\w%]|[.,]\d)")
_PLUS = re.compile(r"(?<![\w+.])\+\(?\d[\d ().\-/]{5,20}\d(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_DMS = r"\d{1,3}\s?°\s?\d{1,2}\s?['\u2032\u2019]\s?\d{1,2}(?:\.\d+)?\s?(?:[\"\u2033\u201d]|['\u2032]{2})?\s?"
_DECIMAL = r"[-\u2212]?\d{1,3}\.\d{4,}"
"""Four decimals of a degree are 11 metres."""
_SECONDS = re.compile(rf"{_DMS}[NS]\W{{0,3}}{_DMS}[EWO]")
_PLACES = re.compile(
    rf"{_DECIMAL}\s?°?\s?[NS][,;\s]{{1,3}}{_DECIMAL}\s?°?\s?[EWO](?!\w)"
    rf"|(?<=[/=]@){_DECIMAL},{_DECIMAL}|(?<=geo:){_DECIMAL},{_DECIMAL}"
)
_BARE_PLACE = re.compile(rf"{_DECIMAL}°?\s?[,;]\s?(?:[\"']?\w{{3,12}}[\"']?\s?[:=]\s?)?{_DECIMAL}")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]\d|\w)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){3,7}(?![\w:])", re.IGNORECASE)


@cache
def _patterns() -> tuple[_Pattern, ...]:
    """Return all patterns, the surest first. The libraries that know the numbers take a third of a second to load."""
    from stdnum.br import cpf
    from stdnum.cn import ric
    from stdnum.de import idnr
    from stdnum.es import dni, nie
    from stdnum.fr import nir
    from stdnum.in_ import aadhaar
    from stdnum.it import codicefiscale
    from stdnum.jp import in_
    from stdnum.us import ssn

    def national(form: str, check: Callable[[str], bool], words: str = "") -> _Pattern:
        return _Pattern("national_id", re.compile(form), check, _words(words) if words else None)

    return (
        _Pattern("email", _EMAIL, lambda text: _RESERVED.search(text) is None),
        _Pattern("iban", _IBAN, _is_iban),
        # Dates, regions and one check digit in 18, two in 11 under a form of their own, 97 in 15, letters in 16.
        national(r"(?<![\w.])\d{17}[\dXx](?![\w.])", ric.is_valid),
        national(r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])", cpf.is_valid),
        national(r"(?<![\w.])[12] ?\d{2} ?[01]\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}(?![\w.])", nir.is_valid),
        national(r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b", codicefiscale.is_valid),
        national(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", ssn.is_valid, r"\bssn\b|social security"),
        national(r"(?<![\w.])\d{4}[ -]?\d{4}[ -]?\d{4}(?![\w-])", aadhaar.is_valid, r"aadhaar|आधार"),
        national(r"(?<![\w.])\d{4}[ -]?\d{4}[ -]?\d{4}(?![\w-])", in_.is_valid, r"my ?number|マイナンバー|個人番号"),
        national(
            r"(?<![\w.])\d{2} ?\d{3} ?\d{3} ?\d{3}(?!\w)",
            idnr.is_valid,
            r"steuer-?id|identifikationsnummer|\bidnr|tax id",
        ),
        national(
            r"\b(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]\b", lambda text: dni.is_valid(text) or nie.is_valid(text), _OF_SPAIN
        ),
        _Pattern("card", _CARD, _is_card, _words(_OF_CARDS)),
        _Pattern("coordinates", _SECONDS, bool),
        _Pattern("coordinates", _PLACES, _is_place),
        _Pattern(
            "coordinates", _BARE_PLACE, _is_place, _words(r"\b(?:gps|lat|latitude|geolocation|geotag)\b|纬度|緯度")
        ),
        _Pattern("ip_address", _IPV6, _is_global),
        _Pattern("ip_address", _IPV4, _is_global, _words(r"\bip\b|ip[_ -]?(?:addr|v4)|remote_addr|://$|IP-Adresse")),
        _Pattern("phone", _PLUS, _is_phone),
        _Pattern("phone", _PHONE, _has_length_of_phone, _words(rf"(?:{_OF_PHONES})[^\d\n]{{0,16}}$")),
    )


_OF_SPAIN = r"\b(?:dni|nif|nie)\b|documento nacional"


def _words(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


def _is_iban(text: str) -> bool:
    """Return whether a text begins with an IBAN of its country's length: words in capitals may follow."""
    from stdnum import iban

    parts = text.split(" ")
    return any(iban.is_valid("".join(parts[:count])) for count in range(1, len(parts) + 1))


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = _digits(text)
    # Fifteen of American Express, nineteen of UnionPay, sixteen of all others.
    return len(digits) in {15, 16, 19} and _NETWORK.match(digits) is not None and luhn.is_valid(digits)


def _is_phone(text: str) -> bool:
    """Return whether a text begins with a number that a country's plan knows: other numbers may follow."""
    import phonenumbers

    matches = phonenumbers.PhoneNumberMatcher(text, None)
    return matches.has_next() and matches.next().start == 0


def _has_length_of_phone(text: str) -> bool:
    """Return whether a number has the digits of a national one, to the longest of E.164, and is no decimal fraction."""
    return 7 <= len(_digits(text)) <= 15 and not re.fullmatch(r"\d*\.\d*", text)  # noqa: PLR2004 - as said


def _is_place(text: str) -> bool:
    """Return whether degrees are on the globe, and none of the origin of a coordinate system."""
    latitude, longitude = (abs(float(number)) for number in re.findall(r"\d{1,3}\.\d+", text)[:2])
    return 1 <= latitude <= 90 and longitude <= 180  # noqa: PLR2004 - degrees


def _is_global(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False
