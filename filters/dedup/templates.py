"""How predictable an answer is from the wording of its question alone.

Most questions of synthetic sources, and many that people wrote, come from few templates. Where nine of ten questions
of one wording have one answer, a model is right nine times in ten without looking. A template is the key of the
question (`filters.dedup.key`) with what varies taken out: quoted text, numbers, names, colours. What else fills a slot
("the value of mad in drop") cannot be told from the wording of one question, so such questions have templates of their
own; shares of templates with many questions are right, and small templates say little. Number words and colours are
those of the question's language (English where it cannot be told); names are told by capitals, which German gives to
every noun, so
that German questions, and those of scripts without capitals, keep their names.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from filters.answers.numbers.quantities import read_number
from filters.answers.text import clean, folded, tokens
from filters.dedup.key import Token, question_tokens
from filters.languages import Language, language_of, word_sets
from pipeline.records import AnswerType, Made, TemplateFacts

VERSION = 3
"""Rises whenever an equal question may get another template or majority."""


class TemplateRow(NamedTuple):
    """The columns of a question that are needed."""

    question_id: str
    text: str
    """Without its options."""
    answers: tuple[str, ...]
    """As they read: the text of an option, not its letter."""
    answer_type: AnswerType


# The basic colour terms of each language (Berlin and Kay, 1969), and those that CLEVR and charts use beside the English
# ones. Attributes such as size and material stay: the same words say what is asked ("how many times as large").
_COLOURS: Mapping[Language, frozenset[str]] = word_sets(
    {
        "en": "black white gray grey red green yellow blue brown orange pink purple cyan magenta violet teal navy"
        " maroon"
        " olive lime turquoise beige indigo gold silver tan",
        "zh": "黑 白 红 绿 黄 蓝 棕 褐 橙 粉 紫 灰 青 金 银",
        "ja": "黒 白 赤 緑 黄 青 茶 橙 桃 紫 灰 金 銀 紺",
        "de": "schwarz schwarze schwarzen schwarzer weiß weiße weißen weißer rot rote roten roter grün grüne"
        " grünen grüner gelb"
        " gelbe gelben gelber blau blaue blauen blauer braun braune braunen orange rosa lila violett grau graue"
        " grauen",
        "fr": "noir noire noirs noires blanc blanche blancs blanches rouge rouges vert verte verts vertes jaune"
        " jaunes bleu"
        " bleue bleus bleues brun brune marron orange rose roses violet violette gris grise grises",
        "es": "negro negra negros negras blanco blanca blancos blancas rojo roja rojos rojas verde verdes"
        " amarillo amarilla"
        " amarillos amarillas azul azules marrón naranja rosa morado morada gris grises",
        "pt": "preto preta pretos pretas branco branca brancos brancas vermelho vermelha vermelhos vermelhas"
        " verde verdes"
        " amarelo amarela amarelos amarelas azul azuis marrom laranja rosa roxo roxa cinza cinzento",
        "hi": "काला काली काले सफेद सफ़ेद लाल हरा हरी हरे पीला पीली पीले नीला नीली नीले भूरा भूरी नारंगी गुलाबी बैंगनी धूसर",
        "ar": "أسود سوداء أبيض بيضاء أحمر حمراء أخضر خضراء أصفر صفراء أزرق زرقاء بني بنية برتقالي وردي بنفسجي رمادي",
    }
)
_NUMBER_WORDS: Mapping[Language, frozenset[str]] = word_sets(
    {
        "en": "zero one two three four five six seven eight nine ten eleven twelve",
        "zh": "零 一 二 两 三 四 五 六 七 八 九 十",
        "ja": "零 一 二 三 四 五 六 七 八 九 十",
        # Not the articles: ein, un, una, um are seldom meant as numbers.
        "de": "null zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "fr": "zéro deux trois quatre cinq six sept huit neuf dix onze douze",
        "es": "cero dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "pt": "zero dois duas três quatro cinco seis sete oito nove dez onze doze",
        "hi": "शून्य दो तीन चार पाँच पांच छह छः सात आठ नौ दस",
        "ar": "صفر اثنان اثنين ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة عشرة",
    }
)
_SHADES = frozenset({"light", "dark", "bright", "pale", "deep"})
# Words that are written with a capital without being a name.
_NO_NAMES = frozenset(
    {"I", "I'm", "A", "An", "The", "In", "Of", "Is", "Are", "What", "Which", "Who", "How", "When", "Where", "Why"}
    | {"Please", "Answer", "Yes", "No", "Q", "Question"}
)
# Parts of a name that are not capitalised: "Rio de Janeiro". "The GDP of Italy" is two.
_INSIDE = frozenset({"de", "del", "la", "van", "von", "der"})
# Within one line: a lone quotation mark must not swallow the rest.
_QUOTED = re.compile(
    r"[\"\u201c\u201d\u201e\u00ab][^\"\u201c\u201d\u00ab\u00bb\n]+[\"\u201d\u201c\u00bb]"
    r"|(?<!\w)['\u2018][^'\u2019\n]+['\u2019](?!\w)|[\u300c\u300e][^\u300d\u300f\n]+[\u300d\u300f]"
)
_QUOTE = "\ue000"
"""Stands for a quotation while the text is split; a private character that no text has."""
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_AROUND_NUMBERS = frozenset("$€£¥%")
_NO_CAPITALS_TELL: frozenset[Language | None] = frozenset({"de"})


@lru_cache(maxsize=1 << 14)  # of many questions that a source asks, most are asked of many pictures
def template_of(text: str) -> str:
    """Return the key of a question, what varies replaced by what it is.

    `<text>` stands for a quotation, `<number>` for a number in digits or words, `<colour>` for a colour, and
    `<name>` for neighbouring words with a capital that do not begin a sentence, or with a digit in them.
    """
    language = language_of(text)
    written = _QUOTED.sub(f" {_QUOTE} ", text.replace(_QUOTE, " "))
    capitals = not written.isupper() and language not in _NO_CAPITALS_TELL
    parts = [_placeholder(token, language or "en", capitals=capitals) for token in question_tokens(written)]
    return _spaced(_joined(parts))


def template_facts(rows: Iterable[TemplateRow]) -> Sequence[TemplateFacts]:
    """Return for every question, by id, how often questions of its template have their most frequent answer.

    Answers are compared as the grader does: by tokens, numbers by value. A question counts once for each thing
    that its answers say. Of equally frequent answers the one that sorts first is taken.
    """
    counts = TemplateCounts()
    for row in rows:
        counts.add(row)
    return counts.facts()


class TemplateCounts:
    """Counts questions one by one, in 16 bytes and its id each, and 8 for each answer."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._templates, self._answers = dict[str, int](), dict[str, int]()
        self._template_of = array("i")
        """For each question."""
        self._asked, self._said = array("i"), array("i")
        """For each thing that its answers say, which question, and which answer."""

    def add(self, row: TemplateRow) -> None:
        """Count a question."""
        template = template_of(row.text)
        self._template_of.append(self._templates.setdefault(template, len(self._templates)))
        for answer in _all_said(row.answers, row.answer_type):
            self._asked.append(len(self._ids))
            self._said.append(self._answers.setdefault(answer, len(self._answers)))
        self._ids.append(row.question_id)

    def facts(self) -> Sequence[TemplateFacts]:
        """Return as `template_facts`; nothing is added afterwards."""
        import numpy as np

        ids, wordings, answers = self._ids, [*self._templates], [*self._answers]
        template_of = np.array(self._template_of, np.int64)
        questions = np.bincount(template_of, minlength=len(wordings))
        asked, said = np.array(self._asked, np.int64), np.array(self._said, np.int64)
        pairs, times = np.unique(template_of[asked] * len(answers) + said, return_counts=True)
        template, answer = np.divmod(pairs, max(1, len(answers)))
        place_of = np.empty(len(answers), np.int64)
        place_of[sorted(range(len(answers)), key=answers.__getitem__)] = np.arange(len(answers))
        best = np.lexsort((place_of[answer], -times, template))
        best = best[np.diff(template[best], prepend=-1) != 0]
        majority, most = np.full(len(wordings), -1), np.zeros(len(wordings), np.int64)
        majority[template[best]], most[template[best]] = answer[best], times[best]
        of_majority = np.zeros(len(ids), bool)
        of_majority[asked[said == majority[template_of[asked]]]] = True
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

        def columns(begin: int, end: int) -> Mapping[str, Any]:
            places = order[begin:end]
            numbers = template_of[places]
            return {
                "question_id": [ids[place] for place in places.tolist()],
                "template": [wordings[number] for number in numbers.tolist()],
                "questions": questions[numbers],
                "majority": [answers[number] if number >= 0 else "" for number in majority[numbers].tolist()],
                "share": most[numbers] / questions[numbers],
                "is_majority": of_majority[places],
            }

        return Made(TemplateFacts, len(ids), columns)


@lru_cache(maxsize=1 << 14)  # of a source, a few answers are those of most questions
def _all_said(answers: tuple[str, ...], kind: AnswerType) -> frozenset[str]:
    return frozenset(_normalised(answer, kind) for answer in answers)


def _normalised(answer: str, answer_type: AnswerType) -> str:
    said = clean(answer)
    number = read_number(said) if answer_type == "number" else None
    if number is not None and number.other is None:
        whole = number.value.denominator == 1
        return f"{number.value.numerator if whole else float(number.value)} {number.unit}".rstrip()
    return " ".join(folded(tokens(said))) or said


def _placeholder(token: Token, language: Language, *, capitals: bool) -> str:
    text, word = token.text, token.written
    if text == _QUOTE:
        return "<text>"
    if text[0].isdecimal() or text.lower() in _NUMBER_WORDS[language]:
        return "<number>"
    if not text[0].isalpha():
        return text
    if any(map(str.isdigit, text)):
        return "<name>"
    capital = capitals and word[0].isupper() and word not in _NO_NAMES
    # At the beginning of a sentence only capitals beyond the first tell a name: "GDP", "McDonald".
    if capital and (not token.opens or (len(word) > 1 and any(map(str.isupper, word[1:])))):
        return "<name>"
    return "<colour>" if text.lower() in _COLOURS[language] else text.casefold()


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
        if (part in _ORDINALS and before == "<number>") or (part in _AROUND_NUMBERS and "<number>" in {before, after}):
            continue
        joined.append(part)
    return joined


def _spaced(parts: Sequence[str]) -> str:
    """Join parts by spaces, and those of scripts without spaces by none."""
    text = " ".join(parts)
    return _BETWEEN_IDEOGRAPHS.sub("", text)


_BETWEEN_IDEOGRAPHS = re.compile("(?<=[\u3040-\u30ff\u3400-\u9fff]) (?=[\u3040-\u30ff\u3400-\u9fff])")
