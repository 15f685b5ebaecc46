"""What attempts at a question come to together: whether they agree on another answer than the stored one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from filters.gates.gold import Agreement, Attempt, DisputeSettings, GoldSettings, dispute, in_other_words, suspect
from filters.informed import informed
from pipeline.records import AttemptFact, Question, Suspicion, Trajectory


class GoldCheck(NamedTuple):
    """How stored answers are doubted."""

    settings: GoldSettings
    families: Mapping[str, str]
    """Of each model's revision."""

    def doubts(self, question: Question, attempts: Sequence[AttemptFact]) -> Suspicion | None:
        """Return what the attempts agree on against the stored answer, None if nothing speaks against it."""
        agreed = suspect(question, [self._attempt(fact) for fact in attempts], self.settings)
        return _suspicion(question, agreed, contradicts=True)

    def in_other_words(self, question: Question, attempts: Sequence[AttemptFact]) -> Suspicion | None:
        """Return what the attempts agree on in words that nobody could compare with the stored answer's."""
        agreed = in_other_words(question, [self._attempt(fact) for fact in attempts], self.settings)
        return _suspicion(question, agreed, contradicts=False)

    def _attempt(self, fact: AttemptFact) -> Attempt:
        return _attempt(fact, self.families[fact.model])


def disputed(
    question: Question, rollouts: Sequence[Trajectory], settings: DisputeSettings, family: str
) -> Suspicion | None:
    """Return what rollouts of the base model, of that family, agree on where others of them reached the stored answer.

    They reached it, or the question would not go to RL; so it is listed, whatever luck explains, and never rejected.
    """
    agreed = dispute(question, [_attempt(fact, family) for fact in facts_of(rollouts)], settings)
    return _suspicion(question, None if agreed is None else agreed._replace(reached=True), contradicts=True)


def _attempt(fact: AttemptFact, family: str) -> Attempt:
    return Attempt(fact.answer, fact.verdict, family, fact.mode, fact.informed, model=fact.model)


def _suspicion(question: Question, agreed: Agreement | None, *, contradicts: bool) -> Suspicion | None:
    if agreed is None:
        return None
    return Suspicion(
        question_id=question.id,
        answer=agreed.answer,
        agreeing=agreed.agreeing,
        valid=agreed.valid,
        families=tuple(agreed.families),
        single_family=agreed.single_family,
        contradicts=contradicts,
        reached=agreed.reached,
    )


def facts_of(trajectories: Iterable[Trajectory]) -> tuple[AttemptFact, ...]:
    """Return the attempts that ended in an answer and saw the question's images as students will."""
    return tuple(
        AttemptFact(
            trajectory_id=trajectory.id,
            question_id=trajectory.question_id,
            model=trajectory.model,
            mode=trajectory.mode,
            answer=trajectory.answer or "",
            verdict=trajectory.verdict,
            informed=any(informed(trajectory.turns)),
        )
        for trajectory in trajectories
        if trajectory.finish == "answer" and trajectory.arm in {"main", "fresh", "tools"}
    )
