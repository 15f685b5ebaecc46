"""The reward of coldforge's questions: the answer is graded, and the form read, as they were when the data was made.

`compute_score` has the signature of verl's `custom_reward_function`; TRL's script calls it, too. Needs `coldforge` and
the packages of `requirements.txt`, and `kit.json` beside this file.
"""

from __future__ import annotations

import json
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple, get_args

from filters.answers import grade
from filters.answers.mathematics.expressions import expression_pairs, settle
from filters.answers.metrics import grade_by
from filters.answers.votes import JudgeSettings, answer_schema, read_vote, tally
from pipeline.dialects import by_name
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.decoded import assistant_messages
from pipeline.dialects.messages import without_options
from pipeline.errors import InfrastructureError
from pipeline.identity import parse_json
from pipeline.math_worker import math_worker
from pipeline.prompts.judge_prompts import load_judge_prompts
from pipeline.records import AnswerType, GradeResult, Metric, Question

# The weights of DeepEyesV2 (verl/utils/reward_score/deepeyesv2.py at 0373e6e).
ACCURACY, FORMAT = 0.8, 0.2
SEARCH_PENALTY = 0.1
"""Taken off the accuracy of a question about search where anything was searched for."""
SEARCH_SOURCES = frozenset({"search"})
SOURCES = frozenset({"perception", "reason", "reasoning", "search"})
"""What `data_source` says in rows for verl, and `category` elsewhere, which calls `reason` `reasoning`."""
METRICS = get_args(Metric)

KIT = json.loads(Path(__file__).with_name("kit.json").read_text(encoding="utf-8"))
DIALECT = by_name(KIT["dialect"], search=KIT["search"])
SEARCHES = frozenset({"search", "image_search"})

# A judge for what no rule decides: an OpenAI-compatible server. Without one, undecided counts as not right.
JUDGE_URL = os.environ.get("COLDFORGE_JUDGE_URL", "")
JUDGE_MODEL = os.environ.get("COLDFORGE_JUDGE_MODEL", "")
JUDGE_KEY_ENV = "COLDFORGE_JUDGE_KEY"
JUDGE_SECONDS = 120.0


class Form(NamedTuple):
    """What the messages of an episode are."""

    answer: str | None
    """None where the last message is no answer."""
    valid: bool
    """Every message is a valid turn, and the last answers."""
    searched: bool


def compute_score(
    data_source: str, solution_str: str | None, ground_truth: str, extra_info: dict[str, Any] | None = None, **_: Any
) -> dict[str, float]:
    """Return score, accuracy (`acc`), format, penalty, and whether the answer was left undecided, all as floats.

    No response at all (None, as some trainers hand on an empty one) is an empty message.

    Raises:
        ValueError: `data_source` is none of ours: another reward is meant.
        InfrastructureError: the judge cannot be asked.
    """
    if data_source not in SOURCES:
        raise ValueError(f"data_source {data_source!r} is not coldforge's; known are {', '.join(sorted(SOURCES))}")
    truth = extra_info or {}
    # The agent loop of this kit hands on the messages as they were read; others hand on the text of the response.
    form = read_form(truth.get("assistant_messages") or assistant_messages(solution_str or ""))
    result = graded(form.answer, ground_truth, truth)
    penalty = SEARCH_PENALTY if data_source in SEARCH_SOURCES and form.searched else 0.0
    accuracy, valid = float(result.verdict == "right"), float(form.valid)
    return {
        "score": ACCURACY * accuracy * (1 - penalty) + FORMAT * valid,
        "acc": accuracy,
        "format": valid,
        "penalty": penalty,
        "undecided": float(result.verdict == "undecided"),
    }


def read_form(messages: list[str]) -> Form:
    """Read the messages of an episode by the grammar that the data is written in."""
    parsed = [DIALECT.parse(message, "tools") for message in messages]
    said = [turn for turn in parsed if not isinstance(turn, BadCall)]
    last = parsed[-1]
    answers = not isinstance(last, BadCall) and last.action == "answer"
    return Form(
        answer=parse_json(last.arguments)["answer"] if not isinstance(last, BadCall) and answers else None,
        valid=answers and len(said) == len(parsed),
        searched=any(turn.action in SEARCHES for turn in said),
    )


def graded(answer: str | None, ground_truth: str, truth: dict[str, Any]) -> GradeResult:
    """Grade an answer against all that the row accepts: by rule, by algebra, by the judge if there is one."""
    golds, choices = listed(truth.get("answers")) or [ground_truth], listed(truth.get("choices"))
    kind: AnswerType = truth.get("answer_type") or "text"
    asked = without_options(truth.get("question") or "", choices)
    tolerance = float(truth["tolerance"]) if truth.get("tolerance") else None
    if answer is None:
        return GradeResult(verdict="wrong", rule="no_answer", detail="")
    if truth.get("metric") and truth["metric"] not in METRICS:
        raise ValueError(f"metric {truth['metric']!r} of the row is none of {', '.join(METRICS)}")
    if truth.get("metric"):
        result = grade_by(truth["metric"], answer, golds, kind)
    else:
        result = grade(answer, golds, kind, tolerance=tolerance, choices=choices or None, question=asked or None)
    if kind == "expression":
        pairs = expression_pairs(answer, golds, result)
        result = settle(result, math_worker().equal(pairs))
    if result.verdict == "undecided" and JUDGE_URL:
        question = Question.build(
            source="", source_revision="", source_row="", category="perception", text=asked, images=(),
            choices=tuple(choices), answers=tuple(golds), answer_type=kind, licence="",
        )  # fmt: skip
        verdict = judged(question, answer)
        result = result.model_copy(update={"verdict": verdict, "rule": "judge"} if verdict else {})
    return result


def listed(value: Any) -> list[str]:
    """Return a list that a row holds as such, as an array or as JSON; none is an empty one."""
    if isinstance(value, str):
        return json.loads(value) if value else []
    return [] if value is None else [str(one) for one in value]


def judged(question: Question, answer: str) -> str | None:
    """Return `right` or `wrong` as most votes of the judge say; None where they differ or say neither.

    Raises:
        InfrastructureError: the server cannot be reached, or answers with no votes: a reward that is not known is none.
    """
    prompts, settings = load_judge_prompts(), JudgeSettings()
    body = {
        "model": JUDGE_MODEL,
        "messages": [
            {"role": "system", "content": prompts.answer.system},
            {"role": "user", "content": prompts.answer_text(question, answer)},
        ],
        "n": settings.votes,
        "temperature": 0.7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "vote", "schema": json.loads(answer_schema("answer")), "strict": True},
        },
    }
    key = os.environ.get(JUDGE_KEY_ENV)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    url = JUDGE_URL.rstrip("/") + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - the user's own server
    try:
        with urllib.request.urlopen(request, timeout=JUDGE_SECONDS) as response:  # noqa: S310 - as above
            choices = json.load(response)["choices"]
        verdict = tally([read_vote(choice["message"]["content"] or "", "answer") for choice in choices], settings)
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        raise InfrastructureError(
            f"the judge at COLDFORGE_JUDGE_URL ({JUDGE_URL}) gave no votes: {type(error).__name__}: {error}."
            " Is the server up, does the URL end as in http://HOST:PORT/v1, and does it have the model that"
            f" COLDFORGE_JUDGE_MODEL ({JUDGE_MODEL or 'not set'}) names?"
            " With COLDFORGE_JUDGE_URL unset, what no rule decides is not right."
        ) from error
    return verdict if verdict in {"right", "wrong"} else None
