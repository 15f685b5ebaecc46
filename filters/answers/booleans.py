"""Grading yes and no in the supported languages: a text that affirms or denies, or a sentence that opens with it."""

from __future__ import annotations

import re

from filters.answers.closed_sets import NEGATING, SUPPOSED, YES_AND_NO, without_lead
from filters.answers.evasion import evasion, refuses
from filters.answers.text import Grade, hedged, negated, tokens

_PLAIN_YES = frozenset(
    {"yes", "yeah", "yep", "ja", "oui", "sí", "sim", "是", "是的", "对", "はい", "हाँ", "हां", "نعم", "أجل"}
)
_AFFIRMING = _PLAIN_YES | {"true"}
_DENYING = frozenset({"no", "false", "nope", "nein", "non", "não", "否", "不是", "不", "いいえ", "नहीं", "لا", "كلا"})
_OPENING = re.compile(r"([^,.!\uff0c;]+)[,.!\uff0c;]\s*(.*)", re.DOTALL)
_TURNING = frozenset(
    {"but", "however", "although", "aber", "mais", "pero", "mas", "但", "但是", "しかし", "लेकिन", "لكن", "ولكن"}
)


def grade_boolean(said: str, gold: str) -> Grade:
    """Grade cleaned text against a stored yes or no."""
    wanted, meant = read_boolean(gold), read_boolean(said)
    if wanted is None:
        return Grade("undecided", "gold_unread")
    if meant is not None:
        return Grade("right", "boolean_equal") if meant == wanted else Grade("wrong", "boolean_differs")
    words = tokens(said)
    affirms, denies = not _AFFIRMING.isdisjoint(words), not _DENYING.isdisjoint(words)
    if refuses(said):
        return Grade("wrong", "abstained")
    if affirms and denies:
        return Grade("wrong", "both")
    if evasion(said, "") == "hedged":
        return Grade("wrong", "hedged")
    if affirms and wanted and negated(words):
        return Grade("wrong", "negated")
    # One word that is neither says nothing, in a script with spaces; a sentence may say it in words of its own.
    alone = len(words) <= 1 and said.isascii()
    return Grade("wrong", "no_yes_or_no") if alone else Grade("undecided", "no_yes_or_no")


def read_boolean(text: str) -> bool | None:
    """Return what a cleaned text affirms; None if it is not clear."""
    whole = " ".join(tokens(without_lead(text)))
    if whole in YES_AND_NO:
        return YES_AND_NO[whole]
    match = _OPENING.fullmatch(text)
    if match is None or hedged(tokens(text)):
        return None
    rest = tokens(match[2])
    if not _TURNING.isdisjoint(rest) or SUPPOSED.search(match[2]):
        return None
    head = YES_AND_NO.get(" ".join(tokens(without_lead(match[1]))))
    denies = negated(rest) or NEGATING.search(match[2]) is not None
    if head is None or not rest:
        return head
    if head:
        return None if denies else True
    # "No, it is not" agrees with itself; "No, it is" does not.
    return False if denies and _PLAIN_YES.isdisjoint(rest) else None
