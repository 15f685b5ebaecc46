"""Units of measurement: one name for each, and the factors between those of one dimension."""

from __future__ import annotations

from fractions import Fraction

# Factor to the first unit of each dimension. Temperatures are no multiples of each other and convert to nothing.
_DIMENSIONS: tuple[dict[str, Fraction], ...] = (
    {name: Fraction(factor) for name, factor in (("m", "1"), ("km", "1000"), ("cm", "0.01"), ("mm", "0.001"))}
    | {"in": Fraction("0.0254"), "ft": Fraction("0.3048"), "yd": Fraction("0.9144"), "mi": Fraction("1609.344")},
    {"kg": Fraction(1), "g": Fraction("0.001"), "mg": Fraction("0.000001"), "t": Fraction(1000)}
    | {"lb": Fraction("0.45359237"), "oz": Fraction("0.028349523125")},
    {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600), "d": Fraction(86400), "ms": Fraction("0.001")},
    {"l": Fraction(1), "ml": Fraction("0.001"), "cl": Fraction("0.01")},
    {"m2": Fraction(1), "km2": Fraction(10**6), "cm2": Fraction("0.0001"), "ha": Fraction(10**4)},
    {"m/s": Fraction(1), "km/h": Fraction(10, 36), "mph": Fraction("0.44704")},
)
_ALIASES = {
    alias: name
    for name, aliases in {
        "m": "meter meters metre metres",
        "km": "kilometer kilometers kilometre kilometres kms",
        "cm": "centimeter centimeters centimetre centimetres",
        "mm": "millimeter millimeters millimetre millimetres",
        "in": "inch inches",
        "ft": "foot feet",
        "yd": "yard yards",
        "mi": "mile miles",
        "kg": "kilogram kilograms kgs kilo kilos",
        "g": "gram grams gm gms",
        "mg": "milligram milligrams",
        "t": "ton tons tonne tonnes",
        "lb": "lbs pound pounds",
        "oz": "ounce ounces",
        "s": "sec secs second seconds",
        "min": "mins minute minutes",
        "h": "hr hrs hour hours",
        "d": "day days",
        "ms": "millisecond milliseconds",
        "l": "liter liters litre litres",
        "ml": "milliliter milliliters millilitre millilitres",
        "cl": "centiliter centiliters",
        "ha": "hectare hectares",
        "km/h": "kph kmh kmph",
        "%": "percent percentage pct",
        "‰": "permille",
        "$": "usd us$ dollar dollars",
        "€": "eur euro euros",
        "£": "gbp",
        "°": "degree degrees deg",
        "°c": "celsius c",
        "°f": "fahrenheit f",
        "times": "x fold",
    }.items()
    for alias in aliases.split(" ")
}


def canonical_unit(text: str) -> str:
    """Return the canonical name of a unit; "square metres" and "m²" are "m2"."""
    unit = " ".join(text.lower().rstrip(".").replace("^", "").replace("° ", "°").split())
    if unit.startswith("square "):
        unit = unit.removeprefix("square ") + "2"
    base, power = (unit[:-1], unit[-1]) if unit[-1:] in {"2", "3"} else (unit, "")
    return _ALIASES.get(base, base) + power


def conversion(unit: str, target: str) -> Fraction | None:
    """Return the factor from one unit to another of its dimension; None if there is none."""
    for dimension in _DIMENSIONS:
        if unit in dimension and target in dimension:
            return dimension[unit] / dimension[target]
    return None


_KNOWN = frozenset(_ALIASES) | frozenset(_ALIASES.values()) | {unit for names in _DIMENSIONS for unit in names}


def is_unit(word: str) -> bool:
    """Return whether a word is a unit of measurement or a currency that is known here, in any case."""
    unit = canonical_unit(word)
    return unit in _KNOWN or unit.rstrip("23") in _KNOWN
