"""What part of a text is its answer, where a model writes a sentence around a box or a formula.

Taken is what its writer marks: the box, several that stand side by side, or the one formula of the text. Where the text
around it denies, doubts, corrects or adds something, nothing is taken and the whole text is graded as it stands.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from filters.answers.closed_sets import CHANGING, SCALES, without_lead
from filters.answers.text import HEDGES, NEGATIONS, tokens

# An opening of the prompts for MATH (Minerva, arXiv 2206.14858), and what templates of chats leave behind.
_POSTSCRIPT = re.compile(r"\s*(?:I hope (?:it|this) is correct\.?)?\s*(?:<\|im_(?:start|end)\|>\w*\s*)*$")
_MARKED = re.compile(r"[\\$]|<\||I hope")
_FORMULA = re.compile(
    # Only what is displayed may go over lines.
    r"\$\$(.+?)\$\$|(?<![\\$])\$(?!\$)([^\n]+?)(?<!\\)\$|\\\(([^\n]+?)\\\)|\\\[(.+?)\\\]",
    re.DOTALL,
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_CONCLUSION = re.compile(r"\b(?:final )?answer(?: is|:)(?: the final answer is)?(?=\s*[$\\])", re.IGNORECASE)
_BETWEEN_BOXES = re.compile(
    r"(?:[\s$,;.]|\\q?quad|\\(?:text|mathrm)\s*\{[\s,]*(?:and|or)?[\s,]*\}|\\[()\[\]]|\band\b|\bor\b)*"
)
_JOINED = re.compile(r"\b(?:and|or|also|both|either|versus|vs)\b|\?|\u2192|->|\.\.\.", re.IGNORECASE)
_OPEN = (HEDGES | NEGATIONS) - {"either", "or", "may", "could", "false", "seems"}
# A word beside the marked part that makes it another value: minus 5, at least 5, 5 million, 5 percent.
_BEFORE = re.compile(
    r"\b(?:minus|negative|least|most|than|over|under|above|below|between|about|around|nearly|almost|exceeds?|exceeding"
    r"|up to|half|twice|double|triple|plus|times|from|to)[\s$\\(]*$",
    re.IGNORECASE,
)
_FIRST_WORD = re.compile(r"[\s$\\)\]]*([^\W\d_]+)")
_BEHIND = frozenset({"percent", "pct", "per", "degrees", "degree", "out", "of", "squared", "cubed", "to"})
# A sign that a box is an operand of: -\boxed{5}, \sqrt{\boxed{5}}, \boxed{5}^2.
_OPERATOR_BEFORE = re.compile(
    r"(?:[-+/^_<>|{\u2212\u00b1\u221a]|(?<!\\)[(\[]|(?<!\*)\*|\\(?!in\b|quad|qquad|implies|therefore)[A-Za-z]+)[\s$]*$"
)
_OPERATOR_BEHIND = re.compile(r"[\s$]*(?:[-+*/^_!%|<>=\u00b0]|\\(?!quad|qquad|text\s*\{\s*(?:and|or)|end)[A-Za-z%]+)")
_ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:boxed|frac|dfrac|tfrac|left|right|sqrt|text|pi|le|ge|leq|geq|infty|cup|cdot|times|in)\b)"
)


def stated(text: str) -> str:
    """Return the part of a text that states its answer; the whole of it where that is not clear."""
    return _stated(text) if _MARKED.search(text) else text


@lru_cache(maxsize=4096)  # the rollouts of a question share its answer and many of theirs
def _stated(text: str) -> str:
    bare = _POSTSCRIPT.sub("", text)
    if "\\begin" not in bare:
        bare = _ESCAPED_TWICE.sub(r"\\", bare)
    boxes = boxed(bare)
    if boxes:
        return _boxes(bare, boxes)
    formulas = list(_FORMULA.finditer(bare))
    if len(formulas) > 1 and len(concluded := _CONCLUSION.split(bare)) == 2 and not _doubted(concluded[0]):  # noqa: PLR2004 - one
        # A text that says once which of its formulas is the answer.
        bare = concluded[1]
        formulas = list(_FORMULA.finditer(bare))
    if len(formulas) != 1:
        return bare
    (formula,) = formulas
    around = bare[: formula.start()] + " " + bare[formula.end() :]
    content = next(group for group in formula.groups() if group is not None)
    # What stands beside a formula may belong to it: "$5$ km", "x = $5$", "$2$ and 3".
    if _is_sentence(around) and _is_sentence(bare[: formula.start()]) and not _doubted(around):
        behind = bare[formula.end() :].strip(" .!")
        one_word = behind and " " not in behind
        return bare if one_word or _changed(bare[: formula.start()], behind) else content
    return bare


def boxed(text: str) -> list[tuple[int, int, str]]:
    r"""Return (start, end, content) of each \boxed{...} of a text whose braces match, outermost only."""
    found, at = [], 0
    while match := _BOX.search(text, at):
        depth, end = 1, match.end()
        while end < len(text) and depth:
            depth += (text[end] == "{") - (text[end] == "}") if text[end - 1] != "\\" else 0
            end += 1
        if depth:
            break
        found.append((match.start(), end, text[match.end() : end - 1].strip()))
        at = end
    return found


def _boxes(text: str, boxes: list[tuple[int, int, str]]) -> str:
    between = [text[a[1] : b[0]] for a, b in pairwise(boxes)]
    contents = [box[2] for box in boxes]
    if not all(_BETWEEN_BOXES.fullmatch(gap) for gap in between):
        if len(set(contents)) > 1:
            # Formulas and words around several boxes belong to the answer.
            return _unboxed(text, boxes)
        contents = contents[:1]
    around = text[: boxes[0][0]] + " " + text[boxes[-1][1] :]
    before, after = text[: boxes[0][0]], text[boxes[-1][1] :]
    if _doubted(_last_sentence(before)) or _doubted(after) or re.search(r"\\(?:cup|cap|pm|times)\s*$", before):
        return _unboxed(text, boxes)
    operand = _OPERATOR_BEFORE.search(before) is not None or _OPERATOR_BEHIND.match(after) is not None
    if operand or _changed(before, after):
        return _unboxed(text, boxes)
    if len(boxes) == 1 and re.search(r"[=)}0-9][^$]*=\s*$", before):
        # The end of a calculation.
        return contents[0]
    if len(boxes) == 1 and not _prose(around) and re.search(r"[0-9a-zA-Z=^]", around.replace("$", "")):
        # x = \boxed{5}, \boxed{5}\text{ cm}
        return _unboxed(text, boxes)
    return re.sub(r"\s*(?:\\\\)?\s*$", "", ", ".join(contents) if len(contents) > 1 else contents[0])


def _changed(before: str, behind: str) -> bool:
    """Return whether a word beside a marked part makes it another value."""
    match = _FIRST_WORD.match(behind)
    word = match[1].casefold() if match else ""
    return _BEFORE.search(before) is not None or word in SCALES or word in CHANGING or word in _BEHIND


def _unboxed(text: str, boxes: list[tuple[int, int, str]]) -> str:
    for start, end, content in reversed(boxes):
        text = text[:start] + content + text[end:]
    return text


def _prose(text: str) -> bool:
    return len(re.findall(r"(?<!\\)\b[^\W\d_]{2,}", re.sub(r"\\[A-Za-z]+", " ", text))) > 2  # noqa: PLR2004 - words, no names


def _is_sentence(text: str) -> bool:
    """Return whether a text around a formula is words alone: no digits, signs or further formulas."""
    return re.fullmatch(r"(?:[^\W\d_]|[\s.,:!'])*", text) is not None


def _last_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?;,:])\$?\s+|\n\s*\n", text)[-1]


def _doubted(text: str) -> bool:
    words = tokens(re.sub(r"\$[^$]*\$|\\[A-Za-z]+", " ", text))
    return not _OPEN.isdisjoint(words) or _JOINED.search(re.sub(r"\$[^$]*\$", " ", text)) is not None


_WRAPPERS = (
    re.compile(r"\$\$?(.*?[^\\$])\$\$?", re.DOTALL),
    re.compile(r"\\\((.*)\\\)", re.DOTALL),
    re.compile(r"\\\[(.*)\\\]", re.DOTALL),
    re.compile(r"\\\{\\text\{(.*)\}\\\}", re.DOTALL),
    re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}"),
    re.compile(r"(\*\*|__|[*_`])(?P<inner>(?!\1).*(?<!\*))\1", re.DOTALL),
)


def unwrapped(text: str) -> str:
    """Return an answer without an opening ("The answer is"), final point, box and marks of formulas around it."""
    text = text.strip()
    while True:
        bare = _once(text.strip())
        if bare == text:
            return text
        text = bare


def _once(text: str) -> str:
    bare = without_lead(text.rstrip(".").strip()) if not text.endswith("..") else text
    marked = stated(bare)
    if marked != bare:
        return marked
    for form in _WRAPPERS:
        match = form.fullmatch(bare)
        if match is not None:
            inner = match.groupdict().get("inner") or match[1]
            if inner.count("$") == 0 and inner.count("\\(") == inner.count("\\)") and "**" not in inner:
                return inner
    # Marks around one of several formulas ("$1$ and $2$").
    return bare.replace("$", " ") if bare.count("$") > 1 and bare.count("\\$") == 0 else bare
