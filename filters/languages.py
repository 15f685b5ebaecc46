"""The language of a question, as far as rules need it: the supported ones, told by their script and commonest words.

Which words a rule reads is a matter of language. A text in another language, or too short to tell, has None, and each
rule says what it does then (README, "Languages"). Not covered: texts in several languages; the first that fits is
taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

VERSION = 2

Language = Literal["en", "zh", "ja", "de", "fr", "es", "pt", "hi", "ar"]


def word_sets(words: Mapping[Language, str]) -> Mapping[Language, frozenset[str]]:
    """Return the words of each language, given with spaces between them."""
    return {language: frozenset(text.split()) for language, text in words.items()}


_SCRIPTS: tuple[tuple[Language | None, re.Pattern[str]], ...] = (
    ("ja", re.compile("[\u3041-\u30ff]")),
    (None, re.compile("[\uac00-\ud7a3\u1100-\u11ff]")),
    ("zh", re.compile("[\u3400-\u9fff\uf900-\ufaff]")),
    # Letters of Marathi and Nepali are those of Hindi; Bengali, Tamil and others have scripts of their own.
    ("hi", re.compile("[\u0900-\u097f]")),
    # Persian and Urdu have letters that Arabic has not.
    (None, re.compile("[\u067e\u0686\u0698\u06a9\u06af\u06cc\u06d2\u06ba]")),
    ("ar", re.compile("[\u0620-\u064a]")),
    (None, re.compile("[\u0370-\u1fff\ua000-\uabff]")),
)
_COMMON: Mapping[Language, frozenset[str]] = word_sets(
    {
        "en": "the of is are in on what which who whom whose where when why how many much does do did was were"
        " this that"
        " these there to and with from at it its an shown name find select choose all for by has have can be following"
        " they he she you or not as picture image about",
        "de": "der die das den dem des ist sind ein eine einen einem einer wie viele was wer wo wann warum welche"
        " welcher"
        " welches welchen im auf und mit von zu für nicht es sich auf dem zeigt steht hat wird sie er aus bild bitte",
        "fr": "le les du des est sont une quel quelle quels quelles combien où qui quand pourquoi comment dans"
        " sur et avec"
        " ce cette ces au aux il elle ne pas parmi laquelle lequel l'image d'un d'une que se cochez choisissez qu'est"
        " peut",
        "es": "el los las del es son una cuál cuáles qué cuántos cuántas cuánto cuánta dónde quién cuándo cómo en"
        " y con"
        " este esta estas estos al hay se no está están por para imagen de señala elige marque",
        "pt": "o os as do da dos das é são uma qual quais quantos quantas quanto quanta onde quem quando como em"
        " no na nos"
        " nas e com este esta estas destas ao há se não está estão que imagem assinale escolha marque de",
    }
)
# Italian, Dutch, Polish, Turkish, Vietnamese, Indonesian, Swedish, Danish, Czech, Catalan, Romanian
_OTHERS = (
    "quale quali che della dello delle degli nella nel sono di il quanti quante dove chi è gli"
    " het een welke hoeveel wat waar van zijn niet deze staat"
    " jest który która które ile gdzie kto co na są"
    " bir hangi kaç nedir nerede kim bu aşağıdakilerden hangisi mı mi"
    " nào là bao nhiêu gì ở đâu trong yang berapa manakah apa dimana ini pada"
    " vilken vilket hur många var är ett hvilken hvilket hvor mange er og det som"
    " kde kolik který která je quin quina quants els dels unde este sunt câte care"
)
_BY_LANGUAGE: tuple[tuple[Language | None, frozenset[str]], ...] = (
    *_COMMON.items(),
    (None, frozenset(_OTHERS.split())),
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def language_of(text: str) -> Language | None:
    """Return the supported language of a text; None for any other, and where no word tells.

    Latin scripts are told by counting common words; of equally many the first in the order of `Language` is taken, and
    an unsupported language only where its words are more.
    """
    for language, script in _SCRIPTS:
        if script.search(text):
            return language
    words = [word.replace("\u2019", "'") for word in _WORD.findall(text.lower())]
    parts = {part for word in words for part in (word, *word.split("'"))}
    counts = {language: len(parts & common) for language, common in _BY_LANGUAGE}
    best = max(counts.values())
    return next((language for language, count in counts.items() if count == best), None) if best else None
