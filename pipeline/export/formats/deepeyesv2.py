"""Parquet for the RL environment `deepeyes_v2` of DeepEyesV2's verl fork."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from pipeline.errors import RowError
from pipeline.export.formats.huggingface import Bytes, image_structs, message_structs
from pipeline.export.formats.verl import DATA_SOURCES, EXTRA_INFO, extra_info
from pipeline.export.parquet import IMAGES, MESSAGES, hf_schema
from pipeline.export.rows import RlRow, Sample, truth
from pipeline.records import Question

ENV_KEY, ENV_NAME = "coldforge_env", "coldforge"
"""Column that selects our environment, which acts as curation did, and what it says; `env_name` selects its own."""
SCHEMA = hf_schema(
    {
        "data_source": "string",
        "env_name": "string",
        ENV_KEY: "string",
        "prompt": MESSAGES,
        "images": IMAGES,
        "ability": "string",
        "reward_model": {"style": "string", "ground_truth": "string"},
        "extra_info": EXTRA_INFO,
    }
)


def require_image(sample: Sample[RlRow]) -> None:
    """Refuse a row without an image: one of them stops the whole training set.

    Raises:
        RowError: `text_only`.
    """
    if not sample.images:
        raise RowError("text_only", "the environment deepeyes_v2 asserts at least one image per row")


def rl_row(sample: Sample[RlRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `SCHEMA`. No `agent_name`: the fork selects its loop by `env_name`.

    The reward style is `model`, as its rewards ask a judge model. A judge compares texts, so the ground truth of a
    question with options says letter and option: a student may answer with either, or with both.
    """
    return {
        "data_source": DATA_SOURCES[sample.question.category],
        "env_name": "deepeyes_v2",
        ENV_KEY: ENV_NAME,
        "prompt": message_structs(sample),
        "images": image_structs(images),
        "ability": "vqa",
        "reward_model": {"style": "model", "ground_truth": gold_text(sample.question)},
        "extra_info": extra_info(sample),
    }


def gold_text(question: Question) -> str:
    """Return the gold as a judge can read it: `B. Paris` where it is the letter of an option."""
    gold = truth(question)
    options = {letter: f"{letter}. {text}" for letter, text in zip(ascii_uppercase, question.choices, strict=False)}
    return options.get(gold, gold)
