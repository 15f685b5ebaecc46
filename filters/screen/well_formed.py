# ruff: noqa: RUF001 - full-width and other look-alike characters are meant
"""Whether a row makes sense at all: what can be told from the row itself, before anyone is asked."""

from __future__ import annotations

import re
from typing import Literal

from filters.answers.choices import option_texts
from filters.rule import Rule
from filters.screen.questions import VERSION
from pipeline.records import AnswerType, Decision, Question

Reason = Literal["text_too_long", "perception_without_image", "options_are_images", "answer_is_printed_list"]

_RULE: Rule[Reason] = Rule("well_formed", VERSION)


def well_formed(question: Question, tokens: int, cutoff_len: int) -> Decision:
    """Reject a question that nobody could answer or learn, whoever is asked.

    `tokens` are those of its text and options, `cutoff_len` those that the student can learn of a whole row; the score
    is the former where the text is longer. Rejected are as well: a question of perception, or one that speaks of what
    a picture shows, without a picture; options
    that stand for pictures (a mark, a file, "image 2" where there is no second picture), and an answer that is a list
    as programs print it (`['a', 'b']`).
    """
    if tokens > cutoff_len:
        return _RULE.reject(question.id, "text_too_long", float(tokens))
    if not question.images and (question.category == "perception" or speaks_of_image(question.text) is not None):
        return _RULE.reject(question.id, "perception_without_image")
    if _stand_for_images(question):
        return _RULE.reject(question.id, "options_are_images")
    if any(_printed(answer, question.answer_type) for answer in question.answers):
        return _RULE.reject(question.id, "answer_is_printed_list")
    return _RULE.keep(question.id)


def speaks_of_image(text: str) -> str | None:
    """Return the words by which a text says that a picture is there; None where it does not."""
    found = _SPEAKS_OF_ONE.search(text)
    return None if found is None else found[0]


_EXTENSION = r"\.(?:png|jpe?g|jpe|jfif|gif|bmp|webp|tiff?|avif|hei[cf]|svg|mpo)"
_WORD = (
    r"(?:images?|img|pictures?|pics?|photos?|bild(?:er)?|fotos?|im[aá]gen(?:es)?|imagem|imagens"
    r"|图片|图像|圖片|圖像|照片|画像|写真|चित्र|तस्वीर|छवि|(?:ال)?صورة)"
)
_NUMBER = r"(?:no\.?\s*)?([0-9]{1,3}|[A-Z])"
# Stands for a picture wherever it is in an option: marks of data sets, tags, pictures as text.
_MARK = re.compile(
    rf"<\|?/?(?:image|img)[^<>]{{0,200}}>|!\[[^\]]{{0,200}}\]\(|[\[【]\s*{_WORD}[\s_#-]*{_NUMBER}?\s*[\]】]"
    r"|data:image/|\A(?:iVBORw0KGgo|/9j/)",
    re.IGNORECASE,
)
# The whole of an option.
_FILE = re.compile(rf"(?:\S+|.*[/\\].*){_EXTENSION}(?:[?#]\S*)?", re.IGNORECASE)
_ANY_FILE = re.compile(rf".*{_EXTENSION}", re.IGNORECASE)
_NUMBERED = re.compile(rf"[({{（]?\s*{_WORD}\s*[-_#:.]?\s*{_NUMBER}\s*[)}}）]?\.?", re.IGNORECASE)
_BARE = re.compile(rf"[({{（]?\s*{_WORD}\s*[)}}）]?\.?", re.IGNORECASE)


_LONGEST = 500
"""Characters of an option that are looked at: addresses of pictures have up to some hundred."""


def _stand_for_images(question: Question) -> bool:
    """Return whether an option is a picture that the row does not hold as text.

    "Image 2" names one that is shown, where there are several. A word alone ("photo") may be an answer as any other,
    unless all options are the same one.
    """
    options = [option[:_LONGEST] for option in option_texts(question.choices)]
    if any(_MARK.search(option) or _FILE.fullmatch(option) for option in options):
        return True
    if len(options) > 1 and (all(map(_ANY_FILE.fullmatch, options)) or all(map(_BARE.fullmatch, options))):
        return len(set(options)) == 1 or not all(map(_BARE.fullmatch, options))
    named = [match[1] for option in options if (match := _NUMBERED.fullmatch(option))]
    shown = len(question.images)
    return any(shown < 2 or _place(name) > shown for name in named)  # noqa: PLR2004 - of one there is nothing to choose


def _place(name: str) -> int:
    return int(name) if name.isdecimal() else ord(name.upper()) - ord("A") + 1


# That a picture is there, in the supported languages; "a picture" and titles ("The Picture of Dorian Gray") are none.
_SPEAKS_OF_ONE = re.compile(
    r"\b(?:[Ii]n|[Oo]n|[Ff]rom) (?:the|this) (?:\w+ )?(?:image|picture|photo|photograph|figure|diagram|screenshot)\b"
    r"|\b(?:image|picture|photo|figure|diagram|chart|graph|map) (?:shown|above|below)\b"
    r"|\b(?:[Ii]m|[Aa]uf dem|[Aa]us dem|[Ii]n der|[Aa]uf der) (?:Bild|Foto|Abbildung|Grafik|Diagramm)\b"
    r"|\b(?:[Dd]ans|[Ss]ur) (?:cette |l'|la |le )(?:image|photo|figure|schéma)\b"
    r"|\b[Ee]n (?:la|esta|el|este) (?:imagen|foto|figura|diagrama)\b"
    r"|\b[Nn](?:a|esta|o|este) (?:imagem|foto|figura|diagrama)\b"
    r"|(?:图|圖)(?:片|像)?(?:中|里|裡|上|内)|如(?:下|上)?(?:图|圖)|(?:画像|写真|(?<![\u4e00-\u9fff])図)(?:の中|中|で|に|の)"
    r"|(?:चित्र|तस्वीर|छवि) (?:में|पर)"
)

_QUOTED = r"'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\""
_SCALAR = r"[-+]?[0-9][0-9.e+-]*+|None|null|nan|NaN|True|False|true|false"
# Brackets, commas and scalars, as Python, JSON and numpy (without commas) print lists, tuples, sets and objects.
_PRINTED = re.compile(
    rf"(?:array\()?[\[({{](?:[\s,:\[\](){{}}]|{_QUOTED}|{_SCALAR}|dtype=\w++)*+(?<=[\])}}])", re.DOTALL | re.ASCII
)
_STRING = re.compile(_QUOTED, re.DOTALL)
_BRACKETED: frozenset[AnswerType] = frozenset({"list", "expression", "text", "choice"})
"""Types of which `[1, 2]` may be an answer: a list, an interval, a box, a label."""


def _printed(answer: str, answer_type: AnswerType) -> bool:
    """Return whether an answer is a printed list: with quotes always, of numbers where the type is not one for them."""
    text = answer.strip()
    if not _PRINTED.fullmatch(text):
        return False
    if _STRING.search(text):
        # Brackets around a quotation are no tuple.
        return text[0] != "(" or "," in _STRING.sub("", text)
    return text in {"[]", "{}", "()"} or (text[0] == "[" and answer_type not in _BRACKETED)
