"""What part of a text is its answer, where a model writes a sentence around a box or a formula.

Taken is what its writer marks: the box, several that stand side by side, or the one formula of the text. Where the text
around it denies, doubts, corrects or adds something, nothing is taken and the whole text is graded as it stands. Of a
whole solution its conclusion alone is read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from filters.answers.closed_sets import ANSWER_IS, CHANGING, NEGATING, SCALES, THEREFORE, without_lead
from filters.answers.evasion import corrects
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
    # What each of them is said to be: \boxed{3} for part (a) and \boxed{5}.
    r"|\s*\\text\s*\{[\s,]*for [a-z]+ (?:\([a-z0-9]\)|[a-z0-9]\b)[\s,]*(?:and)?[\s,]*\}\s*"
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
    r"(?:[-+/^_<>|{\u2212\u00b1\u221a]|(?<!\\)[(\[]|(?<!\*)\*|\\(?!in\b|quad|qquad|implies|therefore|equiv)[A-Za-z]+)[\s$]*$"
)
_OPERATOR_BEHIND = re.compile(
    r"[\s$]*(?:[-+*/^_!%|<>=\u00b0]|\\(?!quad|qquad|pmod|pod|text\s*\{\s*(?:and|or)|end)[A-Za-z%]+)"
)
# How a solution says what came out of it.
_CLAIM = re.compile(rf"(?:{ANSWER_IS}[\s:\uff1a*]*)+", re.IGNORECASE)
# At the beginning of a sentence: "it says so, which" concludes nothing.
_THEREFORE = re.compile(rf"(?<![^\W\d_])(?=[^a-z])(?i:{THEREFORE})(?![a-z])[,\uff0c]?\s*")
_SENTENCE = re.compile(r"(?:[^.!?\n\u3002\uff01\uff1f\u0964]|[.!?](?!\s|$))*")
_IS = r"(?:\b(?:is|are|equals|ist|sind|beträgt|est|sont|es|son|é|são)\b|[是为為は])"
_RESULT = re.compile(
    rf"(?P<subject>[^\d=<>]*){_IS}(?: equal to)?\s*"
    r"(?P<value>\$[^$]+\$|\\\([^$]+\\\)|[-+]?[\d.,/]+(?:%|\s?[^\W\d_]{1,12})?|\([^()]*\))\.?"
)
_COPULA = re.compile(_IS)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_WORD = re.compile(r"[^\W\d_]{3,}")
_PART = re.compile(
    r"\b(?:half|third|quarter|\w+th|square|cube|root|power|reciprocal|inverse|negative|opposite|logarithm|multiple)s?"
    r" of\b|\b(?:half|twice|thrice|double|triple)\b",
    re.IGNORECASE,
)
_LONE_MARK = re.compile(r"\\\(\$(?![0-9])")
"""A second mark at the beginning of a formula, which pairs with nothing and is no currency."""
_LINE_BREAK = re.compile(r"\\n(?![A-Za-z])")
"""Escaped twice, as `_ESCAPED_TWICE`; LaTeX has no such command."""
_ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:boxed|frac|dfrac|tfrac|left|right|sqrt|text|pi|le|ge|leq|geq|infty|cup|cdot|times|in)\b)"
)


SOLUTION = 300
"""Characters from which a text is a solution, of which only the conclusion is read."""


def stated(text: str) -> str:
    """Return the part of a text that states its answer; the whole of it where that is not clear."""
    if len(text) >= SOLUTION:
        text = _conclusion(text)
    return _stated(text) if _MARKED.search(text) else text


def _conclusion(text: str) -> str:
    """Return the sentence of a solution that says what came out; the whole of it if there is none, or it is taken back.

    That is the one with the last boxes, or what follows "the answer is", whichever stands later; without either, a last
    sentence that begins with "therefore".
    """
    bare = _ESCAPED_TWICE.sub(r"\\", _POSTSCRIPT.sub("", text)).rstrip()
    claims, boxes = list(_CLAIM.finditer(bare)), boxed(bare)
    if boxes and (not claims or boxes[-1][0] >= claims[-1].end()):
        found, end = _last_boxes(bare, boxes)
    elif claims:
        found, end = _claimed(bare, claims)
    else:
        found, end = _claimed(bare, list(_THEREFORE.finditer(bare))[-1:])
        if bare[end:].strip(" .!\u3002\uff01\u0964"):
            return text
    return text if found is None or _denied(bare[end:]) or corrects(bare[end:]) else found


def _last_boxes(text: str, boxes: list[tuple[int, int, str]]) -> tuple[str | None, int]:
    """Return the last boxes side by side, with their sentence where it belongs to them, and where that ends."""
    first = len(boxes) - 1
    while first and _BETWEEN_BOXES.fullmatch(text, boxes[first - 1][1], boxes[first][0]):
        first -= 1
    start, end = boxes[first][0], _end_of_sentence(text, boxes[-1][1])
    before = _last_sentence(text[:start])
    plain = _is_sentence(before) and not _doubted(before) and not _BEFORE.search(before)
    return ("" if plain else before) + text[start:end], end


def _claimed(text: str, claims: list[re.Match[str]]) -> tuple[str | None, int]:
    """Return what follows an opening such as "the answer is", and its end; None if it is denied, or two are said."""
    ends = [_end_of_sentence(text, claim.end()) for claim in claims]
    said = {_marked(text[claim.end() : end]).strip() for claim, end in zip(claims, ends, strict=True)}
    if len(said) != 1 or any(_denied(_last_sentence(text[: claim.start()])) for claim in claims):
        return None, len(text)
    return said.pop(), ends[-1]


def _marked(text: str) -> str:
    """Return the one bold part of a sentence, or what it says of its subject."""
    bold = _BOLD.findall(text)
    return str(bold[0]) if len(bold) == 1 and not _denied(text) else _result(text)


def _end_of_sentence(text: str, at: int) -> int:
    match = _SENTENCE.match(text, at)
    return match.end() if match else at


@lru_cache(maxsize=4096)  # the rollouts of a question share its answer and many of theirs
def _stated(text: str) -> str:
    bare = _LINE_BREAK.sub("\n", _POSTSCRIPT.sub("", text))
    if bare.count("$") == 1:
        bare = _LONE_MARK.sub(r"\\(", bare)
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
    if len(boxes) == 1 and re.search(r"[=)}0-9][^$]*(?:=|\\equiv)\s*$", before):
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
    return re.fullmatch(r"(?:[^\W\d_]|[\s.,:!'*])*", text) is not None


def _last_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?;,:])\$?\s+|(?<=[\u3002\uff01\uff1f\uff1b\uff0c\u0964])|\n\s*\n", text)[-1]


def _doubted(text: str) -> bool:
    """Return whether a text denies, doubts or adds to what follows it; what it says of its subject does not."""
    predicate = _COPULA.split(re.sub(r"\$[^$]*\$", " ", text))[-1]
    return _denied(text) or _JOINED.search(predicate) is not None


def _denied(text: str) -> bool:
    words = re.sub(r"\$[^$]*\$|\\[A-Za-z]+", " ", text)
    return not _OPEN.isdisjoint(tokens(words)) or NEGATING.search(words) is not None


def _result(text: str) -> str:
    """Return what a sentence says that its subject is: "the largest n is 5" says 5, "half of n is 5" does not."""
    match = _RESULT.fullmatch(text)
    if match is None or not _WORD.search(match["subject"]) or _PART.search(match["subject"]):
        return text
    return text if _denied(match["subject"]) else match["value"]


_WRAPPERS = (
    re.compile(r"\$\$?(.*?[^\\$])\$\$?", re.DOTALL),
    re.compile(r"\\\(((?:(?!\\\)).)*)\\\)", re.DOTALL),
    re.compile(r"\\\[((?:(?!\\\]).)*)\\\]", re.DOTALL),
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
    bare = _result(bare)
    for form in _WRAPPERS:
        match = form.fullmatch(bare)
        if match is not None:
            inner = match.groupdict().get("inner") or match[1]
            if inner.count("$") == 0 and "**" not in inner:
                return inner
    # Marks around one of several formulas ("$1$ and $2$").
    bare = re.sub(r"\\[()]", " ", bare)
    return bare.replace("$", " ") if bare.count("$") > 1 and bare.count("\\$") == 0 else bare
