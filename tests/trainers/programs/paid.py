"""Pays recorded messages by the reward of a kit, in a trainer's environment and with the rows that it loads."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main() -> None:
    """Write what each of the cases is paid."""
    given = json.loads(sys.argv[1])
    # coldforge lies behind all that the trainer brings, as its users install it.
    sys.path[:] = [str(Path(given["export"]) / "kit"), *sys.path, given["site"]]
    from datasets import load_dataset

    rows = load_dataset("parquet", data_files=given["files"], split="train").remove_columns("images")
    cases = json.loads(Path(given["cases"]).read_text())
    pay = {"verl": _verl, "trl": _trl}[given["trainer"]]
    by_question = {row["extra_info"]["index"] if given["trainer"] == "verl" else row["id"]: row for row in rows}
    told = {
        "version": version(given["trainer"]),
        "transformers": version("transformers"),
        "rows": [pay(by_question[case["question_id"]], case) for case in cases],
    }
    Path(given["out"]).write_text(json.dumps(told))


def _verl(row: dict[str, Any], case: dict[str, Any]) -> dict[str, float]:
    """Pay as verl does, which hands on the text of a response as it decodes it."""
    truth = row["reward_model"]["ground_truth"]
    paid: dict[str, float] = import_module("reward").compute_score(
        row["data_source"], case["decoded"], truth, row["extra_info"]
    )
    return paid


def _trl(row: dict[str, Any], case: dict[str, Any]) -> dict[str, float]:
    """Pay as TRL does, which hands on one message and the columns of the row."""
    said = [[{"role": "assistant", "content": case["messages"][-1]}]]
    (score,) = import_module("train_grpo").reward(completions=said, **{name: [value] for name, value in row.items()})
    return {"score": score}


if __name__ == "__main__":
    main()
