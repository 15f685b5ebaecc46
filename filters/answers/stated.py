"""What part of a text is its answer, where a model writes a sentence around a box or a formula.

Taken is what its writer marks: the box, several that stand side by side, or the one formula of the text. Where the text
around it denies, doubts, corrects or adds something, nothing is taken and the whole text is graded as it stands. Of a
whole solution its conclusion alone is read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from filters.answers.closed_sets import (
    ANSWER_IS,
    CHANGING,
    NEGATING,
    PART_OF,
    RESULT_IS,
    SCALES,
    SUPPOSED,
    THEREFORE,
    without_copula,
    without_lead,
)
from filters.answers.text import HEDGES, NEGATIONS, tokens

# An opening of the prompts for MATH (Minerva, arXiv 2206.14858), and what templates of chats leave behind.
_POSTSCRIPT = re.compile(r"(?:I hope (?:it|this) is correct\.?|<\|im_(?:start|end)\|>\w{0,20})\Z")
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
# How a solution says what came out of it: nothing but a value behind words that announce one.
_THEREFORE = re.compile(rf"(?<![^\W\d_])(?=[^a-z])(?i:{THEREFORE})(?![a-z])[,\uff0c]?\s*")
_SENTENCES = re.compile(
    r"(?<=[.!?])[$*)\]]*\s+|(?<=[\u3002\uff01\uff1f\u0964])\s*|\n+|\\end\{[a-z]+\*?\}\s*"
    r"|\s+(?=(?:\*\*)?Final [Aa]nswer\b)"
)
_ANSWER = re.compile(rf"(?:{ANSWER_IS}[\s:\uff1a*]*)+", re.IGNORECASE)
_RESULT_OR_ANSWER = re.compile(rf"(?:(?:{ANSWER_IS}|{RESULT_IS})[\s:\uff1a*]*)+", re.IGNORECASE)
_HEADING = re.compile(r"(?:#{1,6}\s*|\*\*)?(?:the )?(?:final )?answer(?: is)?:?(?:\*\*)?:?|#{2,6}", re.IGNORECASE)
_VALUE = re.compile(
    r"\$\$?[^$]+\$\$?|\\\((?:(?!\\\)).)+\\\)|\\\[(?:(?!\\\]).)+\\\]|\([^()]*\)"
    r"|[-+\u2212]?[$\u20ac\u00a3\u00a5]?[\d.,/]*\d(?:\s?(?:[%\u00b0]|[^\W\d_]{1,12}))?"
)
# A term in one letter that is not the letter: 2x, x/2, x^2, \\sqrt{x}, -x.
_OF_A_LETTER = re.compile(
    r"(?:^|[\s$.])(?:[-\d/+*^{}\s]|\\(?:sqrt|frac|cdot|times))*[A-Za-z](?:[-\d/+*^{}\s]|\\(?:cdot|times))*=\s*$"
)
_LETTER_ALONE = re.compile(r"(?:^|[\s$,.(\[])[A-Za-z]\s*=\s*$")
_NAMED_VALUE = re.compile(rf"[A-Za-z](?:_\{{?\w+\}}?)?\s*=\s*(?P<value>{_VALUE.pattern})")
_IS_THE_ANSWER = re.compile(r"\S+(?P<told> is the (?:final |correct )?answer)", re.IGNORECASE)
_CHANGE = re.compile(r"the [^\d=<>.,;:?!]+ (?:in|de)creases by (?P<change>\d[\d.]*\\?%)\.?", re.IGNORECASE)
_LEFT_OVER = re.compile(r"\b(?:left|remaining|more|fewer|too|first|second|other|wrong)\b", re.IGNORECASE)
_IS = r"\b(?:is|are|equals)\b"
_RESULT = re.compile(
    rf"(?P<subject>(?:the|its|our|my|this|that|these)\s(?:[^\d=<>.,;:?!$]|\$[^$]*\$)*){_IS}(?: equal to)?\s+"
    rf"(?P<value>{_VALUE.pattern})\.?",
    re.IGNORECASE,
)
_THERE_ARE = re.compile(r"there (?:is|are) (?P<number>\d[\d,]*)(?: [^\W\d_]+)+\.?", re.IGNORECASE)
_COPULA = re.compile(_IS)
# What a subject is beside a thing: a part of one, a step, a doubt.
_NO_SUBJECT = re.compile(
    r"\b(?:answer|claimed|bound|remaining|other|first|second|intermediate|previous|wrong|false|whether|some|many)\b",
    re.IGNORECASE,
)
_CONTRARY = re.compile(
    r"\b(?:but|however|though|although|yet|except|only|ruled|excluded|impossible|since|because|wait|oops|falsch|faux"
    r"|fausse|falso|falsa|errad[oa]|aber|mais|pero|mas)\b|[\u9519\u932f\u8bef\u8aa4\u4f46\u9055]|गलत|लेकिन",
    re.IGNORECASE,
)
_NOTED = re.compile(r"[.!]\s+\(?Note that\b.*\Z", re.DOTALL)
_WHEN = re.compile(r"\b(?:after|at the end of(?: the)?) \d+[ -]?[^\W\d_]+(?: period)?")
_MOST_BEHIND = 8
_LONE_MARK = re.compile(r"\\\(\$(?![0-9])")
"""A second mark at the beginning of a formula, which pairs with nothing and is no currency."""
_LINE_BREAK = re.compile(r"\\n(?![A-Za-z])")
"""Escaped twice, as `_ESCAPED_TWICE`; LaTeX has no such command."""
_ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:boxed|frac|dfrac|tfrac|left|right|sqrt|text|pi|le|ge|leq|geq|infty|cup|cdot|times|in)\b)"
)


MAX_ANSWER = 300
"""Characters from which a text is no answer, but perhaps a solution, of which the conclusion is read; in perception and
search DeepEyesV2's reward gives nothing for as many."""


def stated(text: str) -> str:
    """Return the part of a text that states its answer; the whole of it where that is not clear."""
    if len(text) >= MAX_ANSWER:
        conclusion = _conclusion(text)
        if conclusion is None:
            return text
        text = conclusion
    return _stated(text) if _MARKED.search(text) else text


_TAIL = 2_000
"""Characters at the end of a solution in which its conclusion is looked for."""


def _without_postscript(text: str) -> str:
    """Return a text without what prompts and chat templates leave at its end; none of it is white space."""
    bare = text.rstrip()
    while (match := _POSTSCRIPT.search(bare, max(0, len(bare) - _LONGEST_POSTSCRIPT))) is not None:
        bare = bare[: match.start()].rstrip()
    return bare


_LONGEST_POSTSCRIPT = 40


def _conclusion(text: str) -> str | None:
    """Return what a solution comes to: the value that its last sentence announces, or its last boxes.

    None if there is neither, if sentences announce different values, or if more is said behind the boxes.
    """
    # Bounded, as everything that reads what a model wrote at any length.
    bare = _ESCAPED_TWICE.sub(r"\\", _LINE_BREAK.sub("\n", _without_postscript(text)))[-_TAIL:]
    sentences = [sentence for sentence in _SENTENCES.split(bare) if sentence.strip(" $*.")] or [bare]
    announced = {value for sentence in sentences if (value := _announced(sentence)) is not None}
    last = _announced(sentences[-1], _RESULT_OR_ANSWER) or _concluded(sentences)
    if last is not None:
        return last if len(announced) < 2 else None  # noqa: PLR2004 - two that differ
    boxes = boxed(bare)
    if not boxes or not announced <= {boxes[-1][2]} or not _says_no_more(bare[boxes[-1][1] :]):
        return None
    first = len(boxes) - 1
    while first and _BETWEEN_BOXES.fullmatch(bare, boxes[first - 1][1], boxes[first][0]):
        first -= 1
    if first and not _SENTENCES.search(bare[boxes[first - 1][1] : boxes[first][0]]):
        # Several values in one sentence: x = \\boxed{1}, y = \\boxed{2}.
        return None
    if SUPPOSED.search(_SENTENCES.split(bare[: boxes[first][0]])[-1]):
        return None
    before = _last_sentence(bare[: boxes[first][0]])
    plain = _is_sentence(before) and not _doubted(before) and not _BEFORE.search(before)
    return ("" if plain else before) + bare[boxes[first][0] :]


def _announced(sentence: str, words: re.Pattern[str] = _ANSWER) -> str | None:
    """Return the value that a sentence calls the answer; None where it says anything else beside it."""
    bare = _THEREFORE.sub("", sentence.strip(" *.\u3002\u0964"), count=1)
    behind = _IS_THE_ANSWER.fullmatch(bare)
    match = words.match(bare)
    if SUPPOSED.search(bare) or (match is None and behind is None):
        return None
    return _value_of(bare[match.end() :] if match is not None else bare[: behind.start("told")])  # type: ignore[union-attr]


def _concluded(sentences: list[str]) -> str | None:
    """Return the value to which the last sentence comes: behind "therefore", or alone under a heading."""
    last = sentences[-1]
    therefore = list(_THEREFORE.finditer(last))
    said = last[therefore[-1].end() :] if therefore else last
    marked = re.match(r"#{2,6}\s*", said)
    headed = marked is not None or (len(sentences) > 1 and _HEADING.fullmatch(sentences[-2].strip()) is not None)
    if SUPPOSED.search(said) or not (therefore or headed):
        return None
    counted = _THERE_ARE.fullmatch(said) or _CHANGE.fullmatch(said)
    if counted is not None:
        return None if _LEFT_OVER.search(said) else counted[1]
    return _value_of(said[marked.end() :] if marked is not None else said)


def _value_of(said: str) -> str | None:
    """Return a value that stands alone or is said of a subject; None for any other text."""
    bare = without_copula(said.strip(" *.!\u3002\uff01\u0964")).strip(" *")
    bare = _result(without_lead(bare))
    named = _NAMED_VALUE.fullmatch(bare.strip("$ "))
    return bare if _VALUE.fullmatch(bare) else named["value"] if named is not None else None


def _says_no_more(text: str) -> bool:
    """Return whether what stands behind a box adds nothing: marks, a unit, "is our answer"."""
    noted = _NOTED.search(text)
    text = text if noted is None or _CONTRARY.search(noted[0]) or "answer" in noted[0] else text[: noted.start()]
    bare = _WHEN.sub(" ", text)
    words = re.sub(r"\\p?o?mod\s*\{[^}]*\}|\\(?:text|mathrm|mbox)\b|[\\$*(){}\[\].,!\s\u3002]", " ", bare).split()
    return (
        len(words) <= _MOST_BEHIND
        and all(word.isalpha() for word in words)
        and not re.search(r"[.!?\u3002]\W*[^\W\d_]{2,}\W+[^\W\d_]", text)
        and _CONTRARY.search(text) is None
        and not _doubted(text)
    )


@lru_cache(maxsize=4096)  # the rollouts of a question share its answer and many of theirs
def _stated(text: str) -> str:
    bare = _LINE_BREAK.sub("\n", _without_postscript(text))
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
    if (
        SUPPOSED.search(_SENTENCES.split(before)[-1])
        or _doubted(_last_sentence(before))
        or _doubted(after)
        or _CONTRARY.search(after)
        or re.search(r"\\(?:cup|cap|pm|times)\s*$", before)
    ):
        return _unboxed(text, boxes)
    operand = _OPERATOR_BEFORE.search(before) is not None or _OPERATOR_BEHIND.match(after) is not None
    if operand or _changed(before, after):
        return _unboxed(text, boxes)
    if len(boxes) == 1 and re.search(r"[=)}0-9][^$]*(?:=|\\equiv)\s*$", before):
        # The end of a calculation; but 2x = 12 says of x something else.
        of_letter = (
            _OF_A_LETTER.search(before) and not _LETTER_ALONE.search(before) and not re.search("[A-Za-z]", contents[0])
        )
        return _unboxed(text, boxes) if of_letter else contents[0]
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
    return _denied(text) or _JOINED.search(predicate) is not None or SUPPOSED.search(text) is not None


def _denied(text: str) -> bool:
    words = re.sub(r"\$[^$]*\$|\\[A-Za-z]+", " ", text)
    return not _OPEN.isdisjoint(tokens(words)) or NEGATING.search(words) is not None


def _result(text: str) -> str:
    """Return what a sentence says that its subject is: "the largest n is 5" says 5, "half of n is 5" does not."""
    match = _RESULT.fullmatch(text)
    if match is None:
        return text
    subject = match["subject"]
    if PART_OF.search(subject) or _NO_SUBJECT.search(subject) or _denied(subject):
        return text
    return match["value"]


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
