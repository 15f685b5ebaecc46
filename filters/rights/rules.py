"""What becomes of a question that asks who is shown, and of texts that hold personal data.

What is found is evidence, kept as kind, place and number. No text is ever changed: an answer that was altered would be
no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from filters.rights.people import asks_for_person
from filters.rights.personal_data import personal_data
from filters.rule import Rule
from pipeline.identity import Identity, parse_json
from pipeline.records import Action, Decision, PersonalData, PersonalField, Question, Trajectory, Turn

VERSION = 1
"""Of all that is found and decided here: `people`, `asking_for_people` and `personal_data` are part of it."""

PeopleReason = Literal["person_identity"]
DataReason = Literal["personal_data"]
DataUse = Literal["label", "reject"]

_PEOPLE: Rule[PeopleReason] = Rule("person_identity", VERSION)
_DATA: Rule[DataReason] = Rule("personal_data", VERSION)


class RightsSettings(Identity):
    """What may not be asked or taught of people."""

    VERSION: ClassVar[int] = VERSION

    people: Literal["exclude", "keep"] = "exclude"
    """Questions that ask who a picture shows (`filters.rights.people`): recognising people by their looks is biometric
    identification. Kept ones are labelled."""
    personal_data: DataUse = "label"
    """Texts with e-mail addresses, phone numbers, accounts and the like (`filters.rights.personal_data`): `label` says
    so in every export, `reject` stops the question at the screen and the trajectory at validation."""


def of_no_person(question: Question, found: Sequence[PersonalData], settings: RightsSettings) -> Decision:
    """Reject a question that asks who is shown, unless those are kept."""
    if settings.people == "exclude" and any(fact.kind == "person_identity" for fact in found):
        return _PEOPLE.reject(question.id, "person_identity")
    return _PEOPLE.keep(question.id)


def without_personal_data(record_id: str, found: Sequence[PersonalData], use: DataUse) -> Decision:
    """Keep a record, unless personal data were found and the recipe wants none; the score is how often."""
    times = sum(fact.n for fact in found if fact.kind != "person_identity")
    if times and use == "reject":
        return _DATA.reject(record_id, "personal_data", float(times))
    return _DATA.keep(record_id, float(times))


def found_in_question(question: Question) -> tuple[PersonalData, ...]:
    """Return what stands in a question: its text and options, its answers, and what its source carries along."""
    texts: Mapping[PersonalField, Iterable[str]] = {
        "question": (question.text, *question.choices),
        "answers": question.answers,
        "meta": (question.meta,),
    }
    found = _found(question.id, question.id, ((field, text) for field, some in texts.items() for text in some))
    if not asks_for_person(question):
        return found
    asked = PersonalData(record_id=question.id, question_id=question.id, field="question", kind="person_identity", n=1)
    return (*found, asked)


def found_in_trajectory(trajectory: Trajectory) -> tuple[PersonalData, ...]:
    """Return what stands in the turns of a trajectory: thoughts, code, queries, what came back, and the answer."""
    return _found(trajectory.id, trajectory.question_id, (text for turn in trajectory.turns for text in _texts(turn)))


_FIELDS: Mapping[Action, PersonalField] = {"python": "code", "search": "query", "answer": "answer"}


def _texts(turn: Turn) -> Iterator[tuple[PersonalField, str]]:
    yield "think", turn.think
    yield "observation", turn.observation or ""
    if turn.action in _FIELDS:
        yield _FIELDS[turn.action], " ".join(map(str, parse_json(turn.arguments).values()))


def _found(record_id: str, question_id: str, texts: Iterable[tuple[PersonalField, str]]) -> tuple[PersonalData, ...]:
    counts: dict[tuple[str, str], PersonalData] = {}
    for field, text in texts:
        for kind, times in personal_data(text).items():
            before = counts.get((field, kind))
            counts[field, kind] = PersonalData(
                record_id=record_id,
                question_id=question_id,
                field=field,
                kind=kind,
                n=times + (before.n if before else 0),
            )
    return tuple(counts.values())
