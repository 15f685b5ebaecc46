"""The options of a question that is asked with them: how they are told from its stem, and in which order they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from filters.answers.choices import gold_option, option_texts
from filters.instructions import asks_for_option, is_instruction, last_sentence
from filters.screen.option_stems import about_others, names_place
from pipeline.identity import uniform

# An option that speaks of the other options, by their letters or by their place.
_ABOUT_OPTIONS = re.compile(
    r"\b(?:all|none|both|neither|any|some|either|two|one|more|most) of (?:the|these|those|them)\b"
    r"|\bthe (?:above|below)\b|\b(?:above|below) (?:options?|answers?|choices?)\b|\b(?:options?|choices?)\b"
    r"|^(?:(?:all|none|both|neither) (?:above|below)|both|neither|all|none)\W*$"
    r"|(?-i:(?<![\w'])\(?[A-H]\)?\s*(?:,|and|or|&)\s*(?:and |or )?\(?[A-H]\)?(?![\w']))"
    r"|^(?:only )?\([a-h]\)(?:[\s,&]|and|or|only|\([a-h]\))*$|^(?:only (?-i:[A-H])|(?-i:[A-H]) only)\W*$",
    re.IGNORECASE,
)
# Also behind a Chinese or Japanese character, and with the marks of either.
_LABEL = re.compile(r"(?<![A-Za-z0-9À-ÿ])[(\[（【]?(?:[A-ZＡ-Ｚ]|[1-9][0-9]?)[.):\]、．）：】]$", re.IGNORECASE)
_MOST_INSTRUCTIONS = 3
_QUESTION_MARKS = ("?", "？", "؟")
_LONGEST_LABEL = 5
"""Characters, with the one before it: "x(10)"."""
_HEADER = re.compile(
    r"(?:\b(?:(?:answer )?(?:options|choices)|optionen|antwortmöglichkeiten|choix|propositions|réponses|opciones"
    r"|alternativas"
    r"|opções)|选项|選択肢|विकल्प|الخيارات)\s?[:：]$",
    re.IGNORECASE,
)
_LONGEST_HEADER = 30
# What may name an option by its letter, number or place: "(a)", "2)", a capital by itself, "the last option". The
# article and the pronoun are no labels.
_MARK = re.compile(r"(?<![\w(])(?:\([A-Za-z0-9]\)|[A-Za-z0-9]\))")
_CAPITAL = re.compile(r"(?<![A-Za-zÀ-ÿ0-9_'.])(?:A(?!\s+[a-zà-ÿ])|[B-HJ-Z])(?![A-Za-zÀ-ÿ0-9_'])")
_PLACE = re.compile(
    r"\b(?:first|second|third|fourth|fifth|last|[1-9](?:st|nd|rd|th)) (?:\w+ )?(?:option|choice|answer)s?\b",
    re.IGNORECASE,
)


def about_options(option: str) -> bool:
    """Return whether an option speaks of other options, such as "none of the above" and "both A and B"."""
    return _ABOUT_OPTIONS.search(option) is not None or about_others(option)


def stem_of(text: str, options: Sequence[str]) -> str:
    """Return the question without options spelt out behind it and without the instruction to name a letter.

    What would leave nothing is not taken off.
    """
    stem = without_instruction(text.strip())
    return without_instruction(_without_listing(stem, options))


def without_instruction(text: str) -> str:
    """Take instructions about options off the end of a text, unless they may be all that is asked.

    One that says more is taken off behind a question: it says how to choose.
    """
    for _ in range(_MOST_INSTRUCTIONS):
        sentence, rest = last_sentence(text)
        asked = rest.endswith(_QUESTION_MARKS)
        if not rest or not asks_for_option(sentence) or not (asked or is_instruction(sentence)):
            break
        text = rest
    return text


def _without_listing(text: str, options: Sequence[str]) -> str:
    """Take the options off the end of a text, last first; without labels they need a header ("Options:")."""
    rest, labelled = text, True
    for option in reversed(options):
        rest = rest.rstrip().rstrip(",;").rstrip()
        if not _ends_with(rest, option):
            rest = rest.removesuffix(".")
        if not _ends_with(rest, option):
            return text
        rest = rest[: len(rest) - len(option)].rstrip()
        tail = rest[-_LONGEST_LABEL:]
        label = _LABEL.search(tail)
        labelled = labelled and label is not None
        rest = rest if label is None else rest[: len(rest) - len(tail) + label.start()].rstrip()
    tail = rest[-_LONGEST_HEADER:]
    header = _HEADER.search(tail)
    if header is not None:
        return rest[: len(rest) - len(tail) + header.start()].rstrip() or text
    return (rest if labelled else "") or text


def _ends_with(text: str, option: str) -> bool:
    return text[len(text) - len(option) :].casefold() == option.casefold()


def option_order(question_id: str, stem: str, options: Sequence[str]) -> tuple[int, ...] | None:
    """Return the places of the options in the order to ask them in: shuffled by the id, so that no place is better.

    None where another order would say something else: an option speaks of others, the stem speaks of options by
    letter or place, or options are letters themselves, so that "B" could mean either.
    """
    if any(map(about_options, options)) or _names_places(stem, len(options)):
        return None
    order = _shuffled(question_id, len(options))
    return order if _reads_back(tuple(options[place] for place in order)) else None


def _shuffled(question_id: str, count: int) -> tuple[int, ...]:
    """Return 0…count-1 in an order drawn by the id, each equally likely (Fisher and Yates)."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(uniform("option order", question_id, last) * (last + 1))
        order[last], order[other] = order[other], order[last]
    return tuple(order)


def _names_places(stem: str, count: int) -> bool:
    """Return whether a stem may name one of its `count` options by letter, number or place."""
    letters = ascii_uppercase[:count]
    named = any(match[0] in letters for match in _CAPITAL.finditer(stem))
    return named or any(pattern.search(stem) for pattern in (_MARK, _PLACE)) or names_place(stem)


def _reads_back(options: tuple[str, ...]) -> bool:
    """Return whether every letter means the option at its place and nothing else."""
    letters = enumerate(ascii_uppercase[: len(options)])
    return option_texts(options) == options and all(gold_option(letter, options) == place for place, letter in letters)
