"""A question and its rollouts as the viewer shows them: plain values that JSON can hold, nothing cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from flows.report.causes import cause
from flows.report.duplicates import WHY
from flows.report.viewer.crops import Crop, crops_of
from flows.report.viewer.groups import Group, Member, fate_of
from flows.report.why import row_text
from pipeline.identity import parse_json
from pipeline.records import ImageRef, Outcome, Question, SourceRow, Turn

_CELL = re.compile(
    r"Code execution result:\nstdout:\n```\n(?P<out>.*)\n```\n\nstderr:\n```\n(?P<err>.*)\n```"
    r"(?:\n\nImages:\n(?:<image>)*)?",
    re.DOTALL,
)
"""What `pipeline.dialects.observations.cell_observation` writes."""


def question_of(group: Group) -> Mapping[str, Any]:
    """Return what is shown of a question beside its rollouts; of a row that became none, what it holds."""
    fate, reason = fate_of(group.life)
    stage, _, code = reason.partition(": ")
    return {
        **(_row(group.question) if isinstance(group.question, SourceRow) else _question(group.question)),
        "labels": sorted(group.labels),
        "life": [_outcome(outcome) for outcome in group.life],
        "fate": fate,
        "reason": reason,
        "cause": cause(stage, code),
        "beside": [
            {
                "verdict": one.verdict,
                "why": WHY[one.verdict],
                "bits": one.bits,
                "id": one.question["question_id"],
                **{name: one.question[name] for name in ("source", "text", "answers", "choices")},
                "images": [[image[name] for name in ("sha256", "width", "height")] for image in one.question["images"]],
            }
            for one in group.beside
        ],
    }


def _question(question: Question) -> Mapping[str, Any]:
    names = ("id", "source", "source_revision", "source_row", "category", "text", "answer_type", "tolerance", "licence")
    return {
        **{name: getattr(question, name) for name in names},
        "choices": list(question.choices),
        "answers": list(question.answers),
        "images": [_image(image, None) for image in question.images],
        "meta": question.meta,
    }


def _row(row: SourceRow) -> Mapping[str, Any]:
    """Return a row as a question; nothing in it was checked, so all of it is shown as it stands, too."""
    return {
        **{name: getattr(row, name) for name in ("id", "source", "source_revision", "source_row", "category")},
        "text": row_text(row.payload),
        "answer_type": "",
        "tolerance": None,
        "licence": "",
        "choices": _strings(row.payload, "choices"),
        "answers": _strings(row.payload, "answers"),
        "images": [],
        "meta": row.payload,
    }


def _strings(payload: str, name: str) -> list[str]:
    try:
        content = parse_json(payload)
    except ValueError:
        return []
    found = content.get(name) if isinstance(content, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def trajectory_of(member: Member) -> Mapping[str, Any]:
    """Return what is shown of a trajectory: `trajectory.id` and all its turns, pictures with the size that was seen."""
    trajectory = member.trajectory
    seen = _seen(trajectory.view)
    images = [_image(image, next(seen, None)) for image in trajectory.images]
    crops = crops_of([_argument(turn, "code") for turn in trajectory.turns])
    names = (
        *("id", "question_id", "purpose", "arm", "mode", "sample", "model", "dialect", "seed", "user", "answer"),
        *("verdict", "finish", "detail", "view", "prompts", "sandbox", "parent"),
    )
    return {
        **{name: getattr(trajectory, name) for name in names},
        "stage": member.stage,
        "fate": member.fate,
        "tokens": [trajectory.tokens.prompt, trajectory.tokens.completion],
        "images": images,
        "turns": [_turn(turn, cut, seen) for turn, cut in zip(trajectory.turns, crops, strict=True)],
        "life": [_outcome(outcome) for outcome in member.life],
        "decisions": [[d.filter, d.outcome, d.reason, d.score] for d in member.decisions],
    }


def _turn(turn: Turn, crops: Sequence[Crop], seen: Iterator[Sequence[int]]) -> Mapping[str, Any]:
    cell = _CELL.fullmatch(turn.observation or "") if turn.action == "python" else None
    shown = {"out": cell["out"], "err": cell["err"]} if cell else {"observation": turn.observation}
    return {
        "think": turn.think,
        "action": turn.action,
        "status": turn.status,
        "loss": turn.loss,
        "labels": list(turn.labels),
        "argument": _argument(turn, "code", "query", "answer"),
        "raw": turn.raw_text,
        **shown,
        "images": [
            _image(image, size) for image, size in zip(turn.images, _padded(seen, len(turn.images)), strict=True)
        ],
        "crops": [[crop.image, *crop.box] for crop in crops],
    }


def _argument(turn: Turn, *names: str) -> str | None:
    """Return the one argument of a turn; what is no valid turn has none, and is shown as it was written."""
    arguments = parse_json(turn.arguments)
    match [*arguments.items()] if isinstance(arguments, dict) else []:
        case [(name, str(value))] if name in names:
            return value
        case _:
            return None


def _image(image: ImageRef, seen: Sequence[int] | None) -> Sequence[Any]:
    """Return sha256, width and height, and the size at which the model saw it, where that is recorded."""
    return [image.sha256, image.width, image.height, *(seen or ())]


def _seen(view: str) -> Iterator[Sequence[int]]:
    return iter(parse_json(view).get("seen", []))


def _padded(sizes: Iterator[Sequence[int]], count: int) -> list[Sequence[int] | None]:
    given: list[Sequence[int] | None] = [*islice(sizes, count)]
    return given + [None] * (count - len(given))


def _outcome(outcome: Outcome) -> Sequence[Any]:
    return [outcome.stage, outcome.outcome, outcome.route, outcome.reason, outcome.detail]
