"""Typed Parquet for Hugging Face `datasets`, for SFT and RL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.dialects.messages import question_text
from pipeline.export.parquet import IMAGES, MESSAGES, Feature, hf_schema
from pipeline.export.rows import RlRow, Sample, SftRow, truth
from pipeline.export.stock_reward import stock_reward
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Question

Bytes = bytes | Mapping[str, str]
"""Of an image; in a row that is hashed, what stands for them (`layout.hashed`)."""
MEASURED_LATER: dict[str, Feature] = {"support": "float64", "necessity": "string", "defect_rate": "float64"}
"""What no stage measures yet: null in every row."""
SFT_COLUMNS: dict[str, Feature] = {
    "id": "string",
    "messages": MESSAGES,
    "images": IMAGES,
    "question_id": "string",
    "cluster_id": "string",
    "lane": "string",
    "category": "string",
    "source": "string",
    "licence": "string",
    "answer": "string",
    "question_labels": "string",
    "personal_data": "string",
    "stock_env": "string",
    "stock_env_by": "string",
    "stock_env_reasons": ["string"],
    **MEASURED_LATER,
    "meta": "string",
}
RL_COLUMNS: dict[str, Feature] = {
    "id": "string",
    "prompt": MESSAGES,
    "images": IMAGES,
    "cluster_id": "string",
    "category": "string",
    "source": "string",
    "licence": "string",
    "question": "string",
    "choices": ["string"],
    "answer": "string",
    "answers": ["string"],
    "answer_type": "string",
    "tolerance": "string",
    "metric": "string",
    "judged": "int32",
    "plain_right": "int32",
    "plain_valid": "int32",
    "tools_right": "int32",
    "tools_valid": "int32",
    "saturated": "bool",
    "question_labels": "string",
    "personal_data": "string",
    "stock_reward": "string",
    "stock_reward_reasons": ["string"],
    **MEASURED_LATER,
    "meta": "string",
}

SFT_SCHEMA = hf_schema(SFT_COLUMNS)
RL_SCHEMA = hf_schema(RL_COLUMNS)


def sft_row(sample: Sample[SftRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `SFT_SCHEMA`.

    `question_labels`, `personal_data` and `meta` are canonical JSON: what was measured of the question, how often each
    kind of personal data was found in the row, and where it comes from and how it was made. A column of the name
    `labels` would be taken for token ids: TRL's collator for text does.
    """
    trajectory, question, stock = sample.row.trajectory, sample.question, sample.row.stock
    meta = {
        **origin(sample),
        "answers": question.answers,
        "model": trajectory.model,
        "sample": trajectory.sample,
        "seed": trajectory.seed,
        "prompts": parse_json(trajectory.prompts),
        "view": parse_json(trajectory.view),
        "sandbox": trajectory.sandbox,
        "actions": [turn.action for turn in trajectory.turns],
        "labels": [turn.labels for turn in trajectory.turns],
        **({"parent": trajectory.parent} if trajectory.parent else {}),
    }
    return {
        "id": sample.record_id,
        "messages": message_structs(sample),
        "images": image_structs(images),
        "question_id": question.id,
        "cluster_id": sample.cluster_id,
        "lane": sample.lane,
        "category": question.category,
        "source": question.source,
        "licence": question.licence,
        "answer": trajectory.answer,
        "question_labels": canonical_json(sample.row.labels),
        "personal_data": canonical_json(sample.row.personal_data),
        "stock_env": stock.label,
        "stock_env_by": stock.by,
        "stock_env_reasons": list(stock.reasons),
        **dict.fromkeys(MEASURED_LATER),
        "meta": canonical_json(meta),
    }


def rl_row(sample: Sample[RlRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `RL_SCHEMA`.

    `question` holds the options as the prompt does; the answers of a question with `choices` are letters.
    """
    labels, question = sample.row.labels, sample.question
    stock = stock_reward(question)
    return {
        "id": sample.record_id,
        "prompt": message_structs(sample),
        "images": image_structs(images),
        "cluster_id": sample.cluster_id,
        "category": question.category,
        "source": question.source,
        "licence": question.licence,
        "question": question_text(question),
        "choices": list(question.choices),
        "answer": truth(question),
        "answers": list(question.answers),
        "answer_type": question.answer_type,
        "tolerance": tolerance_text(question.tolerance),
        "metric": metric_name(question),
        "judged": sample.row.judged,
        "plain_right": labels.plain_right,
        "plain_valid": labels.plain_valid,
        "tools_right": labels.tools_right,
        "tools_valid": labels.tools_valid,
        "saturated": sample.row.saturated,
        "question_labels": canonical_json(labels),
        "personal_data": canonical_json(sample.row.personal_data),
        "stock_reward": stock.label,
        "stock_reward_reasons": list(stock.reasons),
        **dict.fromkeys(MEASURED_LATER),
        "meta": canonical_json(origin(sample)),
    }


def origin(sample: Sample[SftRow] | Sample[RlRow]) -> dict[str, Any]:
    """Return where a question comes from, and its own `meta`."""
    question = sample.question
    return {
        "source_revision": question.source_revision,
        "source_row": question.source_row,
        "choices": question.choices,
        "question": parse_json(question.meta),
    }


def message_structs(sample: Sample[SftRow] | Sample[RlRow]) -> list[dict[str, str]]:
    """Return the messages as the structs of a Parquet column."""
    return [message.text() for message in sample.messages]


def image_structs(images: Sequence[Bytes]) -> list[dict[str, Bytes | None]]:
    """Return images as embedded bytes; a path beside them would be tried by some readers and not exist."""
    return [{"bytes": content, "path": None} for content in images]


def metric_name(question: Question) -> str:
    """Return the benchmark's metric by which the source wants answers graded; empty for none."""
    meta = parse_json(question.meta)
    return str(meta.get("metric") or "") if isinstance(meta, dict) else ""


def tolerance_text(tolerance: float | None) -> str:
    """Return the relative tolerance as text, empty for an exact answer."""
    return "" if tolerance is None else repr(tolerance)
