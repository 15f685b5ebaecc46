"""Multiple choice: an option is meant by its letter, its text, or both if they agree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from filters.answers.closed_sets import without_lead
from filters.answers.evasion import corrects, negates, refuses, steers
from filters.answers.text import HEDGES, NEGATIONS, clean, contains, equal, hedged, negated, tokens

_OPENING = "[(\\[\u3010\u300c\u300e]"
_CLOSING = "[)\\]\u3011\u300d\u300f]"
_LABEL = rf"{_OPENING}?([A-Za-z]){_CLOSING}?"
# What an option is called before or behind its letter, in the supported languages.
_CALLED = (
    r"(?:option|choice|answer|letter|antwort|buchstabe|option|réponse|lettre|opción|respuesta|letra|opção|alternativa"
    r"|resposta|选项|選項|选|答案|選択肢|विकल्प|उत्तर)"
)
_CALLED_BEHIND = r"(?:\s?(?:选项|選項|项|項|番))"
_LETTER = re.compile(rf"(?:{_CALLED}\s*:?\s*)?{_LABEL}{_CALLED_BEHIND}?[.:,)]?", re.IGNORECASE)
_IS_RIGHT = re.compile(
    rf"(?:(?:the|die|la|el|a)\s+)?(?:{_CALLED}\s*)?{_LABEL}{_CALLED_BEHIND}?\s*(?:is|ist|est|es|é|是|が|は)\s*(?:the\s+|la\s+|a\s+|die\s+)?"
    r"(?:correct|right|best|richtige?|correcte|bonne|juste|correcta|correta|certa|正确|正確|正しい|正解)(?:的|的?答案)?"
    r"(?:\s+(?:answer|option|choice|one|antwort|réponse|respuesta|opción|resposta|opção))?[.!]?",
    re.IGNORECASE,
)
_LETTER_ALONE = re.compile(rf"\s*{_LABEL}\.?\s*")
_LABELLED = re.compile(r"\(?([A-Za-z])[).:]\s+\S.*")
# A letter in front of more text needs a mark behind it, or an English "A" would be an option.
_LETTER_AND_TEXT = re.compile(
    rf"(?:{_CALLED}\s+)?(?:[(\[\u3010]([A-Za-z])[)\]\u3011]|([A-Za-z])\)|([A-Za-z])\s*[.:](?=\s|[^\x00-\x7f])"
    r"|([A-Za-z])(?:\s+-|,)(?=\s|[^\x00-\x7f]))\s*(.+)",
    re.IGNORECASE,
)
_LETTER_BEFORE_TEXT = re.compile(r"([B-Z](?=\s)|[A-Z](?=[.:,]))[.:,]?\s*(\S.*)")
_TEXT_AND_LETTER = re.compile(r"(.+?)\s*\(([A-Za-z])\)\.?")
_REASON = re.compile(r"(?:option\s+)?\(?([A-Za-z])\)?,?\s+(?:because|since|as)\s.*", re.IGNORECASE)
_ENDS_ON_LETTER = re.compile(
    r".*\b(?:answer|choice|option)\s*(?:is|:|must be|would be)\s*(?:option\s+)?\(?\[?([A-Z])[\])]?\.?"
)
# Capital letters that may be labels; the pronoun and an article before a word are none.
_LABELS = re.compile(r"(?<![\w'.])(?:A(?!\s+(?!and\b|or\b|nor\b)[a-z])|[B-HJ-Z]|I(?=[).,:]))(?![\w'])")
_LETTERS_ONLY = re.compile(r"\(?[A-Z]\)?(?:[\s,;./&]+(?:and\s+)?\(?[A-Z]\)?)+\.?")
_RUN_OF_LABELS = re.compile(r"[A-Z]{2,}")
_ALL = frozenset({"all", "both", "every", "everything", "any"})
_BETWEEN = frozenset(ascii_lowercase) | {
    "and",
    "or",
    "nor",
    "both",
    "either",
    "neither",
    "the",
    "answer",
    "option",
    "is",
}
_PROSE = 4
"""Words of its own from which an answer that names two options may argue for one of them; a judge has to read it."""
_OWN_LABEL = re.compile(r"\s*(?:\(([A-Za-z])\)|([A-Za-z])[.):])\s+(?=\S)")
# Other options denied behind the one that is meant: "D, not C", "D. It can't be A or B".
_NOT_OTHERS = re.compile(
    r"(?P<meant>.+?)(?:[\s,;.\uff0c]+(?:(?:and|but|und|mais|et)\s+)?"
    r"(?:not|nicht|non|pas|no|não|rather than|instead of"
    r"|(?:it|that)(?:'s not| is not| isn't| can't be| cannot be))\b"
    r"|[,;.\uff0c]\s*(?:不是|不选|而不是))\s*(?P<others>\S.*?)\.?",
    re.IGNORECASE,
)
# Japanese denies first: "C ではなく D".
_NOT_BUT = re.compile(r"(?P<others>\S+?)ではなくて?[、,]?\s*(?P<meant>\S+?)[。.]?")
_OR = re.compile(r"[\s,]*(?:,|/|\b(?:or|nor|and|not|oder|ou|o|und|et|y|e)\b|或|和)\s*(?:not\b\s*)?")
# Words that may stand before an option in a sentence that commits to it.
_COPULA = frozenset({"is", "are", "was", "were", "be", "option", "choose", "choice", "answer"})


def option_texts(choices: Sequence[str]) -> tuple[str, ...]:
    """Return the options without labels of their own ("A. red", "(B) blue"), if all carry the label of their place."""
    labels = [_OWN_LABEL.match(choice) for choice in choices]
    if (
        choices
        and labels[0] is not None
        and all(
            match is not None and (match[1] or match[2]).upper() == letter
            for match, letter in zip(labels, ascii_uppercase, strict=False)
        )
    ):
        return tuple(choice[match.end() :].strip() for choice, match in zip(choices, labels, strict=True) if match)
    return tuple(choice.strip() for choice in choices)


@lru_cache(maxsize=1024)  # the rollouts of a question are graded one after the other
def _option_words(choices: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tokens(clean(text)) for text in option_texts(choices))


@lru_cache(maxsize=1024)
def gold_option(gold: str, choices: tuple[str, ...]) -> int | None:
    """Return the place of the option that a stored answer names by letter or text; None if none or several fit."""
    texts = _option_words(choices)
    words = tokens(clean(gold))
    by_text = _places(words, texts)
    letter = _LETTER_ALONE.fullmatch(clean(gold))
    by_letter = set() if letter is None else {_place(letter[1])} & set(range(len(texts)))
    # Options may be letters themselves; then both readings have to agree.
    named = by_text | by_letter
    if not named:
        named = {place for place, choice in enumerate(choices) if gold.strip() == choice.strip()}
    return min(named) if len(named) == 1 else None


def answer_texts(answers: Sequence[str], choices: tuple[str, ...]) -> tuple[str, ...]:
    """Return what stored answers say: the text of an option that one names by its letter, else the answer itself."""
    texts = option_texts(choices)
    places = [gold_option(answer, choices) if choices else None for answer in answers]
    return tuple(answer if place is None else texts[place] for answer, place in zip(answers, places, strict=True))


def meant_option(prediction: str, choices: tuple[str, ...]) -> int | None:
    """Return the place of the one option that a cleaned prediction commits to; None if that is not clear.

    A place beyond the options stands for a letter that no option has.
    """
    if _LETTER_ALONE.fullmatch(prediction) is None:
        # What an option says, sign by sign, is that option, whatever else it could be read as: "A/B" of grades.
        said = [place for place, option in enumerate(option_texts(choices)) if clean(option) == prediction]
        if len(said) == 1:
            return said[0]
    formula = _as_formula(without_lead(prediction))
    if formula is not None:
        # Signs are no words, and -x+1 is another option than x+1.
        same = [place for place, option in enumerate(option_texts(choices)) if _formula(option) == formula.text]
        return same[0] if len(same) == 1 and formula.place in {None, same[0]} else None
    texts = _option_words(choices)
    for text in dict.fromkeys((prediction, without_lead(prediction))):
        place = _meant(text, texts)
        if place is not None:
            return place
    letter = _told_apart(prediction)
    if letter is not None:
        return _place(letter)
    words = tokens(prediction)
    match = _ENDS_ON_LETTER.fullmatch(prediction)
    if match is not None and _mentioned(prediction, texts) == {_place(match[1])} and not _open(words):
        return _place(match[1])
    return _in_sentence(words, texts)


class _Formula(NamedTuple):
    place: int | None
    """That of the letter before it."""
    text: str


def _as_formula(said: str) -> _Formula | None:
    """Return a prediction that is a formula, alone or behind the letter of an option; None for any other."""
    match = _LABELLED_FORMULA.fullmatch(said)
    text = _formula(match["rest"] if match is not None else said)
    return None if text is None else _Formula(_place(match["letter"]) if match is not None else None, text)


def _formula(text: str) -> str | None:
    """Return a text of signs, digits and single letters without its spaces; None for words."""
    bare = re.sub(r"[\s$]", "", text)
    words = re.search(r"[^\W\d_]{3,}", re.sub(r"\\[A-Za-z]+", "", bare))
    return bare if _SIGN.search(bare) and words is None else None


_SIGN = re.compile(r"[-+*/^=<>|!\u00b1\u2212\u221a]")
_LABELLED_FORMULA = re.compile(r"[(\[]?(?P<letter>[A-Za-z])[)\].:]+\s+(?P<rest>\S.*)")


def commits_to_none(prediction: str, choices: tuple[str, ...]) -> str | None:
    """Return why a cleaned prediction that means no one option is no answer; None if it may still be one."""
    texts = _option_words(choices)
    words = tokens(prediction)
    own = frozenset(word for text in texts for word in text)
    if not words:
        return "empty"
    if refuses(prediction):
        return "abstained"
    if corrects(prediction):
        return "corrected"
    mentioned = _mentioned(prediction, texts)
    if len(mentioned) > 1 and len(mentioned) < len(texts) and len(set(words) - own - _BETWEEN) >= _PROSE:
        return None
    if len(mentioned) > 1 or _all_labels(prediction, len(texts)) or words[0] in _ALL - own:
        return "several_options"
    if steers(prediction):
        return "about_grading"
    if not own.issuperset(NEGATIONS.intersection(words)) or negates(words):
        return "negated"
    return None if own.issuperset(HEDGES.intersection(words)) else "hedged"


def meant_letter(prediction: str) -> str | None:
    """Return the letter that a cleaned prediction commits to when the options are not known."""
    text = without_lead(prediction)
    match = _LETTER.fullmatch(text) or _IS_RIGHT.fullmatch(text)
    if match:
        return match[1].upper()
    letter = _told_apart(text)
    if letter is not None:
        return letter
    match = _LETTER_AND_TEXT.fullmatch(text)
    # A second capital may be a second answer.
    if match is None or _open(tokens(text)) or re.search(r"\b[A-Z]\b", match[5]):
        return None
    return _first(match).upper()


def labelled_letter(gold: str) -> str | None:
    """Return the letter of a stored answer that is a letter, alone or before its text: "B", "(B) Paris"."""
    match = _LETTER_ALONE.fullmatch(gold) or _LABELLED.fullmatch(gold)
    return match[1].upper() if match else None


def several_letters(prediction: str) -> str | None:
    """Return why a text is no answer if it is nothing but letters of options that are not known, several of them."""
    return "several_options" if _LETTERS_ONLY.fullmatch(prediction) else None


def _told_apart(prediction: str) -> str | None:
    """Return the letter that a text means beside letters that it denies; None where it is no such text.

    Of words it is not told: "Paris, not Rome" names two, and which is meant may be the question.
    """
    match = _NOT_BUT.fullmatch(prediction) or _NOT_OTHERS.fullmatch(prediction)
    if match is None:
        return None
    parts = (without_lead(match["meant"]), *filter(None, _OR.split(match["others"])))
    meant, *others = [found and found[1].upper() for found in map(_LETTER.fullmatch, parts)]
    return meant if meant is not None and not {meant, None} & {*others} else None


def _meant(text: str, options: Sequence[tuple[str, ...]]) -> int | None:
    words = tokens(text)
    by_text = _places(words, options)
    match = _LETTER.fullmatch(text)
    by_letter = set() if match is None else {_place(match[1])}
    named = by_text | by_letter
    if named:
        return min(named) if len(named) == 1 else None
    match = _IS_RIGHT.fullmatch(text)
    if match is not None:
        return _place(match[1])
    match = _LETTER_AND_TEXT.fullmatch(text)
    if match is not None and (place := _agreed(_place(_first(match)), tokens(match[5]), options)) is not None:
        return place
    match = _LETTER_BEFORE_TEXT.fullmatch(text)
    if match is not None and (place := _agreed(_place(match[1]), tokens(match[2]), options)) is not None:
        return place
    match = _TEXT_AND_LETTER.fullmatch(text)
    if match is not None:
        return _agreed(_place(match[2]), tokens(match[1]), options)
    match = _REASON.fullmatch(text)
    if match is not None and not any(contains(words, option) for option in _others(_place(match[1]), options)):
        return None if _open(words) else _place(match[1])
    return None


def _places(words: tuple[str, ...], options: Sequence[tuple[str, ...]]) -> set[int]:
    """Return the places of the options that a text equals."""
    first = words[0][:1] if words else ""
    return {
        place
        for place, option in enumerate(options)
        if option
        and (option[0][:1] == first or not option[0].isascii() or not first.isascii())
        and equal(words, option)
    }


def _agreed(place: int, words: tuple[str, ...], options: Sequence[tuple[str, ...]]) -> int | None:
    """Return `place` if the text behind its letter is its option's."""
    return place if place < len(options) and equal(words, options[place]) else None


def _in_sentence(words: tuple[str, ...], options: Sequence[tuple[str, ...]]) -> int | None:
    """Return the option that ends a sentence saying that something is it, if no other option is mentioned."""
    mentioned = _mentioned_texts(words, options)
    if len(mentioned) != 1 or _open(words):
        return None
    place = mentioned.pop()
    option = options[place]
    before = tuple(word for word in words[: -len(option)] if word not in {"a", "an", "the"})
    ends = words[-len(option) :] == option and bool(before) and before[-1] in _COPULA
    return place if ends else None


def _mentioned(text: str, options: Sequence[tuple[str, ...]]) -> set[int]:
    """Return the places of all options that a text names, by letter or text."""
    by_letter = {_place(letter) for letter in _LABELS.findall(text)}
    return {place for place in by_letter if place < len(options)} | _mentioned_texts(tokens(text), options)


def _mentioned_texts(words: tuple[str, ...], options: Sequence[tuple[str, ...]]) -> set[int]:
    places = [place for place, option in enumerate(options) if contains(words, option)]
    # "dark red" mentions "red" as well, but means itself.
    return {
        place
        for place in places
        if not any(
            len(options[other]) > len(options[place]) and contains(options[other], options[place]) for other in places
        )
    }


def _all_labels(text: str, count: int) -> bool:
    """Return whether a text is a run of labels, such as ABCD."""
    return _RUN_OF_LABELS.fullmatch(text) is not None and all(_place(letter) < count for letter in text)


def _open(words: tuple[str, ...]) -> bool:
    return hedged(words) or negated(words)


def _others(place: int, options: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [option for other, option in enumerate(options) if other != place]


def _first(match: re.Match[str]) -> str:
    return next(group for group in match.groups()[:4] if group is not None)


def _place(letter: str) -> int:
    return ascii_uppercase.index(letter.upper())
