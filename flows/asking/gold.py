"""What attempts at a question come to together: whether they agree on another answer than the stored one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from filters.gates.gold import Agreement, Attempt, GoldSettings, in_other_words, suspect
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
        return self._suspicion(question, agreed, contradicts=True)

    def in_other_words(self, question: Question, attempts: Sequence[AttemptFact]) -> Suspicion | None:
        """Return what the attempts agree on in words that nobody could compare with the stored answer's."""
        agreed = in_other_words(question, [self._attempt(fact) for fact in attempts], self.settings)
        return self._suspicion(question, agreed, contradicts=False)

    def disputes(self, question: Question, attempts: Sequence[AttemptFact]) -> Suspicion | None:
        """Return what attempts with tools agree on where others of them came to the stored answer.

        They are all of the model that the gates go by, so this condemns nothing; a person should look.
        """
        tried = [self._attempt(fact) for fact in attempts if fact.mode == "tools"]
        agreed = suspect(question, tried, self.settings.model_copy(update={"min_families": 1}))
        return self._suspicion(question, agreed, contradicts=True)

    def _suspicion(self, question: Question, agreed: Agreement | None, *, contradicts: bool) -> Suspicion | None:
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

    def _attempt(self, fact: AttemptFact) -> Attempt:
        return Attempt(fact.answer, fact.verdict, self.families[fact.model], fact.mode, fact.informed, model=fact.model)


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
