"""How predictable an answer is from the wording of its question alone.

Most questions of synthetic sources, and many that people wrote, come from few templates. Where nine of ten questions
of one wording have one answer, a model is right nine times in ten without looking. A template is the question with
what varies taken out: quoted text, numbers, names, colours. What else fills a slot ("the value of mad in drop")
cannot be told from the wording of one question, so such questions have templates of their own; shares of templates
with many questions are right, and small templates say little.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from filters.answers.quantities import read_number
from filters.answers.text import clean, folded, tokens
from pipeline.records import AnswerType, TemplateFacts

VERSION = 1
"""Rises whenever an equal question may get another template or majority."""


class TemplateRow(NamedTuple):
    """The columns of a question that are needed."""

    question_id: str
    text: str
    """Without its options."""
    answers: tuple[str, ...]
    """As they read: the text of an option, not its letter."""
    answer_type: AnswerType


# The basic colour terms of English (Berlin and Kay, 1969), and those that CLEVR and charts use beside them. Attributes
# such as size and material stay: the same words say what is asked ("how many times as large").
_COLOURS = (
    "black|white|gr[ae]y|red|green|yellow|blue|brown|orange|pink|purple"
    "|cyan|magenta|violet|teal|navy|maroon|olive|lime|turquoise|beige|indigo|gold|silver|tan"
)
_NUMBER_WORDS = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
# Words that are written with a capital without being a name.
_NO_NAMES = "I|I'm|A|An|The|In|Of|Is|Are|What|Which|Who|How|When|Where|Why|Please|Answer|Yes|No|Q|Question"
_PARTS = re.compile(
    # Within one line: a lone quotation mark must not swallow the rest.
    r"(?P<quoted>\"[^\"\n]+\"|(?<!\w)'[^'\n]+'(?!\w))"
    r"|(?P<number>(?<![^\W_])[+-]?[0-9]+(?:[.,:/][0-9]+)*(?:st|nd|rd|th)?(?![^\W_]))"
    r"|(?P<word>[^\W_]+(?:['.&-][^\W_]+)*)"
    r"|(?P<end>[.?!:;\n])"
)
_COLOUR = re.compile(rf"(?:(?:light|dark|bright|pale|deep)-)?(?:{_COLOURS})", re.IGNORECASE)
_SHADES = frozenset({"light", "dark", "bright", "pale", "deep"})
_NUMBER_WORD = re.compile(rf"(?:{_NUMBER_WORDS})", re.IGNORECASE)
_NO_NAME = re.compile(_NO_NAMES)
# Parts of a name that are not capitalised: "Rio de Janeiro". "The GDP of Italy" is two.
_INSIDE = frozenset({"de", "del", "la", "van", "von", "der"})


def template_of(text: str) -> str:
    """Return the question in lower case and without punctuation, what varies replaced by what it is.

    `<text>` stands for a quotation, `<number>` for a number in digits or words, `<colour>` for a colour, and
    `<name>` for neighbouring words with a capital that do not begin a sentence, or with a digit in them.
    """
    parts: list[str] = []
    begins = True
    written = clean(text.replace("\n", " . "))
    for match in _PARTS.finditer(written.lower() if written.isupper() else written):
        if match["end"]:
            begins = True
            continue
        parts.append(_placeholder(match, begins=begins))
        begins = False
    return " ".join(_joined(parts))


def template_facts(rows: Sequence[TemplateRow]) -> tuple[TemplateFacts, ...]:
    """Return for every question how often questions of its template have their most frequent answer.

    Answers are compared as the grader does: by tokens, numbers by value. A question counts once for each thing
    that its answers say. Of equally frequent answers the one that sorts first is taken.
    """
    groups: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for row in rows:
        said = frozenset(_normalised(answer, row.answer_type) for answer in row.answers)
        groups[template_of(row.text)].append((row.question_id, said))
    facts = [fact for template, group in groups.items() for fact in _facts(template, group)]
    return tuple(sorted(facts, key=lambda fact: fact.question_id))


def _facts(template: str, group: Sequence[tuple[str, frozenset[str]]]) -> Sequence[TemplateFacts]:
    counts = Counter(answer for _, said in group for answer in said)
    majority, times = min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    return [
        TemplateFacts(
            question_id=question_id,
            template=template,
            questions=len(group),
            majority=majority,
            share=times / len(group),
            is_majority=majority in said,
        )
        for question_id, said in group
    ]


def _normalised(answer: str, answer_type: AnswerType) -> str:
    said = clean(answer)
    number = read_number(said) if answer_type == "number" else None
    if number is not None and number.other is None:
        whole = number.value.denominator == 1
        return f"{number.value.numerator if whole else float(number.value)} {number.unit}".rstrip()
    return " ".join(folded(tokens(said))) or said


def _placeholder(match: re.Match[str], *, begins: bool) -> str:
    if match["quoted"]:
        return "<text>"
    if match["number"]:
        return "<number>"
    word = match["word"]
    if _NUMBER_WORD.fullmatch(word):
        return "<number>"
    if any(map(str.isdigit, word)):
        return "<name>"
    capital = word[0].isupper() and not _NO_NAME.fullmatch(word)
    # At the beginning of a sentence only capitals beyond the first tell a name: "GDP", "McDonald".
    if capital and (not begins or (len(word) > 1 and any(map(str.isupper, word[1:])))):
        return "<name>"
    return "<colour>" if _COLOUR.fullmatch(word) else word.casefold()


def _joined(parts: Sequence[str]) -> list[str]:
    """Return the parts with the pieces of one name, number or colour as one."""
    joined: list[str] = []
    for place, part in enumerate(parts):
        before = joined[-1] if joined else ""
        after = parts[place + 1] if place + 1 < len(parts) else ""
        if part == before and part in {"<name>", "<colour>"}:
            continue
        if part in _INSIDE and before == after == "<name>":
            continue
        if part in _SHADES and after == "<colour>":
            continue
        joined.append(part)
    return joined
