"""Grading a list: the same items, whatever their order and separators, each read like a text or a number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction

from filters.answers.closed_sets import without_lead
from filters.answers.evasion import evasion, refuses
from filters.answers.grade_texts import OTHER_WORDS, grade_text
from filters.answers.numbers.quantities import read_number
from filters.answers.text import Grade, contains, folded, tokens

# Commas, semicolons, bullets and numbering.
_BULLET = r"(?:[-*\u2022]|[0-9]{1,2}[.)])\s+"
_SEPARATORS = re.compile(rf"\s*[,;|]\s*(?:and\s+|&\s*)?(?:{_BULLET})?|(?:^|\s+){_BULLET}")
_AND = re.compile(r"\s+(?:and|&|und|et|y|e|और)\s+|(?<=[\u4e00-\u9fff])(?:和|与|と|及)(?=[\u4e00-\u9fff])")
_ALTERNATIVES = re.compile(r"\s/\s")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_EVADES = frozenset({"hedged", "negated", "corrected", "abstained", "about_grading"})
_GOES_ON = re.compile(r"(?:\.\.\.|\u2026|\betc\.?|\u7b49)\s*$")
_ORDERED = re.compile(r"\s*(?:->|=>|→|⇒|>)\s*")


def grade_list(said: str, golds: Sequence[str]) -> Grade:  # noqa: C901 - one return for each way to fail
    """Compare items whatever their order, unless the stored list is ordered by arrows ("first → second")."""
    if len(golds) > 1 and not any(_SEPARATORS.search(gold) or _ORDERED.search(gold) for gold in golds):
        golds = [", ".join(golds)]
    if _GOES_ON.search(said) and not any(map(_GOES_ON.search, golds)):
        return Grade("wrong", "goes_on")
    for text in dict.fromkeys((said, without_lead(said))):
        if any(_same_list(text, gold) for gold in golds):
            return Grade("right", "list_equal")
    if refuses(said):
        return Grade("wrong", "abstained")
    words = tokens(said)
    if not words:
        return Grade("wrong", "empty")
    if not any(_ORDERED.search(gold) for gold in golds):
        evades = [evasion(said, gold) for gold in golds]
        if all(rule in _EVADES for rule in evades) or _ALTERNATIVES.search(said):
            return Grade("wrong", next(filter(None, evades), "hedged"))
    # A sentence may hold exactly the items; more of them are another list.
    if any(_within(said, words, gold) for gold in golds):
        return Grade("undecided", "contains")
    if any(_may_be_same(said, gold) for gold in golds):
        return Grade("undecided", OTHER_WORDS)
    return Grade("wrong", "list_differs")


def _may_be_same(said: str, gold: str) -> bool:
    """Return whether a list of as many items may give in other words what it does not give in the same."""
    if _ORDERED.search(gold):
        return False
    for mine in _items(said):
        for theirs in _items(gold):
            if len(mine) == len(theirs):
                rest, wanted = _left(mine, theirs), _left(theirs, mine)
                if all(any(grade_text(item, other).verdict != "wrong" for other in wanted) for item in rest):
                    return True
    return False


def _left(items: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the items that the others do not have."""
    known = Counter(map(_key, others))
    left = []
    for item in items:
        key = _key(item)
        if known[key]:
            known[key] -= 1
        else:
            left.append(item)
    return left


def _within(said: str, words: tuple[str, ...], gold: str) -> bool:
    wanted = _items(gold)[-1]
    if {_key(item) for item in _items(said)[-1]} <= {_key(item) for item in wanted}:
        return False
    return len(_items(said)[-1]) <= len(wanted) and all(contains(words, tokens(item)) for item in wanted)


def _same_list(said: str, gold: str) -> bool:
    if _ORDERED.search(gold):
        steps = [tokens(step) for step in _ORDERED.split(gold)]
        separator = _ORDERED if _ORDERED.search(said) else _SEPARATORS
        return steps == [tokens(step) for step in separator.split(said) if step]
    wanted = [Counter(map(_key, items)) for items in _items(gold)]
    return any(Counter(map(_key, items)) in wanted for items in _items(said))


_GROUPS = re.compile(r"[)\]]\s*(?:[,;]|and|&)?\s*[(\[]")
_GROUP = re.compile(r"[(\[]([^()\[\]]*)[)\]]")


def _items(text: str) -> list[list[str]]:
    """Return the ways to read a list: "and" divides the last two items, or belongs to one.

    Between semicolons a comma belongs to an item ("1,200; 3,400").
    """
    groups = _GROUP.findall(text) if _GROUPS.search(text) else []
    if groups:
        # Points: what stands together in brackets is one item, in its order.
        return [groups]
    bare = text.strip("[](){} .")
    apart = [item.strip() for item in bare.split(";")] if ";" in bare and "," in bare else []
    coarse = [item for item in _SEPARATORS.split(bare) if item.strip()]
    fine = [part for item in coarse for part in _AND.split(item)]
    return [reading for reading in (apart, coarse, fine) if reading] or [[]]


def _key(item: str) -> Hashable:
    """Return what an item is compared by: a plain number by its value, else its words; 007 is a name."""
    bare = item.strip(" '\"")
    number = None if _LEADING_ZERO.match(bare) else read_number(bare)
    if number is None or number.about:
        return folded(tokens(item))
    return (number.value / 100, "") if number.unit == "%" else (Fraction(number.value), number.unit)
