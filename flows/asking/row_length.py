"""How long a trajectory is as a row of an export, before any is written: what does not fit is no valid attempt."""

from __future__ import annotations

from filters.validate.rules import row_length
from flows.recipe.recipe import Recipe
from pipeline.dialects import by_name
from pipeline.errors import RowError
from pipeline.export.length import row_tokens
from pipeline.export.rows import MODE, conversation
from pipeline.export.told import ExportPrompt, Told, told_by
from pipeline.identity import Identity, Revision
from pipeline.prompts.sets import Prompts
from pipeline.records import Decision, Lane, Question, Trajectory
from pipeline.students.family import ViewRule
from pipeline.students.tokens import TokenCounter


class RowRule(Identity):
    """What decides how long a row is, and how long it may be."""

    told: tuple[ExportPrompt, ...]
    """What the student is told: with tools, and without."""
    cutoff_len: int
    """Tokens that the student can learn of a row, its prompt included."""
    view: ViewRule
    """At which size it sees pictures."""
    tokens: Revision[str]
    """What counts tokens."""

    @classmethod
    def of(cls, recipe: Recipe, prompts: Prompts, tokens: str) -> RowRule:
        """Return that of a run."""
        student = recipe.student
        return cls(told=tuple(told_by(prompts)), cutoff_len=student.cutoff_len, view=student.view_rule, tokens=tokens)

    def tokens_of(self, trajectory: Trajectory, question: Question, lane: Lane, counter: TokenCounter) -> int | None:
        """Return the tokens of a trajectory's row, text and pictures; None where no row can be written of it."""
        prompt = Told(*self.told).of(MODE[lane])
        try:
            said = conversation(trajectory, question, prompt, by_name(trajectory.dialect))
            return row_tokens([message.content for message in said.messages], said.images, self.view, counter)
        except RowError:
            return None

    def decision(self, trajectory: Trajectory, question: Question, lane: Lane, counter: TokenCounter) -> Decision:
        """Return whether a trajectory ships as it is."""
        return row_length(trajectory.id, self.tokens_of(trajectory, question, lane, counter), self.cutoff_len)
