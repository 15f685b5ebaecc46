"""Programs of kits read the rows that exports hold: rewards know what is right, and transcripts earn all there is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.dialects.decoded import decoded_response
from pipeline.export.formats.trl import text_of
from pipeline.store.blobs import BlobStore
from tests.support.export_rows import data_file, numbered, publish, rl_row, rl_rows, sft_rows
from tests.support.kits import FILES, program


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("exported")
    blobs = BlobStore(base / "blobs")
    asked = numbered(9_001, (), "reasoning")
    options = {"choices": ("red", "9001"), "answers": ("B",), "answer_type": "choice", "tolerance": None}
    rows = [*rl_rows(blobs, 6), rl_row(asked.model_copy(update={"id": "f" * 64, **options}))]
    return publish(base / "export", sft_rows(blobs, 6), rows, base)


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("rows")
    made = program("reward.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "reward", made)
        yield made


def read(export: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(data_file(export)).to_pylist()
    assert rows
    return rows


def said(answer: str) -> str:
    return f"<think>I see.</think>\n<answer>{answer}</answer>"


@pytest.mark.parametrize("form", ["verl", "deepeyesv2"])
def test_the_reward_is_told_by_a_row_what_is_right(exported: Path, reward: ModuleType, form: str) -> None:
    for row in read(exported / "rl" / form):
        gold, truth = row["reward_model"]["ground_truth"], row["extra_info"]
        for answer in {truth["answer"], *reward.listed(truth["answers"])}:
            assert reward.compute_score(row["data_source"], said(answer), gold, truth)["score"] == 1.0
        assert reward.compute_score(row["data_source"], said("17"), gold, truth)["score"] == pytest.approx(0.2)


def test_trls_reward_is_told_by_the_columns_what_is_right(exported: Path, reward: ModuleType) -> None:
    rows = read(exported / "rl" / "trl")
    module = _without_trainer(Path(reward.__file__ or "").with_name("train_grpo.py"))
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
    logged: dict[str, float] = {}
    right = [[{"role": "assistant", "content": said(row["answer"])}] for row in rows]
    wrong = [[{"role": "assistant", "content": [{"type": "text", "text": said("17")}]}] for _ in rows]
    assert module["reward"](right, **columns, log_metric=logged.__setitem__) == [1.0] * len(rows)
    assert module["reward"](wrong, **columns) == pytest.approx([0.2] * len(rows))
    assert logged == {"undecided": 0.0}


def _without_trainer(path: Path) -> dict[str, Any]:
    """The functions of a program whose trainer is not installed here, as if it lay at `path`."""
    text = re.sub(
        r"^from (datasets|transformers|trl) import .*$", "", (FILES / path.name).read_text(), flags=re.MULTILINE
    )
    names: dict[str, Any] = {"__file__": str(path), "__name__": "kit"}
    exec(compile(text, str(path), "exec"), names)  # noqa: S102 - our own program
    return names


def test_transcripts_as_they_are_exported_are_valid_all_through(exported: Path, reward: ModuleType) -> None:
    for form in ("huggingface", "trl"):
        for row in read(exported / "sft" / form):
            texts = [one["content"] if form == "huggingface" else text_of(one["content"]) for one in row["messages"]]
            messages, shown = texts[2::2], texts[3::2]
            decoded = decoded_response(messages, shown, bare=False)
            score = reward.compute_score("perception", decoded, row["answer"], {})
            assert (score["acc"], score["format"]) == (1.0, 1.0), row["id"]
