"""Conversations that the tiny model learns by heart, in the very texts that a run will send it."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.dialects import DEEPEYESV2
from pipeline.dialects.messages import user_text
from pipeline.dialects.observations import cell_observation
from pipeline.identity import canonical_json
from pipeline.prompts.sets import Role, load_prompts

CODE = "part = image_1.crop((0, 0, 200, 100))\nprint(part.size)\ndisplay(part)"
ANSWERS = range(1, 10)
"""Learnt equally often, so that each is sampled: other seeds have to give other answers."""
QUESTION = "<question>"
"""Stands for any words: what the model learns must not depend on them, nor on where they end."""


def lessons() -> list[list[tuple[str, str]]]:
    """Conversations as (role, text with `<image>` marks)."""
    return [*_plain(), *_tools("base"), *_tools("teacher")]


def _plain() -> Iterator[list[tuple[str, str]]]:
    prompts = load_prompts("deepeyesv2", DEEPEYESV2)
    for answer in ANSWERS:
        user = user_text(prompts.user("base", "plain"), QUESTION, [(1200, 900)])
        yield [("system", prompts.system("base", "plain")), ("user", user), ("assistant", _answer(answer))]


def _tools(speaker: Role) -> Iterator[list[tuple[str, str]]]:
    prompts = load_prompts("deepeyesv2", DEEPEYESV2)
    shown = cell_observation(
        status="ok", stdout="(200, 100)\n", stderr="", value=None, error=None, images=1, ended=False
    )
    call = DEEPEYESV2.render_turn("The corner has to be larger.", "python", canonical_json({"code": CODE}))
    for answer in ANSWERS:
        user = user_text(prompts.user(speaker, "tools"), QUESTION, [(1200, 900)])
        yield [
            ("system", prompts.system(speaker, "tools")),
            ("user", user),
            ("assistant", call),
            ("user", DEEPEYESV2.frame(shown)),
            ("assistant", _answer(answer)),
        ]


def _answer(answer: int) -> str:
    return DEEPEYESV2.render_turn("Now it can be read.", "answer", canonical_json({"answer": str(answer)}))
