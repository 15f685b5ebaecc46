"""Suspected wrong gold: several attempts agree on another answer than the stored one.

That a model fails a question k times is no evidence against its label, even if it says the same each time: the gates
chose the question because that model fails it, and a habit (a blurred label misread alike, the wrong way to measure)
looks like agreement. What counts first are other models, which nobody chose for being wrong, and of their attempts
those that looked closer. The model of the gates may join them; that it says something else is no objection.

How the numbers were chosen: by all rollouts of the demo with 400 questions, once as they are and once with 240
answers swapped, base and teacher of one family, no judge, the rule asked after each attempt of the teacher as
synthesis does. It rejected 127 of the 240 (52.9 % [46.6 %, 59.1 %]) and none of the 400 ([0 %, 1.0 %]); 69 more of
the 240 are listed, for what the attempts agree on may be the stored answer in other words, and only a judge could
tell. With base and teacher taken for two families 67 and none are rejected; a stray rollout that made a family would
make it 77. The plain reading of "several agree", three of the base model alone, would have doubted 150 of the 245
sound questions that reached gate 2, and still 94 if only attempts with a call counted. Of the 80 sound questions that
went to RL one is disputed; of the swapped ones none went there. `make bench-gold`, with 20 of 400 swapped: 8
rejected, 11 of the other 12 listed; of the 380 sound ones none rejected and one listed.

A teacher that is no better than the base model and has its habits does much the same: with the base model's rollouts
in the teacher's place 53 of the 245 are doubted, and 10 where they pass for those of another family. Two families
that do not share their errors are what makes a suspicion worth a person's time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, NamedTuple

from pydantic import Field

from filters.answers import grade
from filters.answers.chance import chance, guess_floor
from filters.answers.evasion import refuses
from filters.answers.text import clean
from pipeline.identity import Identity
from pipeline.records import Mode, Question, Verdict

VERSION = 3

REASON: Final = "suspected_wrong_gold"
"""Of a question that is suspect; there is no other."""

NEAR = 2
"""Tolerances from the stored number within which another is no contradiction: the measurement that was stored and
the one that speaks against it may each be off by one."""


class DisputeSettings(Identity):
    """How many attempts that agree are heard."""

    VERSION: ClassVar[int] = VERSION

    enabled: bool = True
    min_attempts: int = Field(default=3, ge=2)
    """Agreeing attempts of models that the gates did not choose by, in which a call could have carried the answer. Two
    of those who guess among a few likely answers, as telephone codes are, agree too often."""
    min_share: float = Field(default=2 / 3, gt=0.5, le=1)
    """Of all attempts like those of `min_attempts`: a majority that one more attempt does not overturn."""


class GoldSettings(DisputeSettings):
    """How much agreement makes a stored answer suspect."""

    min_families: int = Field(default=2, ge=1)
    """Model families among all that agree, the model of the gates included: models of one family share their data, and
    blind spots with them. 1 is for those who have one family alone; what it finds is labelled `single_family`."""
    min_per_family: int = Field(default=2, ge=1)
    """Agreeing attempts that make a family one of those: of many rollouts, one goes astray to any answer."""

    @property
    def dispute(self) -> DisputeSettings:
        """Return what a dispute goes by."""
        return DisputeSettings(**{name: getattr(self, name) for name in DisputeSettings.model_fields})


class Attempt(NamedTuple):
    """One graded attempt at a question. One of the blind arm saw nothing, and is none."""

    answer: str
    verdict: Verdict
    family: str
    """Of the model."""
    mode: Mode
    informed: bool
    """Some call before the answer could have carried it (`filters.informed`)."""
    model: str
    """Its revision. A model that was asked without tools is one that the gates chose by."""


class Agreement(NamedTuple):
    """What speaks against a stored answer."""

    answer: str
    """As one of the attempts wrote it."""
    agreeing: int
    valid: int
    """Attempts with a verdict."""
    families: tuple[str, ...]
    """With enough agreeing attempts, sorted."""
    single_family: bool
    reached: bool
    """Attempts that looked closer come to the stored answer too, more often than luck explains: it may be sound, and
    the others have a habit. A person should look; nothing is rejected for it."""


_CONTRADICTS: frozenset[Verdict] = frozenset({"wrong"})
_OPEN: frozenset[Verdict] = frozenset({"unknown", "unjudged"})


def suspect(question: Question, attempts: Sequence[Attempt], settings: GoldSettings) -> Agreement | None:
    """Return the agreement against the stored answer, None where there is too little of it.

    Only answers that contradict the stored one count: what may be it in other words speaks against nothing. Where the
    answer is easily guessed, as yes or no are, more have to agree than luck explains (`guess_floor`); and always more
    than there are attempts that agree with the stored answer. The order of attempts does not matter.
    """
    return _of_families(_agreement(question, attempts, settings, _CONTRADICTS, settings.min_per_family), settings)


def dispute(question: Question, attempts: Sequence[Attempt], settings: DisputeSettings) -> Agreement | None:
    """Return what attempts with tools agree on against the stored answer, of whatever family they are.

    For questions that go to RL since some rollout solved them: where most of the others agree on another answer, the
    one that is rewarded may be wrong. They are all of the model that the gates go by, so a person has to look, and
    nothing is rejected for it.
    """
    return _agreement(question, [attempt for attempt in attempts if attempt.mode == "tools"], settings, _CONTRADICTS, 1)


def in_other_words(question: Question, attempts: Sequence[Attempt], settings: GoldSettings) -> Agreement | None:
    """Return the agreement on an answer that no rule and no judge could decide; None where there is too little of it.

    As many as would make a suspicion give one answer in words of their own: it may be the stored one, or a better one.
    A person has to look, and nothing is rejected for it.
    """
    return _of_families(_agreement(question, attempts, settings, _OPEN, settings.min_per_family), settings)


def _of_families(agreed: Agreement | None, settings: GoldSettings) -> Agreement | None:
    return agreed if agreed is not None and len(agreed.families) >= settings.min_families else None


def _agreement(
    question: Question,
    attempts: Sequence[Attempt],
    settings: DisputeSettings,
    counted: frozenset[Verdict],
    per_family: int,
) -> Agreement | None:
    """Return what enough attempts with one of the counted verdicts agree on; a family takes `per_family` of them."""
    valid = [attempt for attempt in attempts if attempt.verdict in {"right", "wrong"} | counted]
    # Gate 1 asks without tools, and nobody else does.
    chosen_by = {attempt.model for attempt in attempts if attempt.mode == "plain"}
    closer = [attempt for attempt in valid if attempt.informed and attempt.model not in chosen_by]
    luck = guess_floor(len(closer), chance(question))
    least = max(settings.min_attempts, luck, settings.min_share * len(closer))
    if not settings.enabled or sum(attempt.verdict in counted for attempt in closer) < least:
        return None  # before anything is compared, as nearly all questions are sound
    group = _largest(
        question, *([attempt for attempt in some if attempt.verdict in counted] for some in (valid, closer))
    )
    agreeing = Counter(attempt.family for attempt in group.all)
    families = tuple(sorted(name for name, count in agreeing.items() if count >= per_family))
    if len(group.closer) < least or len(group.all) <= sum(attempt.verdict == "right" for attempt in valid):
        return None
    looked = [attempt.verdict == "right" for attempt in valid if attempt.informed]
    return Agreement(
        group.answer,
        len(group.all),
        len(valid),
        families,
        single_family=len(families) == 1,
        reached=sum(looked) >= guess_floor(len(looked), chance(question)),
    )


class _Group(NamedTuple):
    """Attempts of one kind of verdict that give one answer."""

    answer: str
    closer: Sequence[Attempt]
    all: Sequence[Attempt]


def _largest(question: Question, valid: Sequence[Attempt], closer: Sequence[Attempt]) -> _Group:
    """Return the answer that most of `closer` give, and who of `valid` gives it. Of equals, the first by spelling.

    Agreement within a tolerance is not transitive, so that there are no classes: each answer has its own group.
    """
    given = sorted({attempt.answer for attempt in closer})
    groups = [
        _Group(answer, _giving(question, answer, closer), _giving(question, answer, valid))
        for answer in given
        if _contradicts(question, answer)
    ]
    return max(groups, key=lambda group: (len(group.closer), len(group.all)), default=_Group("", (), ()))


def _giving(question: Question, answer: str, attempts: Iterable[Attempt]) -> Sequence[Attempt]:
    given = list(attempts)
    same = {said for said in {attempt.answer for attempt in given} if _agree(question, answer, said)}
    return [attempt for attempt in given if attempt.answer in same]


def _agree(question: Question, one: str, other: str) -> bool:
    """Return whether either answer is right if the other is stored: a sentence and the name in it are not symmetric."""
    return one == other or any(
        _is_right(question, said, (stored,), question.tolerance) for said, stored in ((one, other), (other, one))
    )


def _contradicts(question: Question, answer: str) -> bool:
    """Return whether an answer that was graded wrong gives another one, and not merely none or an imprecise one."""
    said, tolerance = clean(answer), question.tolerance
    if not said or refuses(said):
        return False
    return tolerance is None or not _is_right(question, answer, question.answers, NEAR * tolerance)


def _is_right(question: Question, said: str, stored: Sequence[str], tolerance: float | None) -> bool:
    result = grade(said, stored, question.answer_type, tolerance=tolerance, choices=question.choices)
    return result.verdict == "right"
