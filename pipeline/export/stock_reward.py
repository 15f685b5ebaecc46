"""What DeepEyesV2's own reward would say of answers to a question otherwise than our grader, by its published rules.

Rules: Visual-Agent/DeepEyesV2 at 0373e6e, `utils/reward_score/deepeyesv2.py` under `reinforcement_learning/verl`.
`docs/deepeyesv2.md` says what each reason means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pipeline.identity import parse_json
from pipeline.records import AnswerType, Question

RewardReason = Literal[
    "text_only", "tolerance", "several_golds", "metric", "option_letter", "words", "formula", "items"
]


class StockReward(NamedTuple):
    """Whether the stock reward says of answers what our grader says."""

    label: Literal["same", "differs", "unknown"]
    """`unknown`: its judge model decides."""
    reasons: tuple[RewardReason, ...]


_JUDGED: Mapping[AnswerType, RewardReason] = {
    "choice": "option_letter",
    "text": "words",
    "expression": "formula",
    "list": "items",
}
"""Types of answers of which a judge may say otherwise than a rule."""


def stock_reward(question: Question) -> StockReward:
    """Return whether the stock reward, a judge that is shown one gold, says of every answer what our grader says.

    Where the stored answer is one exact number, date, or yes or no, equality is all that either asks for.
    """
    differs, left = list[RewardReason](), list[RewardReason]()
    if not question.images:
        differs.append("text_only")
    if question.tolerance is not None:
        differs.append("tolerance")
    if len({_plain(answer) for answer in question.answers}) > 1:
        differs.append("several_golds")
    meta = parse_json(question.meta)
    if isinstance(meta, dict) and meta.get("metric"):
        differs.append("metric")
    if question.answer_type in _JUDGED:
        left.append(_JUDGED[question.answer_type])
    if differs:
        return StockReward("differs", (*differs, *left))
    return StockReward("unknown", tuple(left)) if left else StockReward("same", ())


def _plain(answer: str) -> str:
    return " ".join(answer.casefold().split()).rstrip(".")
