"""Wrong golds on purpose: some rows get the answer of another, to measure what finds them.

A row that is swapped says so, and what is right, in its derivation, which no model is shown and no stage reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.demo.corpus.sheets import DemoRow
from pipeline.demo.vocabulary import COLOURS, SHAPES
from pipeline.identity import Json, digest

APART = 4
"""Tolerances between a number and the wrong one: far enough that no answer near the one is near the other."""
_MARK = re.compile(rf"\b(?:{'|'.join((*COLOURS, *SHAPES))})\b")


def swap(rows: Sequence[DemoRow], share: float, seed: int) -> tuple[DemoRow, ...]:
    """Return `rows`, in their order, with that share of them (rounded) under the answers of another row.

    A row gets what another row of the same wording has, so that the form of the answer tells nothing. Nested: a larger
    share swaps the same rows and more. A row from which all of its wording have nothing apart is not swapped.
    """
    by_wording: dict[str, list[DemoRow]] = {}
    for row in rows:
        by_wording.setdefault(_wording(row), []).append(row)
    wanted, swapped = round(share * len(rows)), dict[str, DemoRow]()
    for row in sorted(rows, key=lambda row: digest(["swapped", seed, row.row])):
        if len(swapped) == wanted:
            break
        others = [other for other in by_wording[_wording(row)] if _apart(row, other)]
        if others:
            donor = min(others, key=lambda other: digest(["donor", seed, row.row, other.row]))
            swapped[row.row] = _under(row, donor)
    return tuple(swapped.get(row.row, row) for row in rows)


def _wording(row: DemoRow) -> str:
    """Return the question without what it points at."""
    return _MARK.sub("", row.text)


def _under(row: DemoRow, donor: DemoRow) -> DemoRow:
    told: dict[str, Json] = {
        **row.derivation,
        "swapped": True,
        "true_answer": list(row.answers),
        "answer_of": donor.row,
    }
    return row._replace(answers=donor.answers, derivation=told)


def _apart(row: DemoRow, other: DemoRow) -> bool:
    """Return whether no answer of one is right for the other, be it spelt a little otherwise."""
    if row.answer_type == "number":
        (one,), (two,) = row.answers, other.answers
        return abs(float(one) - float(two)) > APART * (row.tolerance or 0.0) * max(abs(float(one)), abs(float(two)))
    return {_letters(answer) for answer in row.answers}.isdisjoint(_letters(answer) for answer in other.answers)


def _letters(answer: str) -> str:
    return "".join(character for character in answer.casefold() if character.isalnum())
