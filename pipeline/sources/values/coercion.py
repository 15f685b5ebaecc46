"""JSON values of a row, read where one reading exists: `12` is the text "12", null is what is absent.

Writers of data frames fill fields with what their columns hold: numbers for texts, null for what a row lacks, a bare
text for a list of one. Whatever has two readings, such as an object or a gap inside a list, is left to its check.
"""

from __future__ import annotations

from decimal import Decimal
from string import ascii_uppercase

DEEPEST = 64
"""Lists and objects within each other. Data has a handful; Python's own limit depends on who calls."""


def scalar_text(value: object) -> object:
    """Return a number or truth value as people write it: 12, 885 for 885.0, 0.0000001 for 1e-07, true; else `value`."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value == 0:
            return "0"  # also for -0.0
        case float():
            # Without an exponent; `repr` has the fewest digits that read back as the same number.
            text = format(Decimal(repr(value)), "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case _:
            return value


def texts(value: object) -> object:
    """Return a list of texts: a single scalar is a list of one, an end of nulls and empty texts is absent."""
    items = [*value] if isinstance(value, list | tuple) else [value]
    while items and items[-1] in (None, ""):
        items.pop()
    return tuple(scalar_text(item) for item in items)


def lettered(value: object) -> object:
    """Return the values of an object whose names are A, B, C and so on; else `value`."""
    if isinstance(value, dict) and "".join(value).upper() == ascii_uppercase[: len(value)]:
        return [*value.values()]
    return value


def number(value: object) -> object:
    """Return a number also where a text spells one, and None for an empty text; else `value`."""
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value.strip() else None
    except ValueError:
        return value


def too_deep(value: object, deepest: int = DEEPEST) -> bool:
    """Return whether lists and objects stand within each other more than `deepest` times."""
    match value:
        case dict() | list():
            inner = value.values() if isinstance(value, dict) else value
            return deepest == 0 or any(too_deep(item, deepest - 1) for item in inner)
        case _:
            return False


def flag(value: object) -> object:
    """Return yes or no for the text that spells it in JSON, as tables hold it; anything else as it is."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value
