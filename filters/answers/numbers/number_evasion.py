"""What makes a text with a number in it no single number: a bound, a range, a hedge, a denial, several numbers.

These are the guards against gaming for numbers; what they do not decide stays with `grade_numbers`.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from filters.answers.evasion import corrects, refuses
from filters.answers.numbers.measures import is_unit
from filters.answers.numbers.quantities import NO_UNIT, NUMBER_WORDS, NUMERAL, read_number, read_numeral, within
from filters.answers.numbers.ranges import read_range
from filters.answers.text import Grade

# What leaves the number open: a bound, a hedge, a denial. A word such as "below" is a bound only before a number.
_BOUND = re.compile(
    r"[<>\u2264\u2265\u00b1]|\+/-|[0-9]\s*\+\s*$"
    r"|\b(?:at least|at most|up to|no more than|not more than|not less than)\b"
    r"|\b(?:than|over|under|above|below|exceeding|minimum|maximum|min|max)(?:\s+of)?\s*[:=]?\s*[$€£]?[0-9]"
    r"|\b(?:or|and)\s+(?:more|less|fewer|over|under|above|below|up)\b|\bbetween\b|\brange\b",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\?|\b(?:or|either|maybe|perhaps|possibly|probably|might|could|estimated?|guess|think|believe|vs|versus)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:wrong|incorrect|false)\b|^(?:it(?:'s| is) |there are )?(?:not|never|no)\b|^\w+(?:\s\w+)?n't\b"
    r"|\b(?:anything|everything|other|all)\b.*\b(?:but|than|except)\b|\bexcept\b|!=",
    re.IGNORECASE,
)
# Whole answers that are a numeral and yet no number that anybody measures; `read_number` has refused them.
_UNMEASURED = re.compile(r"[+-]?(?:nan|inf(?:inity)?|\d{20,}|[0-9.]+e[+-]?\d{3,}|[0-9]+/0+)", re.IGNORECASE)
_VAGUE = re.compile(
    r"(?:(?:a|the|quite a|very|too|so|tens|hundreds|thousands|of)\s+)*"
    r"(?:few|many|several|some|multiple|lots|a lot|numerous|countless|dozens|tens|hundreds|thousands|millions|plenty)"
    r"(?:\s[^\W\d_]+)?[.!]?",
    re.IGNORECASE,
)
# These may stand in a text without denying or leaving open its number; a sentence with one is not decided here.
OPEN_NUMBER = re.compile(
    r"n't\b|\s-\s|\bx\b|\u00d7|\b(?:from|to|than|more|less|fewer|least|most|over|under|above|below|not|never|no|if|unless"
    r"|minimum|maximum|would|instead|but|and)\b",
    re.IGNORECASE,
)
_ONE_NUMERAL = re.compile(r"[A-Za-z ,']*(?:[:] )?-?[0-9](?:[0-9.,]*[0-9])?[A-Za-z ,'%]*[.!]?", re.ASCII)
WORDS = re.compile(r"[^\W\d_]+")
# "one" is a pronoun as well.
OTHER_NUMBERS = (NUMBER_WORDS - {"one"}) | {"half"}
_AMOUNTS = frozenset(
    {"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "last", "zeroth"}
    | {"all", "both", "couple", "double", "dozen", "dozens", "few", "hundreds", "inf", "infinite", "infinity", "many"}
    | {"millions", "multiple", "nan", "once", "pair", "pairs", "quarter", "quarters", "several", "single", "some"}
    | {"third", "thirds", "thousands", "triple", "twice"}
)
_NUMERALS = re.compile(rf"(?<![0-9]){NUMERAL}", re.IGNORECASE)
# What may stand between and around numbers that are merely listed.
_LISTING = re.compile(r"(?:[\s,;&.!(){}\[\]]|\band\b)*", re.IGNORECASE)
_PARTS = re.compile(r"[;,]\s+|\s+(?:and|&)\s+")
_NOT_THIS = re.compile(rf"\b(?:not|n't|never|except|than)\s+(?:[^\W\d_]+\s+){{0,2}}({NUMERAL})", re.IGNORECASE)
_COMPUTED = re.compile(
    r"[0-9]\s+(?:out\s+)?of\s|[0-9)]\s*(?:[*\u00d7^/+x:]|-\s)\s*[0-9(]|\^|[eE][0-9]|=|[\u2150-\u218f]"
)
_FOLLOWED = re.compile(rf"{NUMERAL}\s*([^\W\d_]+)", re.IGNORECASE)
_FACTORS = (Fraction(1), Fraction(100), Fraction(1, 100))
"""A share may be told in percent, and the other way round."""
_FOREIGN_NUMBER = re.compile(
    r"^(?:ein|un|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|deux|trois|quatre|cinq|onze|douze|treize|quatorze"
    r"|quinze|seize|dos|tres|cuatro|cinco|siete|ocho|nueve|diez|doce|trece|catorce|quince|veint|três|quatro|sete|oito|nove"
    r"|dez|doze|treze|quinze|dezesseis|dezoito|dezenove|vinte)"
    r"|zwanzig|dreißig|vierzig|fünfzig|sechzig|siebzig|achtzig|neunzig|hundert|tausend|vingt|trente|quarante|cinquante"
    r"|soixante|cent|mille|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|cien|mil\b|trinta|quarenta"
    r"|cinquenta|sessenta|oitenta|cem\b|illion|illón|ilhão|illiard"
)
_ROMAN = re.compile(r"[IVXLCDM]+")
# These may follow a number in a sentence without changing it: "5 dots are on the map".
CHANGING = NO_UNIT - {"is", "are", "was", "as", "at", "by", "of"}
_SENTENCE_WORDS = (
    "from most least up exceeding range estimate anything everything other lots tens would sorry can unable unclear"
    " unknown unreadable illegible know ai model t assistant wait mean meant actually correction corrected answer"
    " numerous plenty lot x"
)
_OPENING = CHANGING | NUMBER_WORDS | _AMOUNTS | frozenset(_SENTENCE_WORDS.split(" "))


def is_plain(said: str) -> bool:
    """Return whether a sentence has one number and no word or sign that any of the other rules looks for.

    That is the usual case, and asking all of them takes most of the time of a grade.
    """
    return _ONE_NUMERAL.fullmatch(said) is not None and _OPENING.isdisjoint(WORDS.findall(said.lower()))


def no_number(said: str, bare: str) -> Grade | None:
    """Return why a text that is not one number is no answer at all, whatever number was asked for."""
    if refuses(said):
        return Grade("wrong", "abstained")
    if _HEDGED.search(said):
        return Grade("wrong", "hedged")
    numerals = _numerals(said)
    if _BOUND.search(said) or (len(numerals) != 1 and read_range(bare) is not None):
        return Grade("wrong", "range")
    if _UNMEASURED.fullmatch(bare):
        return Grade("wrong", "not_measured")
    if _VAGUE.fullmatch(bare):
        return Grade("wrong", "vague")
    if _DENIED.search(said):
        return Grade("wrong", "negated")
    if len(numerals) > 1 and (
        corrects(said) or said.lower().count("answer") > 1 or _LISTING.fullmatch(_NUMERALS.sub(" ", bare))
    ):
        return Grade("wrong", "several")
    parts = _PARTS.split(bare)
    if len(parts) > 1 and all(read_number(part) for part in parts):
        return Grade("wrong", "several")
    return Grade("wrong", "no_number") if _says_no_number(said) else None


def _numerals(text: str) -> list[str]:
    return [match[0] for match in _NUMERALS.finditer(text)]


def denies(said: str, target: Fraction) -> bool:
    """Return whether the number that was asked for is the one that a text denies ("It is 5, not 6")."""
    denied = [read_numeral(match[1]) for match in _NOT_THIS.finditer(said)]
    return any(value == target for readings in denied for value, _ in readings)


def says_another(said: str, target: Fraction, margin: Fraction | None) -> bool:
    """Return whether a text holds only numbers that are not the target in any reading.

    Where it may hold a number that is put together, by a scale, a unit or an operator, that is not known.
    """
    numerals = _numerals(said)
    words = set(WORDS.findall(said.lower()))
    if not numerals or not words.isdisjoint(OTHER_NUMBERS | _AMOUNTS) or _COMPUTED.search(said):
        return False
    followed = {match[1].lower() for match in _FOLLOWED.finditer(said)} - {"in", "a", "at", "as"}
    if any(is_unit(word) for word in followed):
        return False
    values = [value for numeral in numerals for value, _ in read_numeral(numeral)]
    return bool(values) and not any(
        within(abs(value * factor), abs(target), margin) for value in values for factor in _FACTORS
    )


def _says_no_number(said: str) -> bool:
    """Return whether a text holds nothing that may be read as a number: digits, number words, amounts, numerals."""
    if not any(map(str.isalnum, said)):
        return True
    words = WORDS.findall(said)
    amounts = OTHER_NUMBERS | {"one"} | _AMOUNTS
    return (
        bool(words)
        and not any(character.isnumeric() for character in said)
        # Number words of other languages are known up to twelve; the larger ones are recognised, not read.
        and all(_FOREIGN_NUMBER.search(word.lower()) is None for word in words)
        and said.isascii() | all(unicodedata.name(char, "LATIN").startswith("LATIN") for char in said if char.isalpha())
        and amounts.isdisjoint(word.lower() for word in words)
        and not any(_ROMAN.fullmatch(word) for word in words)
    )
