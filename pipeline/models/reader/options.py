"""Questions with options are answered with the letter of the one that is nearest to what was found out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase

from pipeline.models.reader.scene import Said


def settle(said: Said, options: Sequence[str]) -> Said:
    """Return an answer as the letter of the option that is nearest to it; anything else as it is."""
    if said.action != "answer" or not options:
        return said
    place = nearest(said.argument, options)
    letter, option = ascii_uppercase[place], options[place]
    how = "that is option" if option == said.argument else f'the nearest to it is "{option}", option'
    return replace(said, think=f"{said.think} Of the options, {how} {letter}.", argument=letter)


def nearest(text: str, options: Sequence[str]) -> int:
    """Return the place of the option that is most like a text: numbers by value, all else by its letters."""
    numbers = [_number(each) for each in (text, *options)]
    if all(number is not None for number in numbers):
        value, *offered = (number for number in numbers if number is not None)
        distances: Sequence[float] = [abs(number - value) for number in offered]
    else:
        distances = [edit_distance(text.casefold(), option.casefold()) for option in options]
    return min(range(len(options)), key=distances.__getitem__)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(?:\.\d+)?", text) else None


def edit_distance(one: str, other: str) -> int:
    """Return how many characters to insert, delete or replace make one text the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for column, opposite in enumerate(other, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (character != opposite)),
            )
    return row[-1]
