"""Parquet for verl: multi-turn SFT, and RL with its tool agent loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.dialects.messages import question_text
from pipeline.export.formats.huggingface import Bytes, image_structs, message_structs, metric_name, tolerance_text
from pipeline.export.parquet import IMAGES, MESSAGES, Feature, hf_schema
from pipeline.export.rows import RlRow, Sample, SftRow, truth
from pipeline.export.stock_reward import stock_reward
from pipeline.identity import canonical_json
from pipeline.records import Category

DATA_SOURCES: dict[Category, str] = {"perception": "perception", "reasoning": "reason", "search": "search"}
"""Names by which rewards are routed; those of DeepEyesV2."""

EXTRA_INFO: dict[str, Feature] = {
    "split": "string",
    "index": "string",
    "question": "string",
    "choices": "string",
    "answer": "string",
    "answers": "string",
    "answer_type": "string",
    "tolerance": "string",
    "metric": "string",
    "judged": "string",
    "stock_reward": "string",
    "stock_reward_reasons": "string",
    "cluster_id": "string",
    "source": "string",
    "plain_right": "string",
    "plain_valid": "string",
    "tools_right": "string",
    "tools_valid": "string",
    "saturated": "string",
    "question_labels": "string",
    "personal_data": "string",
}
"""All strings: a data set that is concatenated with this one can then differ in no type."""

RL_SCHEMA = hf_schema(
    {
        "data_source": "string",
        "agent_name": "string",
        "prompt": MESSAGES,
        "images": IMAGES,
        "ability": "string",
        "reward_model": {"style": "string", "ground_truth": "string"},
        "extra_info": EXTRA_INFO,
    }
)

SFT_SCHEMA = hf_schema({"id": "string", "messages": MESSAGES, "images": IMAGES, "question_id": "string"})
"""No column `tools`: the system text holds the schemas already, and verl would show them twice."""


def sft_row(sample: Sample[SftRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `SFT_SCHEMA`."""
    return {
        "id": sample.record_id,
        "messages": message_structs(sample),
        "images": image_structs(images),
        "question_id": sample.question.id,
    }


def rl_row(sample: Sample[RlRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `RL_SCHEMA`.

    `agent_name` selects the loop that calls tools; without it verl runs a single turn and says nothing.
    The reward style is `rule`: every answer here has a type that a deterministic grader can check, and
    verl skips validation of rows of style `model` when a reward model is configured. So the ground truth is what a
    grader compares: of a question with options the bare letter, the options themselves being in `extra_info.choices`.
    """
    return {
        "data_source": DATA_SOURCES[sample.question.category],
        "agent_name": "tool_agent",
        "prompt": message_structs(sample),
        "images": image_structs(images),
        "ability": "vqa",
        "reward_model": {"style": "rule", "ground_truth": truth(sample.question)},
        "extra_info": extra_info(sample),
    }


def extra_info(sample: Sample[RlRow]) -> dict[str, str]:
    """Return what a reward function is handed beside the ground truth; `answers` is a JSON list of all golds.

    `question` is what the model was asked, options included: a judge that is not shown them cannot tell what B is.
    `choices` is a JSON list of the options, empty where there are none; `question_labels` a JSON object (`Labels`).
    """
    labels, question = sample.row.labels, sample.question
    stock = stock_reward(question)
    return {
        "split": sample.split,
        "index": question.id,
        "question": question_text(question),
        "choices": canonical_json(question.choices),
        "answer": truth(question),
        "answers": canonical_json(question.answers),
        "answer_type": question.answer_type,
        "tolerance": tolerance_text(question.tolerance),
        "metric": metric_name(question),
        "judged": _number(sample.row.judged),
        "stock_reward": stock.label,
        "stock_reward_reasons": canonical_json(stock.reasons),
        "cluster_id": sample.cluster_id,
        "source": question.source,
        "plain_right": _number(labels.plain_right),
        "plain_valid": _number(labels.plain_valid),
        "tools_right": _number(labels.tools_right),
        "tools_valid": _number(labels.tools_valid),
        "saturated": str(sample.row.saturated).lower(),
        "question_labels": canonical_json(labels),
        "personal_data": canonical_json(sample.row.personal_data),
    }


def _number(value: int | None) -> str:
    """Return a count as text, empty where nothing was counted."""
    return "" if value is None else str(value)
