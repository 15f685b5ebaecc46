"""The mix of what an SFT shard teaches: how many rows each group keeps, so that all keep their shares.

The groups are the lanes, and the lane `tools` by category. Rows are only ever left out, never repeated: the
scarcest group decides how large the whole can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from math import floor, lcm
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pipeline.identity import Identity
from pipeline.records import Category, Lane

MixGroup = Literal["perception", "reasoning", "search", "no_call", "plain_cot", "long_cot"]
MixUnit = Literal["rows", "tokens"]

PRESETS: Mapping[str, Mapping[MixGroup, float]] = {
    "deepeyesv2": {"perception": 0.081, "reasoning": 0.096, "search": 0.007, "long_cot": 0.816}
}
"""The cold-start data of the DeepEyesV2 paper (App. A.1, Fig. 9). The figure leaves search without a number: it is
what the other three leave of 1."""

_SLACK = Fraction(1, 1_000)
"""Shares are written with three digits or so; the rest of 1 is shared out in proportion."""

_REMEDY: Mapping[MixGroup, str] = {
    "no_call": "raise lanes.no_call",
    "plain_cot": "raise lanes.plain_cot",
    "long_cot": "add a source whose manifest says `lane: long_cot`",
}
"""How to get rows of a group; of the lane `tools`, from more questions of the category."""

_Share = Annotated[float, Field(ge=0, le=1)]


class Mix(Identity):
    """The share of each group; a group that is not named gets none. A preset may stand in place of the shares."""

    perception: _Share = 0.0
    """Of the lane `tools`, as the next two."""
    reasoning: _Share = 0.0
    search: _Share = 0.0
    no_call: _Share = 0.0
    plain_cot: _Share = 0.0
    long_cot: _Share = 0.0

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Let the schema of recipes take a preset's name, as validation does."""
        return {"anyOf": [{"enum": list(PRESETS)}, handler.resolve_ref_schema(handler(core))]}

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given not in PRESETS:
            raise ValueError(f"there is no mix {given}; name {' or '.join(PRESETS)}, or give each group its share")
        return dict(PRESETS[given])

    @model_validator(mode="after")
    def _sums_to_one(self) -> Mix:
        total = sum((exact(share) for share in self.model_dump().values()), Fraction())
        if abs(total - 1) > _SLACK:
            raise ValueError(f"the shares sum to {float(total):.4g}; they must sum to 1")
        return self

    def shares(self) -> dict[MixGroup, Fraction]:
        """Return the share of each group that has one, exactly and with sum 1."""
        given: dict[MixGroup, Fraction] = {group: exact(getattr(self, group)) for group in get_args(MixGroup)}
        total = sum(given.values())
        return {group: share / total for group, share in given.items() if share > 0}


class UnmetMixError(ValueError):
    """A group of the mix has no rows at all; the message says which, what there is, and what to do."""


def exact(share: float) -> Fraction:
    """Return the number that was written: 0.29, of which 100 have 29, and not the nearest binary number below."""
    return Fraction(str(share))


def group_of(lane: Lane, category: Category) -> MixGroup:
    """Return the group of a row."""
    return category if lane == "tools" else lane


def kept_rows(
    tokens: Mapping[MixGroup, Sequence[int]], mix: Mapping[MixGroup, Fraction], unit: MixUnit, most: int | None = None
) -> dict[MixGroup, int]:
    """Return how many of its first rows each group of the mix keeps.

    In rows, the total is the largest at which no group would need more than it has, and each group has its share of
    it to within one row. In tokens, no group has more than its share of the largest total that all can reach, and
    would have with one row more.

    Args:
        tokens: Loss tokens of each row of each group, in the order in which rows are taken.
        mix: As `Mix.shares`; groups that are not in it keep nothing.
        unit: What the shares are of.
        most: Exactly so many rows, if the mix allows as many; None for all that it allows.

    Raises:
        UnmetMixError: a group of the mix has no rows, so that the total would be 0.
    """
    _require_rows(tokens, mix)
    if unit == "tokens":
        return _by_tokens(tokens, mix, most)
    total = min(floor(len(tokens[group]) / share) for group, share in mix.items())
    return _allot(mix, total if most is None else min(total, most))


def _allot(mix: Mapping[MixGroup, Fraction], total: int) -> dict[MixGroup, int]:
    """Return each group's part of `total` rows, by largest remainder: its share rounded up or down."""
    rows = {group: floor(share * total) for group, share in mix.items()}
    missing = total - sum(rows.values())
    for group in sorted(mix, key=lambda group: (rows[group] - mix[group] * total, group))[:missing]:
        rows[group] += 1
    return rows


def _by_tokens(
    tokens: Mapping[MixGroup, Sequence[int]], mix: Mapping[MixGroup, Fraction], most: int | None
) -> dict[MixGroup, int]:
    """Return how many rows have a place in the largest total, or in the one that holds `most` rows."""
    # A row has its place from the total on of which its group's share covers it and the rows before it: tokens so
    # far / share. All are multiplied by what makes them whole numbers, which compare exactly and fast.
    whole = lcm(*(share.numerator for share in mix.values()))
    steps = {group: whole * share.denominator // share.numerator for group, share in mix.items()}
    total = min(sum(tokens[group]) * step for group, step in steps.items())
    places = [(reached * step, group) for group, step in steps.items() for reached in accumulate(tokens[group])]
    within = Counter(group for _, group in sorted(place for place in places if place[0] <= total)[:most])
    return {group: within[group] for group in mix}


def _require_rows(tokens: Mapping[MixGroup, Sequence[int]], mix: Mapping[MixGroup, Fraction]) -> None:
    missing = [group for group in mix if not any(tokens.get(group, ()))]
    if missing:
        there = ", ".join(f"{group} {len(rows)}" for group, rows in sorted(tokens.items()) if rows) or "none"
        share = float(mix[missing[0]])
        remedy = _REMEDY.get(missing[0], f"add questions of the category {missing[0]}")
        raise UnmetMixError(
            f"select.mix: {missing[0]} is to be {share:.3g} of the SFT shard, but no row of that group came this far "
            f"(rows at hand: {there}): {remedy}; or give {missing[0]} no share, and the others all of 1; or publish "
            "without a mix (--set select.mix=null). No stage before select runs again for a changed mix"
        )
