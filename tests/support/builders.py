"""Records by hand, each with whatever is usual for the fields that a test leaves out."""

from __future__ import annotations

from typing import Any

from filters.answers.chance import guess_floor
from filters.gates.counts import derived
from filters.intervals import wilson
from pipeline.identity import canonical_json
from pipeline.records import (
    Action,
    Arm,
    ArmCount,
    GateCount,
    ImageRef,
    JudgeVotes,
    Question,
    Suspicion,
    TemplateFacts,
    Tokens,
    Trajectory,
    TrajectoryKey,
    Turn,
)

ARGUMENT: dict[Action, str] = {"python": "code", "search": "query", "answer": "answer"}
HARD = 2
"""At most so many right without tools: `max_plain_right` by default."""


def image(sha256: str = "a" * 64, **changes: Any) -> ImageRef:
    """A picture that is in no store."""
    return ImageRef(**{"sha256": sha256, "mime": "image/png", "width": 8, "height": 8, "nbytes": 9, **changes})


def question(text: str = "Which name is printed?", **changes: Any) -> Question:
    """A question in words, about no picture."""
    usual: dict[str, Any] = {
        "source": "hand",
        "source_revision": "1",
        "source_row": "1",
        "category": "perception",
        "images": (),
        "answers": ("Springfield",),
        "answer_type": "text",
        "licence": "CC0-1.0",
    }
    return Question.build(text=text, **{**usual, **changes})


def turn(action: Action = "answer", value: str | None = None, **changes: Any) -> Turn:
    """A well-formed turn that shows no picture; `value` is its action's one argument."""
    usual: dict[str, Any] = {
        "think": "I look at it.",
        "action": action,
        "arguments": canonical_json({} if value is None else {ARGUMENT[action]: value}),
        "raw_text": "",
        "observation": None,
        "images": (),
        "status": "ok",
        "loss": True,
        "labels": (),
    }
    return Turn(**{**usual, **changes})


def trajectory(*turns: Turn, asked: Question | None = None, sampling: str = "{}", **changes: Any) -> Trajectory:
    """A teacher's attempt with tools, answered and not graded, under an id that is made of its fields."""
    about = asked or question()
    usual: dict[str, Any] = {
        "question_id": about.id,
        "purpose": "synthesis",
        "arm": "tools",
        "mode": "tools",
        "sample": 0,
        "model": "scripted/1",
        "dialect": "deepeyesv2",
        "prompts": "{}",
        "view": "{}",
        "seed": 0,
        "system": "You see images.",
        "user": "<image>\n" * len(about.images) + about.text,
        "images": about.images,
        "turns": turns,
        "answer": "Springfield",
        "verdict": "unknown",
        "finish": "answer",
        "tokens": Tokens(prompt=1, completion=1),
        "sandbox": "",
    }
    made = {**usual, **changes}
    names = ("question_id", "purpose", "arm", "mode", "sample", "model", "prompts", "view", "seed")
    return Trajectory(id=Trajectory.make_id(sampling=sampling, **{name: made[name] for name in names}), **made)


def gate_count(question_id: str = "q", *, fresh: ArmCount | None = None, **numbers: Any) -> GateCount:
    """The counts of k = 8 rollouts per arm: where nothing is given, wrong without tools and not asked with them."""
    blank = {name: 0 for name, field in GateCount.model_fields.items() if field.is_required() and name != "guess_floor"}
    given = blank | {"k": 8, "plain_valid": 8, "saturated": False, "route": None} | numbers
    floor = guess_floor(given["k"], given["chance"])
    return derived(GateCount.model_validate({"guess_floor": floor, **given, "question_id": question_id}), fresh)


def arm_count(
    arm: Arm, right: int, valid: int = 8, *, question_id: str = "q", max_pixels: int = 1, **own: Any
) -> ArmCount:
    """The counts of an arm of 8; more than two right are no longer hard."""
    low, high = wilson(right, valid)
    rest = {"model": "m/1", "asked": 8, "malformed": 8 - valid, "low": low, "high": high, "above": right > HARD}
    return ArmCount(question_id=question_id, arm=arm, max_pixels=max_pixels, right=right, valid=valid, **(rest | own))


def template(question_id: str) -> TemplateFacts:
    return TemplateFacts(
        question_id=question_id,
        template="Which place name is printed next to marker #?",
        questions=10,
        majority="Springfield",
        share=1.0,
        is_majority=True,
    )


def suspicion(question_id: str) -> Suspicion:
    return Suspicion(
        question_id=question_id,
        answer="Shelbyville",
        agreeing=5,
        valid=6,
        families=("m",),
        single_family=True,
        contradicts=True,
    )


def votes(question_id: str) -> JudgeVotes:
    return JudgeVotes(
        record_id=question_id,
        question_id=question_id,
        asked="question",
        model="judge/1",
        prompt="0" * 64,
        votes=("sound", "sound", "ambiguous"),
        verdict="sound",
    )


def key(attempt: Trajectory) -> TrajectoryKey:
    return TrajectoryKey(
        id=attempt.id,
        question_id=attempt.question_id,
        source="hand",
        category="perception",
        sample=attempt.sample,
        lane="tools",
        skeleton="0" * 64,
        loss_tokens=attempt.tokens.completion,
        row_tokens=attempt.tokens.prompt + attempt.tokens.completion,
    )
