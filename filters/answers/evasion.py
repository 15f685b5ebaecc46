"""What makes an answer no answer: it refuses, denies, hedges, asks back, corrects itself, or gives several.

These are the guards against gaming. They are asked only of a text that does not equal a stored answer, and
look only at what the stored answer does not have itself ("No Parking", "Trick or Treat").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from filters.answers.closed_sets import without_lead
from filters.answers.text import HEDGES, NEGATIONS, abstains, clean, contains, equal, tokens

# Refusals anywhere in an answer; with one of them the gold beside it is no answer either.
_REFUSES = re.compile(
    r"\b(?:i|we) (?:am |are |really |honestly )?(?:do not|dont|did not|didnt|can ?not|cant|could not|couldnt|unable|not"
    r"|wont|will not)\b|\bim (?:not|unable|sorry)\b"
    r"|\bas an? (?:\w+ )?(?:ai|model|assistant)\b|^(?:not sure|sorry|unsure)\b"
    r"|\b(?:can ?not|cant|could not|couldnt) be (?:determined|read|seen|said|known|answered|identified|told)\b"
    r"|\bno (?:idea|answer)\b|\bimpossible to (?:say|tell|know|read)\b"
)
_DENIES = NEGATIONS | {"nobody", "nothing", "nowhere", "absent", "opposite", "hardly", "excluding", "excluded"}
_DENYING_PHRASE = re.compile(r"\b(?:anything|everything|all|every\w*|other|apart|aside) (?:\w+ )?(?:but|than|from)\b")
_HEDGES_AT = HEDGES - {"likely", "seems", "may", "could"}
_HEDGING_PHRASE = re.compile(
    r"\bcould (?:also )?be\b|\bmay (?:also )?be\b|\bmost likely\b|^likely\b|\bseems to be\b|\btoss up\b"
    r"|\?\s*\?|\bone of\b"
)
_CORRECTS = re.compile(
    r"\b(?:no,? wait|wait,|i mean|i meant|actually|correction|corrected|scratch that|on second thought|sorry,)"
    r"|\.\.\.?\s*no\b|->|=>|\u2192|\u21d2",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<[a-z/!][^<>]{0,80}>|~~|\{\s*[\"']", re.IGNORECASE)
_STEERS = re.compile(
    r"\b(?:graders?|verdict|ground[- ]truth|gold (?:answer|label))\b|\bgrad(?:e|ing)\s*[:=]|\[gold\]"
    r"|\bignore (?:all|any|the|previous|prior)\b|\bmark (?:this|it|as|me)\b"
    r"|\b(?:correct|right|true) (?:answer|option|choice|one)\W*$|\{\s*[\"']",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:^|[\s;])1[.)]\s.*[\s;]2[.)]\s")
_STRONG_SEPARATOR = re.compile(r"[;|]|(?<=\w)\s?/\s?(?=[^\W\d])|\s[/&+]\s|\.\s+(?:the\s+)?answer\b", re.IGNORECASE)
_JOINS = frozenset({"and", "plus", "both", "also"})
_MANY_COMMAS = 3
"""A place is given with its region and its country; four parts are an enumeration."""


def refuses(said: str) -> bool:
    """Return whether a cleaned text says that it gives no answer."""
    words = tokens(said)
    return abstains(words) or abstains(tokens(without_lead(said))) or _REFUSES.search(" ".join(words)) is not None


def negates(words: tuple[str, ...]) -> bool:
    """Return whether a phrase such as "other than" or "anything but" denies what follows it."""
    return _DENYING_PHRASE.search(" ".join(words)) is not None


def corrects(said: str) -> bool:
    """Return whether a cleaned text takes back what it said."""
    return _CORRECTS.search(said) is not None


def steers(said: str) -> bool:
    """Return whether a cleaned text speaks of its own grading, or is written for a program, rather than answers."""
    return _STEERS.search(said) is not None


def evasion(said: str, gold: str) -> str | None:
    """Return why a cleaned text that does not equal `gold` is no single answer; None if nothing speaks against it."""
    words = tokens(said)
    own = frozenset(tokens(gold))
    spoken = " ".join(words)
    checks = (
        ("abstained", abstains(words) or _says(_REFUSES, spoken, " ".join(tokens(gold)))),
        ("asked_back", said.endswith("?") and not gold.endswith("?")),
        ("about_grading", _says(_STEERS, said, gold)),
        ("markup", _says(_MARKUP, said, gold)),
        ("negated", not own.issuperset(_DENIES.intersection(words)) or _says(_DENYING_PHRASE, spoken, gold)),
        ("hedged", not own.issuperset(_HEDGES_AT.intersection(words)) or _says(_HEDGING_PHRASE, said.lower(), gold)),
        ("corrected", _says(_CORRECTS, said, gold)),
        ("several", _several(said, gold, words, own)),
    )
    return next((rule for rule, holds in checks if holds), None)


def _several(said: str, gold: str, words: tuple[str, ...], own: frozenset[str]) -> bool:
    """Return whether a text is put together from parts in a way that the stored answer is not."""
    return (
        not own.issuperset(_JOINS.intersection(words))
        or _says(_STRONG_SEPARATOR, said, gold)
        or said.count(",") - gold.count(",") >= _MANY_COMMAS
        or _says(_NUMBERED, said, gold)
        or words.count("answer") > max(1, list(own).count("answer"))
    )


def _says(pattern: re.Pattern[str], said: str, gold: str) -> bool:
    return pattern.search(said) is not None and pattern.search(gold) is None


_RESTATED = 3
"""Words of a question from which an answer that holds all of them restates it; fewer ("Which city?") may be a name."""
_RUN = 6
"""Words of an answer from which one that is more than half of the question is no answer but a piece of it. A right
answer may well stand in its question ("Is the red or the blue bar taller?"), but it is short."""


def copied(answer: str, golds: Sequence[str], question: str, options: Sequence[str] = ()) -> bool:
    """Return whether an answer restates its question, or a long piece of the question and its options.

    An answer that is a stored one is no copy, and neither is one option that is named in full.
    """
    said = _words(answer)
    if not said or any(equal(said, _words(gold)) for gold in golds):
        return False
    stem = _words(question)
    if _count(stem) >= _RESTATED and contains(said, stem):
        return True
    if _count(said) < _RUN:
        return False
    offered = [_words(option) for option in options]
    everything = tuple(chain(stem, *offered))
    return not any(contains(option, said) for option in offered) and any(
        contains(whole, said) and 2 * len(said) > len(whole) for whole in (stem, everything)
    )


@lru_cache(maxsize=4096)  # the rollouts of a question share it and many of their answers
def _words(text: str) -> tuple[str, ...]:
    """Return the words to compare; letters that may label options do not count."""
    return tuple(word for word in tokens(clean(text)) if len(word) > 1 or not word.isalpha())


def _count(words: tuple[str, ...]) -> int:
    """Return how many words are words; an equation may stand on both sides ("2 + 2 = ?", "2 + 2 = 4")."""
    return sum(map(str.isalpha, words))
