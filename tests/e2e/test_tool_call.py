"""The demo in JSON calls, from the question to exports under other prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from pipeline.export.layout import RlFormat, SftFormat
from tests.support.command import DEMO, coldforge, tree
from tests.support.export_rows import json_rows

LIMIT = "8"
"""Few enough for a quarter of a minute, enough that trajectories with Python are accepted."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    base = tmp_path_factory.mktemp("tool_call")
    prepared(base / "store")
    arguments = ("--out", base / "run", "--store", base / "store", "--limit", LIMIT)
    coldforge("run", DEMO, "--set", "dialect=tool_call", *arguments)
    return base


def rows(export: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json_rows(export / "sft/llamafactory")
    return found


def test_its_exports_hold_rows_and_pass_their_checks(base: Path) -> None:
    report = json.loads(coldforge("verify", base / "run/export", "--json").stdout)
    assert report["problems"] == []
    counts = {(export["shard"], export["format"]): export["rows"] for export in report["exports"]}
    sft = {("sft", kind) for kind in get_args(SftFormat)}
    # So few questions may leave none to reinforce, and no export is written without a row.
    rl = {("rl", kind) for kind in get_args(RlFormat) if kind != "deepeyesv2"}
    assert set(counts) in (sft, sft | rl)
    assert counts["sft", "llamafactory"] == counts["sft", "huggingface"] > 0


def test_every_call_is_json_and_every_result_is_framed(base: Path) -> None:
    text = json.dumps(rows(base / "run/export"), ensure_ascii=False)
    assert "<code>" not in text
    assert text.count('<tool_call>\\n{\\"name\\": \\"python\\"') > 0
    for row in rows(base / "run/export"):
        messages = row["messages"]
        assert isinstance(messages, list)
        results = [message["content"] for message in messages[3::2]]
        assert all(re.fullmatch(r"<tool_response>\n.*\n</tool_response>", result, re.DOTALL) for result in results)


def test_cells_come_out_again_as_they_were_recorded(base: Path) -> None:
    report = json.loads(coldforge("replay", base / "run", "--store", base / "store", "--json").stdout)
    assert report["wrong"] == []
    assert report["executed"] > 0


def test_a_transcript_can_be_shown(base: Path) -> None:
    shown = coldforge("show", base / "run", str(rows(base / "run/export")[0]["id"])).stdout
    assert "dialect tool_call" in shown


def test_exports_are_written_again_byte_for_byte(base: Path) -> None:
    coldforge("export", base / "run", "--store", base / "store", "--out", base / "again")
    assert tree(base / "again") == tree(base / "run/export")


def test_exports_under_variants_pass_their_checks_and_say_which(base: Path) -> None:
    variants = base / "mine"
    (variants / "long").mkdir(parents=True)
    (variants / "short.md").write_text("Think in <think>, then answer in <answer>.\n")
    (variants / "long" / "user.md").write_text("{images}{question}\n\nTake your time.\n")
    coldforge("export", base / "run", "--store", base / "store", "--prompt-variants", variants)
    export = base / "run/export-mine"
    assert json.loads(coldforge("verify", export, "--json").stdout)["problems"] == []
    assert {row["id"] for row in rows(export)} == {row["id"] for row in rows(base / "run/export")}
    prompts = json.loads((export / "sft/llamafactory/manifest.json").read_text())["prompts"]
    assert {"export/tools/long", "export/tools/short"} < set(prompts)
    assert "export/tools" not in prompts


def test_an_unfinished_run_or_a_changed_prompt_set_is_refused(base: Path, tmp_path: Path) -> None:
    gone = coldforge("export", tmp_path, code=2).stderr
    assert "is not a run" in gone or "no run" in gone
    recipe = (base / "run/recipe.yaml").read_text()
    changed = tmp_path / "run"
    changed.mkdir()
    for name in ("ledger.duckdb", "run.json", "export", "stages"):
        (changed / name).symlink_to(base / "run" / name)
    (changed / "recipe.yaml").write_text(recipe.replace("dialect: tool_call", "dialect: deepeyesv2"))
    told = coldforge("export", changed, "--store", base / "store", code=2).stderr
    assert "prompt set deepeyesv2 was changed since this run" in " ".join(told.split())
