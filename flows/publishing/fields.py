"""Columns of the configurations: their types, read from the files, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from flows.publishing.exports import Config, readable

MEANINGS: Mapping[str, str] = {
    "id": "Of the trajectory; `coldforge show RUN ID` prints it.",
    "messages": "System, user, then assistant and observation in turn, an answer last.",
    "prompt": "System and user text: what the policy is asked, with its tools.",
    "images": "In the order of the `<image>` marks: those of the question, then those that tools showed.",
    "question_id": "Of the question that the trajectory answers.",
    "cluster_id": "Questions that are one, or nearly: no cluster is in both shards.",
    "lane": "What the row teaches: `tools`, `no_call`, `plain_cot` or `long_cot`.",
    "category": "`perception`, `reasoning` or `search`.",
    "source": "Where the question comes from; see the table of sources.",
    "licence": "Of the row's annotations.",
    "question": "As it is asked, options included.",
    "choices": "Options, in their order; empty for an open question.",
    "answer": "The trajectory's own.",
    "answers": "All accepted answers; letters where there are options.",
    "answer_type": "How they are compared: `text`, `number`, `choice`, `list`, `boolean`, `date` or `expression`.",
    "tolerance": "Relative, of a number; empty: exact.",
    "metric": "The benchmark's own way to grade, where the source names one.",
    "data_source": "What the trainer's reward dispatches on.",
    "plain_right": "Right rollouts of the base model without tools.",
    "plain_valid": "Rollouts without tools that were graded.",
    "tools_right": "Right rollouts with tools, after a call that could have carried the answer.",
    "tools_valid": "Rollouts with tools that were graded.",
    "saturated": "Every graded rollout with tools was right: no gradient for a group-relative method.",
    "stock_env": "Whether DeepEyesV2's own environment would act as the row shows: `same`, `differs`.",
    "stock_env_by": "How that was found: by `execution` of the row's cells under its rules, or by `rule` alone.",
    "stock_env_reasons": "Why it would act otherwise: what came back otherwise, then the rules that act on the row.",
    "stock_reward": "Whether DeepEyesV2's own reward grades the question as ours does: `same`, `differs`, `unknown`.",
    "stock_reward_reasons": "Why it would grade otherwise, or why that is not known.",
    "support": "Share of the answer's claims that the observations carry; null: not measured.",
    "necessity": "What of the tools the answer needs; null: not measured.",
    "defect_rate": "Share of rows that a person found wrong; null: not measured.",
    "judged": "Answers to the question that a judge decided, where no rule did.",
    "question_labels": "JSON: what the run measured of the question (difficulty, benefit, chance, …).",
    "personal_data": "JSON: kinds of personal data found in the row, and how often.",
    "meta": "JSON: revision and row of the source, how the row was made.",
}
"""By column; both shards mean the same by a name, but for `_OF_RL`."""
_OF_RL: Mapping[str, str] = {
    "id": "Of the question; `coldforge show RUN ID` tells its life.",
    "images": "Of the question, in the order of the `<image>` marks.",
    "answer": "Of the accepted answers the one that most annotators gave.",
}


class Field(NamedTuple):
    """A column of a configuration."""

    name: str
    type: str
    """As a reader of `datasets` knows it."""
    meaning: str | None
    """None: nobody has written it down."""
    arrow: pa.DataType


def fields_of(config: Config) -> tuple[Field, ...]:
    """Return the columns of a configuration, by the schema of its first file.

    Raises:
        UsageError: it cannot be read.
    """
    first = next(file for files in config.splits.values() for file in files)
    meanings = {**MEANINGS, **_OF_RL} if config.shard == "rl" else MEANINGS
    with readable(config):
        schema = pq.read_schema(first.local)
    return tuple(
        Field(column.name, type_name(column.type), meanings.get(column.name), column.type) for column in schema
    )


def type_name(kind: pa.DataType) -> str:
    """Return a type in the words of `datasets`; a struct with bytes and a path is an image."""
    if is_image(kind):
        return "image"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {type_name(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{field.name}: {type_name(field.type)}" for field in kind) + "}"
    return str(kind)


def is_image(kind: pa.DataType) -> bool:
    """Return whether a type is what `datasets` stores an image as."""
    return pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}
