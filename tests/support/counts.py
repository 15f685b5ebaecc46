"""What gates and screen say of a question in the small run: records written by hand."""

from __future__ import annotations

from pipeline.records import (
    Arm,
    ArmCount,
    GateCount,
    JudgeVotes,
    Route,
    Suspicion,
    TemplateFacts,
    Trajectory,
    TrajectoryKey,
)


def count(question_id: str, *, plain: int, tools: int, route: Route | None) -> GateCount:
    return GateCount(
        question_id=question_id,
        k=8,
        plain_right=plain,
        plain_valid=8,
        tools_right=tools,
        tools_right_without_call=0,
        tools_bad_format=0,
        tools_limit=0,
        tools_valid=8 if route else 0,
        saturated=False,
        route=route,
        censored=0,
        chance=0.0,
    )


def arm_count(question_id: str, arm: Arm, max_pixels: int, *, right: int) -> ArmCount:
    return ArmCount(
        question_id=question_id,
        arm=arm,
        model="m/1",
        max_pixels=max_pixels,
        asked=8,
        right=right,
        valid=8,
        malformed=0,
    )


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
    )
