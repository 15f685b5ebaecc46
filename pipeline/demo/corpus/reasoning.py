"""Long chains of thought of our own: arithmetic over the table of elements, written step by step.

They are `manifests/sources/demo_cot/rows.jsonl`, which is checked in. To write it again:
`python -m pipeline.demo.corpus.reasoning > manifests/sources/demo_cot/rows.jsonl`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from pipeline.demo.corpus.facts import Element, elements
from pipeline.identity import Json, canonical_json

TOLERANCE = 0.005
"""Relative, as the questions state it: what two packages may differ by."""
_TENTH = Decimal("0.1")


class _Compound(NamedTuple):
    name: str
    formula: str
    atoms: Mapping[str, int]
    """Symbol → atoms, in the order of the formula."""


_COMPOUNDS = (
    _Compound("glucose", "C6H12O6", {"C": 6, "H": 12, "O": 6}),
    _Compound("calcium carbonate", "CaCO3", {"Ca": 1, "C": 1, "O": 3}),
    _Compound("sulfuric acid", "H2SO4", {"H": 2, "S": 1, "O": 4}),
    _Compound("caffeine", "C8H10N4O2", {"C": 8, "H": 10, "N": 4, "O": 2}),
    _Compound("iron(III) oxide", "Fe2O3", {"Fe": 2, "O": 3}),
    _Compound("potassium permanganate", "KMnO4", {"K": 1, "Mn": 1, "O": 4}),
    _Compound("urea", "CH4N2O", {"C": 1, "H": 4, "N": 2, "O": 1}),
    _Compound("copper(II) sulfate", "CuSO4", {"Cu": 1, "S": 1, "O": 4}),
)
_SHARES = (("water", "O"), ("ammonia", "N"), ("aspirin", "C"), ("table salt", "Na"))
"""Compound and the element whose share of its mass is asked for."""
_OTHERS = {
    "water": _Compound("water", "H2O", {"H": 2, "O": 1}),
    "ammonia": _Compound("ammonia", "NH3", {"N": 1, "H": 3}),
    "aspirin": _Compound("aspirin", "C9H8O4", {"C": 9, "H": 8, "O": 4}),
    "table salt": _Compound("table salt", "NaCl", {"Na": 1, "Cl": 1}),
}


def rows() -> Iterator[dict[str, Json]]:
    """Yield the rows: eight molar masses and four shares of mass, then one that is wrong and one that loops."""
    for number, compound in enumerate(_COMPOUNDS):
        thought, total = _molar_mass(compound)
        yield _row("mass", compound, _MASS.format(compound=compound), total, _written(number, thought, total))
    for number, (name, symbol) in enumerate(_SHARES):
        compound = _OTHERS[name]
        thought, share = _share(compound, symbol)
        text = _SHARE.format(compound=compound, element=_elements()[symbol].name.lower())
        yield _row("share", compound, text, share, _written(number, thought, share))
    yield from _planted()


def _planted() -> Iterator[dict[str, Json]]:
    """Yield the rows that must be stopped: an atom that is forgotten in the sum, and a thought that goes in circles."""
    methane = _Compound("methane", "CH4", {"C": 1, "H": 4})
    thought, total = _molar_mass(methane)
    slip = total - _weight("H")
    forgotten = thought.replace(str(total), str(slip))
    text = _MASS.format(compound=methane)
    yield _row(
        "planted", methane, text, total, f"<think>{forgotten}</think>\n<answer>{slip}</answer>", planted="wrong_answer"
    )
    ethanol = _Compound("ethanol", "C2H6O", {"C": 2, "H": 6, "O": 1})
    thought, total = _molar_mass(ethanol)
    doubt = "Wait, let me make sure that I have not forgotten an atom, so I count all of them once more."
    circles = "\n".join([thought, *[doubt] * 20])
    text = _MASS.format(compound=ethanol)
    yield _row(
        "planted", ethanol, text, total, f"<think>{circles}</think>\n<answer>{total}</answer>", planted="repetitive"
    )


_MASS = (
    "What is the molar mass of {compound.name} ({compound.formula}) in grams per mole? "
    "An answer within half a percent is right."
)
_SHARE = (
    "What percentage of the mass of {compound.name} ({compound.formula}) is {element}? "
    "An answer within half a percent of the value is right."
)


def _row(
    family: str, compound: _Compound, text: str, answer: Decimal, solution: str, *, planted: str = ""
) -> dict[str, Json]:
    used = {symbol: _elements()[symbol] for symbol in compound.atoms}
    derivation: dict[str, Json] = {
        "family": family,
        "package": "mendeleev",
        "row_key": compound.formula,
        "second_source": {
            "package": "periodictable",
            "weights": {symbol: f"{element.second_weight:.8g}" for symbol, element in used.items()},
        },
        "planted": planted or False,
    }
    return {
        "row": f"{family}/{compound.formula}",
        "category": "reasoning",
        "text": text,
        "answers": [str(answer)],
        "answer_type": "number",
        "tolerance": TOLERANCE,
        "derivation": derivation,
        "solution": solution,
    }


def _written(number: int, thought: str, answer: Decimal) -> str:
    """Return a solution in one of the forms that data sets have, in turn."""
    return (
        f"<think>{thought}</think>\n<answer>{answer}</answer>",
        f"<think>\n{thought}\n</think>\n\nAdding the parts gives\n\n$$\\boxed{{{answer}}}$$",
        f"{thought}\nThis is what was asked for: $\\boxed{{{answer}}}$.",
        f"{thought}\n#### {answer}",
    )[number % 4]


def _molar_mass(compound: _Compound) -> tuple[str, Decimal]:
    """Return the steps to a molar mass, and the molar mass."""
    parts = _parts(compound)
    total = sum(parts.values(), Decimal(0))
    atoms = sum(compound.atoms.values())
    lines = [
        f"The formula {compound.formula} of {compound.name} stands for {_counted(compound)}, {atoms} atoms in all.",
        *_steps(compound, parts),
        f"Together they weigh {' + '.join(map(str, parts.values()))} = {total}.",
        *_check(parts, total),
    ]
    return "\n".join(lines), total


def _share(compound: _Compound, symbol: str) -> tuple[str, Decimal]:
    """Return the steps to the share that an element has of the mass, in percent, and the share."""
    thought, total = _molar_mass(compound)
    part = _parts(compound)[symbol]
    share = (100 * part / total).quantize(_TENTH)
    lines = [
        f"I need the mass of one mole of {compound.name} first, and then the part that is {symbol}.",
        thought,
        f"Of these {total} g, {part} g are {symbol}.",
        f"As a percentage that is 100 \u00d7 {part} / {total}, which is {share} to one decimal.",
    ]
    return "\n".join(lines), share


def _steps(compound: _Compound, parts: Mapping[str, Decimal]) -> Iterator[str]:
    for symbol, count in compound.atoms.items():
        name, weight = _elements()[symbol].name.lower(), _weight(symbol)
        if count == 1:
            yield f"There is one atom of {name}, whose atomic weight is {weight}, so {symbol} brings {weight}."
        else:
            yield (
                f"The atomic weight of {name} is {weight}, and {count} atoms of it bring "
                f"{count} \u00d7 {weight} = {parts[symbol]}."
            )


def _check(parts: Mapping[str, Decimal], total: Decimal) -> Iterator[str]:
    """Yield the sum in the other order: rounded to whole numbers, it cannot be far off."""
    whole = [int(part.to_integral_value()) for part in reversed(list(parts.values()))]
    yield (
        f"To check, I add whole numbers from the back: {' + '.join(map(str, whole))} = {sum(whole)}, "
        f"which is within {len(whole)} of {total}, as rounding allows."
    )


def _counted(compound: _Compound) -> str:
    return ", ".join(f"{count} of {_elements()[symbol].name.lower()}" for symbol, count in compound.atoms.items())


def _parts(compound: _Compound) -> dict[str, Decimal]:
    return {symbol: count * _weight(symbol) for symbol, count in compound.atoms.items()}


def _weight(symbol: str) -> Decimal:
    """Return an atomic weight to three decimals, as tables for schools print it."""
    return Decimal(f"{_elements()[symbol].weight:.3f}")


def _elements() -> Mapping[str, Element]:
    return {element.symbol: element for element in elements()}


if __name__ == "__main__":
    sys.stdout.writelines(f"{canonical_json(row)}\n" for row in rows())
