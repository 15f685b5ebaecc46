"""Questions that ask who a person is, by nothing but a picture of that person.

The rule: a question is one of `person_identity` if it has a picture and asks for the name, or for facts of the life, of
a natural person that the picture shows ("Who is this?", "Name the actor on the left", "Where was she born?"). It is
none if it asks for the maker, owner or winner of something, for a name that stands in the picture as text (a table, a
letter, a jersey), for a character of fiction, or for whom a work of art or a monument shows; nor if every answer is a
description ("the woman in red"), which nobody is recognised by. Naming a landmark, a product, a brand or a painting
asks for no person.

Languages: those of `filters.languages`. In others, and where no language can be told, nothing is found.
"""

from __future__ import annotations

from filters.instructions import split_instructions
from filters.languages import language_of
from filters.rights.asking_for_people import FORMS, Forms
from pipeline.records import Question


def asks_for_person(question: Question) -> bool:
    """Return whether a question is one of `person_identity`."""
    if not question.images:
        return False
    text = " ".join(split_instructions(question.text).question.lower().replace("\u2019", "'").split())
    language = language_of(text)
    if language is None:
        return False
    words = FORMS[language]
    if words.other.search(text) or all(_describes(answer, words) for answer in question.answers):
        return False
    asks = words.asking.search(text) and words.person.search(text) and words.shown.search(text)
    return bool(words.pointed.search(text) or asks)


def _describes(answer: str, words: Forms) -> bool:
    """Return whether an answer calls somebody by what is seen: "a man", "the boy on the left"."""
    rest = words.person.sub("", answer.lower())
    return rest != answer.lower() and not any(
        word[:1].isupper() and word.lower() in rest for word in answer.split()[1:]
    )
