"""What became of a rollout, as the viewer says it."""

from __future__ import annotations

import pytest

from flows.report.viewer.groups import member
from pipeline.records import Outcome, Trajectory
from tests.support.builders import question, trajectory, turn
from tests.support.many_rollouts import outcome

ASKED = question("Which name is printed on the sign?")
ANSWERED = trajectory(turn("answer", "6.187"), asked=ASKED, answer="6.187", verdict="wrong")
CUT = trajectory(turn("python", "1"), asked=ASKED, sample=1, answer=None, finish="max_turns")
GATE = trajectory(turn("answer", "6"), asked=ASKED, purpose="gate", arm="main", mode="plain")

THROUGH = [outcome("gate1", ASKED), outcome("gate2", ASKED), outcome("synthesize", ASKED)]
WRONG_GOLD = [*THROUGH[:2], outcome("synthesize", ASKED, "suspected_wrong_gold")]
NO_ATTEMPT = [*THROUGH[:2], outcome("synthesize", ASKED, "no_attempt")]
KEPT, LOST = outcome("publish", ANSWERED), outcome("validate", ANSWERED, "loop")


@pytest.mark.parametrize(
    ("told", "fate", "reason"),
    [
        # The evidence against a stored answer is what teachers answered.
        ((ANSWERED, [], WRONG_GOLD, None), "rejected: synthesize", "synthesize: suspected_wrong_gold"),
        ((CUT, [], WRONG_GOLD, None), "no answer", "synthesize: suspected_wrong_gold"),
        ((CUT, [], NO_ATTEMPT, None), "no answer", "synthesize: no_attempt"),
        ((CUT, [], THROUGH, None), "no answer", ""),
        # The run stopped before validate.
        ((ANSWERED, [], THROUGH, None), "kept: synthesize", ""),
        ((ANSWERED, [LOST], THROUGH, LOST), "rejected: validate", "validate: loop"),
        # A question goes on in the attempts at it.
        ((GATE, [], THROUGH, KEPT), "kept: publish", ""),
        ((GATE, [], THROUGH, LOST), "rejected: validate", ""),
        ((GATE, [], WRONG_GOLD, WRONG_GOLD[-1]), "rejected: synthesize", "synthesize: suspected_wrong_gold"),
        ((GATE, [], THROUGH[:1], None), "kept: gate1", ""),
    ],
)
def test_a_rollout_shares_what_became_of_its_question_where_nothing_was_said_of_itself(
    told: tuple[Trajectory, list[Outcome], list[Outcome], Outcome | None], fate: str, reason: str
) -> None:
    made = member(*told)
    assert (made.fate, made.reason) == (fate, reason)
