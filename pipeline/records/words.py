"""The closed sets of words that records use."""

from __future__ import annotations

from typing import Literal

Category = Literal["perception", "reasoning", "search"]
AnswerType = Literal["text", "number", "choice", "list", "boolean", "date", "expression"]
Metric = Literal["vqa", "anls", "relaxed"]
"""A benchmark's own way to grade, where a source names it; see `filters.answers.metrics`."""
Verdict = Literal["right", "wrong", "unknown", "unjudged"]
"""Of an answer: `unknown` where a judge left it open, or nobody graded it; `unjudged` where no rule decides and the
recipe names no judge."""
Action = Literal["python", "image_search", "search", "answer", "none"]
CellStatus = Literal["ok", "exception", "timeout", "killed_memory", "killed_output", "died", "protocol_error"]
TurnStatus = CellStatus | Literal["bad_call"]
Purpose = Literal["gate", "synthesis"]
Mode = Literal["plain", "tools"]
Lane = Literal["tools", "no_call", "plain_cot", "long_cot"]
"""What an SFT row teaches: to call tools; not to call them where none is needed, under the same prompt; to reason over
a picture without tools; to reason at length over text."""
Arm = Literal["main", "fresh", "blind", "pixels", "stronger", "tools", "no_call", "plain_cot", "long_cot"]
"""What a rollout is for, within its purpose. Of a gate: `main` decides it; `fresh` asks survivors without tools once
more; `blind` shows no image; `pixels` shows another number of them; `stronger` asks another model. Of synthesis: the
lane."""
Route = Literal["next", "rl", "sft", "no_call", "plain_cot", "long_cot"]
"""`sft` is the way to the teachers of the lane `tools`; other lanes have routes of their own name."""
Finish = Literal["answer", "bad_call", "max_turns", "max_tokens", "max_time", "length", "refused", "nondeterministic"]

PersonalKind = Literal["email", "phone", "iban", "card", "national_id", "coordinates", "ip_address", "person_identity"]
"""Of personal data in texts; `person_identity` is a question that asks who a picture shows."""
PersonalField = Literal["question", "answers", "meta", "think", "code", "query", "observation", "answer"]
"""Where it stands: the first three of a question, the others of a turn."""

Scaling = Literal["none", "by_65535", "by_4095", "by_1", "by_range"]
"""How the values of a picture became 8 bits: they were; integers over 65,535 or over 4,095; floats over 1; any other
numbers over their own range."""

StockDifference = Literal["other_message", "other_text", "other_pictures"]
"""How DeepEyesV2's own environment acts otherwise upon a call: it reads other code in the message, or shows something
else."""
StockRule = Literal[
    "dialect",
    "text_only",
    "bad_call",
    "code_rewritten",
    "code_restyled",
    "value_shown",
    "other_image",
    "image_file",
    "image_search",
    "text_search",
    "session_ended",
    "output_cut",
    "defused",
    "picture_resized",
]
"""What of a transcript its rules treat otherwise (`pipeline.rollout.stock_rules`)."""

WITHHELD = "withheld"
"""Label of a turn that shows what may not be passed on: a result of a search, a picture or a text."""

IMAGE_MARK = "<image>"
"""Stands in a text where an image does; trainers look for it, so that no other text may hold it."""
