# ruff: noqa: RUF001, RUF002 - full-width and other look-alike characters are meant
r"""Options that stand in the text of a question: read where they are listed in a usual form, and taken off it.

Many data sets have no column for options: "Which city is this?\nA. Paris\nB. Rome", "(a) red (b) blue", "Options:
red, blue". Such a question is guessed as easily as any with options, so it is one: what follows for questions with
options (`filters.screen.open_ended`) then holds for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from filters.answers.choices import option_texts
from filters.screen.open_ended import CONVERTED, KEPT, SHUFFLED
from filters.screen.option_order import without_instruction
from pipeline.identity import parse_json
from pipeline.records import AnswerType, Question


class Listing(NamedTuple):
    """A text taken apart."""

    stem: str
    options: tuple[str, ...]
    labels: tuple[str, ...]
    """Of each option, such as A, 1 or ア; empty where they have none."""


_ASKED_AS_IT_IS = frozenset({SHUFFLED, KEPT, CONVERTED, "solution"})
"""Keys in `meta` of questions that the screen has formed, and of those whose solution speaks of the options it saw."""


def with_choices(question: Question) -> Question:
    """Return a question whose text lists its options with these as choices, and its answers as letters.

    Its `id` stays: the form in which it is asked is made of it later (`to_open_ended`). It stays as it is unless every
    answer names one of the options; the answer of a `list` may name several. Choices that are mere letters are those of
    the listing, and a single one is a list itself. Where choices are given and listed as well, the text loses the
    listing.
    """
    if not _ASKED_AS_IT_IS.isdisjoint(_meta(question)):
        return question
    given = [_folded(choice) for choice in option_texts(question.choices)]
    text = question.text
    if len(given) == 1:
        text, given = f"{text}\nOptions:\n{question.choices[0]}", []
    listing = read_listing(text)
    if listing is None or len(listing.options) > len(ascii_uppercase):
        return question
    letters = ascii_uppercase[: len(listing.options)]
    if given == [_folded(option) for option in listing.options]:
        return question.model_copy(update={"text": listing.stem})
    if given and [choice.strip("()[]") for choice in given] != [*letters.lower()]:
        return question
    places = [_named(answer, listing, question.answer_type) for answer in question.answers]
    named = [letters[place] for place in places if place is not None]
    if question.answer_type == "list" or not named or len(named) < len(places):
        return question
    changes = {"text": listing.stem, "choices": listing.options, "answers": (*named,), "answer_type": "choice"}
    return question.model_copy(update=changes)


def _meta(question: Question) -> dict[str, object]:
    meta = parse_json(question.meta)
    return meta if isinstance(meta, dict) else {}


# --- reading -------------------------------------------------------------------------------------------------------

# One character for one, so that places in a text stay: full-width forms, brackets and marks of Chinese and Japanese.
_PLAIN = str.maketrans(
    {chr(0xFF01 + place): chr(0x21 + place) for place in range(94)}
    | dict.fromkeys("\u3000\u00a0", " ")
    | dict(zip("【】〔〕「」、。", "[][][].."[:8], strict=False))
)
# In this order: statements that are numbered are often what lettered options speak of.
_FAMILIES: tuple[Sequence[str], ...] = (
    ascii_uppercase,
    ascii_lowercase,
    "①②③④⑤⑥⑦⑧⑨⑩",
    tuple(map(str, range(1, 27))),
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
    ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"),
    "アイウエオカキク",
    "甲乙丙丁戊己",
    "가나다라마바사",
    "ㄱㄴㄷㄹㅁㅂ",
    "कखगघङच",
    "अबसदइ",
    "أبجدهو",
    "абвгде",
    "АБВГДЕ",
)
_CIRCLED = frozenset("①②③④⑤⑥⑦⑧⑨⑩")
_BEFORE = r"(?:(?:options?|choices?|answer|选项|選項|選択肢|विकल्प)\s*)?"


def _label_forms(family: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return how the labels of a family stand at the beginning of a line, and elsewhere."""
    label = "(" + "|".join(sorted(map(re.escape, family), key=len, reverse=True)) + ")"
    # 1.5 is a number.
    marked = rf"{label}\s?[.)\]:]{{1,2}}" + ("(?![0-9])" if "1" in family else "")
    bracketed = rf"[(\[]\s?{label}\s?[)\]][.:]?"
    if _CIRCLED.issuperset(family):
        marked = rf"{label}\s?[.)\]:]?"
    bold, latex = r"[*_]{0,2}", r"\\(?:text|math)(?:bf|rm|it)?\{\s?"
    at_line = rf"{bracketed}|{marked}|{label}(?:\t|\s[-\u2013\u2014](?=\s))"
    if family == ascii_uppercase:
        at_line += rf"|{label}(?=[ ]\S)"
    return (
        re.compile(rf"^[ \t]*(?:[-*\u2022][ \t]+)?(?i:{_BEFORE}){bold}(?:{at_line}){bold}[ \t]*", re.MULTILINE),
        re.compile(
            # P(A) and U.S.A. are no labels.
            rf"(?<![.'({{\\])(?i:{_BEFORE}){bold}(?:(?<!\b[A-Za-z0-9]){bracketed}|(?<![A-Za-z0-9_]){marked}){bold}\s*"
            rf"|{latex}(?:{bracketed}|{marked})(?:\s|\\ )*\}}(?:\s|\\[ ,;])*"
        ),
    )


_FORMS = [(family, *_label_forms(family)) for family in _FAMILIES]

_LEAD = r"(?:(?:please )?(?:choose|select|pick)(?: one)? (?:from|of|among) |here are )?(?:the )?"
_HEADER_WORDS = (
    rf"{_LEAD}(?:(?:answer|possible|available|following|given)\s){{0,2}}(?:options?|choices?|alternatives)"
    r"|possible answers"
    r"|选项|選項|备选答案|選択肢|(?:antwort|auswahl)(?:möglichkeiten|optionen)|optionen|choix(?: possibles)?"
    r"|réponses possibles|propositions|opciones(?: de respuesta)?|alternativas|opções(?: de resposta)?|विकल्प"
    r"|الخيارات|الاختيارات|보기|варианты(?: ответа| ответов)?"
)
_HEADER = re.compile(rf"(?<![^\W_])(?:{_HEADER_WORDS})(?: are)?[*_]{{0,2}}\s?:[*_]{{0,2}}", re.IGNORECASE)
_HEADER_BEFORE = re.compile(
    rf"(?:(?<![^\W_])[*_#]{{0,2}}\s?(?:{_HEADER_WORDS})(?: are)?[*_]{{0,2}}\s?:[*_]{{0,2}}"
    rf"|(?:\A|\n)[*_# ]{{0,3}}(?:{_HEADER_WORDS})[*_]{{0,2}})\s*\Z",
    re.IGNORECASE,
)
_LONGEST_HEADER = 60
"""Characters before a listing in which its header is looked for."""
_OR = r"(?:or|oder|ou|o|或者?|または|या|أو)"
_SEPARATING = " \t\r\n,;|/，；、،؛"
_ENDS_ON_OR = re.compile(rf"(?<=[\s,;，；、،])(?:{_OR}|and)\Z|\\q?quad\Z")
_LONGEST_OR = 8
_LAST = re.compile(rf"(?:{_OR}|and)\s+", re.IGNORECASE)
# What asks for the answer behind a listing, and nothing else.
_ANSWER_SLOT = re.compile(
    r"(?:the |your )?(?:answer|antwort|réponse|respuesta|resposta|答案|回答|答え|उत्तर|الجواب)\s?[:：]?", re.IGNORECASE
)
_BULLET = re.compile(r"\s*(?:[-*\u2022\u00b7]\s+)?")
_ITEM = re.compile(r"'((?:[^'\\]|\\.)*+)'|\"((?:[^\"\\]|\\.)*+)\"")


def read_listing(text: str) -> Listing | None:
    """Return a text's stem and the options that it lists; None if it lists none, or not in a form that is known.

    Known are labels (letters, numbers, ①, ア and others, upright or full-width) with a mark or in brackets, each on a
    line of its own or all in one, and a header ("Options:", "选项：") with items on lines or between separators. What
    stands behind the listing, such as an instruction, stays in the stem. None is as well what ends in a question mark
    that belongs to the sentence around it: "Is it (A) red or (B) blue?".
    """
    # What tells to choose may end on the options themselves.
    texts = dict.fromkeys((without_instruction(text.strip()), text.strip()))
    return next(filter(None, map(_read, texts)), None)


def _read(text: str) -> Listing | None:
    plain = text.translate(_PLAIN)
    for family, at_line, anywhere in _FORMS:
        # Most texts hold no two labels of most families, and need no search.
        if family[0] not in plain or family[1] not in plain:
            continue
        by_line, in_line = _chain(at_line, plain, family), _chain(anywhere, plain, family)
        form, chain = (at_line, by_line) if len(by_line) >= max(2, len(in_line)) else (anywhere, in_line)
        if len(chain) > 1:
            # A, B, D: an option is missing, or what is read as one is none.
            stray = chain[-1].place + 1 < len(family) and _labelled_behind(form, plain, family, chain[-1])
            return None if stray else _labelled(text, chain, family)
    return _headed(text, plain)


def _labelled_behind(form: re.Pattern[str], plain: str, family: Sequence[str], last: _Label) -> bool:
    """Return whether a later label of the family stands behind the last option, beside a gap."""
    later = {*family[last.place + 1 :]}
    return any(next(filter(None, match.groups())) in later for match in form.finditer(plain, last.stop))


class _Label(NamedTuple):
    place: int
    start: int
    stop: int


def _chain(form: re.Pattern[str], plain: str, family: Sequence[str]) -> list[_Label]:
    """Return the longest run of labels in order from the first on; of several the last."""
    places = {label: place for place, label in enumerate(family)}
    found = [
        _Label(places[next(filter(None, match.groups()))], match.start(), match.end()) for match in form.finditer(plain)
    ]
    after: dict[int, tuple[int, int]] = {}  # place → labels from the nearest one on, where it is in `found`
    follows: list[int | None] = [None] * len(found)
    best: tuple[int, int] | None = None
    for index in reversed(range(len(found))):
        place = found[index].place
        length, following = after.get(place + 1, (0, None))
        follows[index] = following
        after[place] = (length + 1, index)
        if place == 0 and (best is None or length + 1 > best[0]):
            best = (length + 1, index)
    run: list[_Label] = []
    step = best[1] if best else None
    while step is not None:
        run.append(found[step])
        step = follows[step]
    return run


def _labelled(text: str, chain: Sequence[_Label], family: Sequence[str]) -> Listing | None:
    ends = [label.start for label in chain[1:]]
    options = [_trimmed(text[label.stop : end]) for label, end in zip(chain, ends, strict=False)]
    last = text[chain[-1].stop :]
    # An option goes on to the end of its line; where others have several lines, to the next empty one.
    margin = len(last) - len(last.lstrip())
    end = last.find("\n\n" if any("\n" in option for option in options) else "\n", margin)
    end = len(last) if end < 0 else end
    options.append(_trimmed(last[:end]))
    head = text[: chain[0].start].rstrip()
    if head.endswith("$") and options[-1].endswith("$"):
        head, options[-1] = head[:-1], options[-1][:-1]
    stem = _joined(head, last[end:])
    asked = "?" in stem or "\uff1f" in stem
    if options[-1].endswith("?") and not asked and not any(option.endswith("?") for option in options[:-1]):
        return None
    return _listing(stem, options, [family[label.place] for label in chain])


def _headed(text: str, plain: str) -> Listing | None:
    """Return what stands behind a header without labels."""
    header = next(reversed([*_HEADER.finditer(plain)]), None)
    if header is None:
        return None
    behind = text[header.end() :]
    body = behind.lstrip()
    block, _, tail = body.partition("\n\n")
    lines = [_BULLET.sub("", line, count=1) for line in block.split("\n") if line.strip()]
    if len(lines) == 1:
        lines = [*_items(lines[0])]
    return _listing(_joined(text[: header.start()], tail), [_trimmed(line) for line in lines], [])


def _items(line: str) -> Iterator[str]:
    """Yield the items of one line: of a printed list, or between the strongest separator that there is."""
    line = line.strip()
    if line[:1] + line[-1:] in {"[]", "()", "{}"}:
        if quoted := [first or second for first, second in _ITEM.findall(line)]:
            # Of an object, what stands behind the labels.
            yield from quoted[1::2] if line[0] == "{" else quoted
            return
        line = line[1:-1]
    separator = next((mark for mark in _SEPARATORS if mark in line), None)
    items = [line] if separator is None else line.removesuffix(".").removesuffix("。").split(separator)
    last = items[-1].lstrip()
    match = _LAST.match(last)
    yield from (*items[:-1], last[match.end() :] if match else last)


_SEPARATORS = ("|", ";", "；", "؛", "、", "，", "،", ", ", " / ", ",", "/")


def _listing(stem: str, options: Sequence[str], labels: Sequence[str]) -> Listing | None:
    whole = stem and len(options) > 1 and all(options)
    return Listing(stem, tuple(options), tuple(labels)) if whole else None


def _joined(head: str, tail: str) -> str:
    """Return the stem: what stands before a listing and its header, and what stands behind it."""
    head = head.rstrip()
    near = head[-_LONGEST_HEADER:]
    header = _HEADER_BEFORE.search(near.translate(_PLAIN))
    if header is not None:
        head = head[: len(head) - len(near) + header.start()].rstrip()
    tail = tail.strip()
    return "\n".join(part for part in (head, "" if _ANSWER_SLOT.fullmatch(tail) else tail) if part)


def _trimmed(option: str) -> str:
    """Return an option without what parts it from the next one."""
    text = option.strip().strip("*").rstrip(_SEPARATING)
    while match := _ENDS_ON_OR.search(tail := text[-_LONGEST_OR:]):
        text = text[: len(text) - len(tail) + match.start()].rstrip(_SEPARATING)
    return text.strip()


# --- answers -------------------------------------------------------------------------------------------------------

_LABEL_ONLY = re.compile(
    r"(?:(?:option|choice|answer|选项|選項|選択肢|विकल्प)\s*)?[(\[]?\s*([^\W_]{1,4}|[①-⑩])\s*[)\].:、]*"
)
_LABEL_FIRST = re.compile(r"[(\[]?\s*([^\W_]{1,4}|[①-⑩])\s*(?:[)\].:、]+\s*|\s+[-\u2013\u2014]\s+)(\S.*)", re.DOTALL)


def _named(answer: str, listing: Listing, answer_type: AnswerType) -> int | None:
    """Return the place of the one option that an answer names, by label, text or both; None if that is not clear.

    A number is a label, and a letter of an expression is one, only where the type says that an option is named.
    """
    said, options = _folded(answer), [_folded(option) for option in listing.options]
    # ② is 2 once it is folded, and names an option where a bare 2 may be a number.
    labels, circled = [_folded(label) for label in listing.labels], answer.strip() in _CIRCLED
    named = {place for place, option in enumerate(options) if option == said}
    alone = _LABEL_ONLY.fullmatch(said)
    is_label = answer_type == "choice" or circled
    if alone is not None and (is_label or not (alone[1].isdecimal() or answer_type == "expression")):
        named |= {place for place, label in enumerate(labels) if label == alone[1]}
        # Lists that are numbered are answered by letters as well.
        if not named and len(alone[1]) == 1 and alone[1] in ascii_lowercase[: len(options)] and answer_type == "choice":
            named = {ascii_lowercase.index(alone[1])}
    both = _LABEL_FIRST.fullmatch(said)
    if both is not None:
        named |= {
            place
            for place, (label, option) in enumerate(zip(labels, options, strict=False))
            if label == both[1] and option == both[2].strip()
        }
    return named.pop() if len(named) == 1 else None


def _folded(text: str) -> str:
    """Return a text without differences of case, width, space and final marks."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return plain.strip("*$").strip().rstrip(".").strip()
