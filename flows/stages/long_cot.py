"""The lane `long_cot`: a source's own solution becomes the one trajectory of its question; no model is asked."""

from __future__ import annotations

from collections.abc import Callable

from filters.validate.long_cot import Unreadable, retag, solution_of
from pipeline.dialects import Dialect
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.turns import question_text, user_text
from pipeline.errors import RowError
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Question, Tokens, Trajectory, Turn


def solution_trajectory(
    question: Question,
    *,
    system: str,
    user: str,
    prompts: str,
    dialect: Dialect,
    view: str,
    seed: int,
    count: Callable[[str], int],
) -> Trajectory | RowError:
    """Return the solution as a trajectory of one turn, ungraded; or why it cannot be learnt from.

    `system` and the template `user` (with the slots of `user_text`) are those of the export, of which `prompts` holds
    the hashes; `view` is the canonical JSON of the view rule, as for a rollout; `count` returns the tokens of a text.
    The reason of an error is that of `filters.validate.long_cot.retag`, or what the dialect says of the message.

    Raises:
        ValueError: the question has no solution.
    """
    solution = solution_of(question.meta)
    if solution is None:
        raise ValueError(f"question {question.id} has no solution; it is not of the lane long_cot")
    found = retag(solution)
    if isinstance(found, Unreadable):
        return RowError(found.reason, f"row {question.source_row!r}, `solution`: {found.detail}")
    arguments = canonical_json({"answer": found.answer})
    message = dialect.render_turn(found.think, "answer", arguments)
    # The dialect knows every token that a trainer reads as an instruction; what it does not read back is not taught.
    read = dialect.parse(message, "plain")
    if isinstance(read, BadCall) or read != (found.think, "answer", arguments):
        reason = read.reason if isinstance(read, BadCall) else "control_token"
        return RowError(reason, f"row {question.source_row!r}, `solution`: not a message of dialect {dialect.name}")
    turn = Turn(
        think=found.think,
        action="answer",
        arguments=arguments,
        raw_text=message,
        observation=None,
        images=(),
        status="ok",
        loss=True,
        labels=(),
    )
    model = f"source/{question.source}"
    return Trajectory(
        id=Trajectory.make_id(
            question_id=question.id,
            purpose="synthesis",
            arm="long_cot",
            mode="plain",
            sample=0,
            model=model,
            sampling="{}",
            prompts=prompts,
            view=view,
            seed=seed,
        ),
        question_id=question.id,
        purpose="synthesis",
        arm="long_cot",
        mode="plain",
        sample=0,
        model=model,
        dialect=dialect.name,
        prompts=prompts,
        view=canonical_json({**parse_json(view), "seen": []}),
        seed=seed,
        system=system,
        user=user_text(user, question_text(question), ()),
        images=(),
        turns=(turn,),
        answer=found.answer,
        verdict="unknown",
        finish="answer",
        tokens=Tokens(prompt=0, completion=count(message)),
        sandbox="",
    )
