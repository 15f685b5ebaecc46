"""The lane `long_cot`: a source's own solution becomes the one trajectory of its question; no model is asked."""

from __future__ import annotations

from collections.abc import Callable

from filters.validate.long_cot import Unreadable, retag, solution_of
from flows.asking.ask import PlainPrompt
from pipeline.dialects import by_name
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.messages import question_text, user_text
from pipeline.errors import RowError
from pipeline.identity import canonical_json
from pipeline.records import Question, Tokens, Trajectory, Turn


def solution_trajectory(question: Question, told: PlainPrompt, count: Callable[[str], int]) -> Trajectory | RowError:
    """Return the solution as a trajectory of one turn, ungraded; or why it cannot be learnt from.

    `told` is what the export tells a student without tools; `count` returns the tokens of a text. The reason of an
    error is that of `filters.validate.long_cot.retag`, or what the dialect says of the message.

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
    dialect = by_name(told.dialect)
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
    model, rule = f"source/{question.source}", told.view
    seen = {"family": rule.family, "max_pixels": rule.max_pixels, "policy": rule.policy, "seen": []}
    return Trajectory(
        id=Trajectory.make_id(
            question_id=question.id,
            purpose="synthesis",
            arm="long_cot",
            mode="plain",
            sample=0,
            model=model,
            sampling="{}",
            prompts=told.prompts,
            view=canonical_json(seen),
            seed=told.seed,
        ),
        question_id=question.id,
        purpose="synthesis",
        arm="long_cot",
        mode="plain",
        sample=0,
        model=model,
        dialect=dialect.name,
        prompts=told.prompts,
        view=canonical_json(seen),
        seed=told.seed,
        system=told.system,
        user=user_text(told.user_template, question_text(question), ()),
        images=(),
        turns=(turn,),
        answer=found.answer,
        verdict="unknown",
        finish="answer",
        tokens=Tokens(prompt=0, completion=count(message)),
        sandbox="",
    )
