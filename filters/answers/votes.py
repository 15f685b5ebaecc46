"""What the votes of a judge model come to, about an answer and about a question.

A judge writes one JSON object per vote. What is anything else is no vote, and a verdict needs more than half of
all votes that were asked for: a judge that is split, refuses or babbles decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

from pydantic import Field, field_validator

from filters.rule import Rule
from pipeline.identity import Identity, canonical_json, parse_json
from pipeline.records import Decision, JudgeVotes, Verdict

VERSION = 1

Asked = Literal["answer", "question"]
AnswerVote = Literal["right", "wrong", "cannot_tell"]
QuestionFault = Literal["missing_context", "unreadable", "ambiguous", "several_answers", "stale_fact"]
QuestionVote = Literal["sound", "cannot_tell"] | QuestionFault
QuestionReason = QuestionFault | Literal["judge_cannot_tell", "judge_unsure"]

FAULTS: tuple[QuestionFault, ...] = get_args(QuestionFault)
VERDICTS: Mapping[Asked, tuple[str, ...]] = {
    "answer": get_args(AnswerVote),
    "question": ("sound", "cannot_tell", *FAULTS),
}
UNREADABLE_VOTE = "unreadable_vote"
"""The message was cut off, or is not the one JSON object that was asked for."""
REFUSED = "refused"
"""The judge, or its provider, would not take the request."""
UNSURE = "unsure"
"""No verdict has more than half of the votes."""

_RULE: Rule[QuestionReason] = Rule("question_judge", VERSION)
_THOUGHT = ("<think>", "</think>")


class JudgeSettings(Identity):
    """How a judge is asked."""

    VERSION: ClassVar[int] = VERSION

    votes: int = Field(default=3, ge=1)
    """Samples of each request; odd, so that two verdicts cannot tie. One vote is noise where a judge is in doubt,
    and three show the doubt at the least cost."""

    @field_validator("votes")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"{value} votes can tie; ask for an odd number")
        return value


def answer_schema(asked: Asked) -> str:
    """Return the JSON schema of one vote, canonical, for `ChatRequest.answer_schema`.

    Its keys are sorted, and servers write them in the schema's order: the reason before the verdict, which is then
    given for a reason and not defended by one. No length is set: some providers refuse a schema that sets any.
    """
    return canonical_json(
        {
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "verdict": {"type": "string", "enum": list(VERDICTS[asked])},
            },
            "required": ["reason", "verdict"],
            "additionalProperties": False,
        }
    )


def read_vote(text: str, asked: Asked) -> str:
    """Return the verdict in a judge's message, `UNREADABLE_VOTE` if it is not one JSON object that gives one.

    A thought in front of the object is passed over: backends put there what a reasoning model said before. Prose is
    never searched for a verdict, because it may quote the answer that is judged.
    """
    message = text.strip()
    opening, closing = _THOUGHT
    if message.startswith(opening):
        message = message.partition(closing)[2]
    try:
        said = parse_json(message)
    except (ValueError, RecursionError):
        return UNREADABLE_VOTE
    match said:
        case {"verdict": str(verdict), **others} if verdict in VERDICTS[asked] and _is_reason(others):
            return verdict
        case _:
            return UNREADABLE_VOTE


def tally(votes: Sequence[str], settings: JudgeSettings) -> str:
    """Return the verdict of more than half of `settings.votes`, whatever their order; else `UNSURE`.

    Raises:
        ValueError: there are more votes than were asked for.
    """
    if len(votes) > settings.votes:
        raise ValueError(f"{len(votes)} votes where {settings.votes} were asked for")
    for verdict, count in Counter(votes).items():
        if 2 * count > settings.votes and verdict not in {UNREADABLE_VOTE, REFUSED}:
            return verdict
    return UNSURE


def answer_verdict(votes: JudgeVotes) -> Verdict:
    """Return what an answer counts as after it was judged; what the judge leaves open stays unknown.

    Raises:
        ValueError: the votes are on a question.
    """
    _require(votes, "answer")
    match votes.verdict:
        case "right" | "wrong" as verdict:
            return verdict
        case _:
            return "unknown"


def question_decision(votes: JudgeVotes) -> Decision:
    """Keep a question that is sound, reject one with a fault; the score is the share of votes for the verdict.

    Raises:
        ValueError: the votes are on an answer.
    """
    _require(votes, "question")
    record, verdict = votes.record_id, votes.verdict
    share = votes.votes.count(verdict) / len(votes.votes) if votes.votes else None
    if verdict == "sound":
        return _RULE.keep(record, share)
    for fault in FAULTS:
        if verdict == fault:
            return _RULE.reject(record, fault, share)
    return _RULE.unknown(record, "judge_cannot_tell" if verdict == "cannot_tell" else "judge_unsure", share)


def _is_reason(others: Mapping[object, object]) -> bool:
    return others.keys() <= {"reason"} and all(isinstance(value, str) for value in others.values())


def _require(votes: JudgeVotes, asked: Asked) -> None:
    if votes.asked != asked:
        raise ValueError(f"votes on {votes.record_id} are about its {votes.asked}, not about {asked}s")
