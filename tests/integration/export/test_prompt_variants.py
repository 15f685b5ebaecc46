"""Exports in either dialect, and under several prompts: who is told what depends on the question alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from pipeline.dialects import TOOL_CALL
from pipeline.errors import UsageError
from pipeline.export.layout import MANIFEST
from pipeline.export.rows import ExportContext, SftRow
from pipeline.export.told import Told
from pipeline.export.verify.exports import verify_exports
from pipeline.store.blobs import BlobStore
from tests.support.export_rows import (
    RL,
    SFT,
    TOLD,
    context,
    json_rows,
    lane_rows,
    publish_rl,
    publish_sft,
    rl_rows,
    sft_rows,
)
from tests.support.runs import small_run


def variant(number: int) -> Told:
    """A way to tell the student, whose system text and whose last word in the user text are its own."""
    return Told(
        *(
            prompt.model_copy(
                update={
                    "name": f"{prompt.name}/{number}",
                    "system": f"{prompt.system} {number}.",
                    "user": f"{prompt.user} {number}",
                }
            )
            for prompt in TOLD
        )
    )


VARIANTS = tuple(variant(number) for number in range(3))


def told(base: Path, *variants: Told) -> ExportContext:
    return dataclasses.replace(context(base), told=variants)


def systems(export: Path) -> dict[str, tuple[str, str]]:
    """Row id → system text and last word of the question, of a LLaMA-Factory export."""
    rows = json_rows(export / "sft/llamafactory")
    return {r["id"]: (r["messages"][0]["content"], r["messages"][1]["content"].split()[-1]) for r in rows}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("variants")


@pytest.fixture(scope="module")
def export(base: Path) -> Path:
    blobs = BlobStore(base / "blobs")
    publish_sft(base / "export/sft", sft_rows(blobs, 24), SFT, told(base, *VARIANTS))
    publish_rl(base / "export/rl", rl_rows(blobs, 12), RL, told(base, *VARIANTS))
    return base / "export"


def test_exports_under_several_prompts_pass_their_check(export: Path) -> None:
    assert verify_exports(export).problems == ()


def test_each_row_is_told_one_prompt_whole_and_every_prompt_is_used(export: Path) -> None:
    found = set(systems(export).values())
    assert found == {(told.tools.system, told.tools.user.split()[-1]) for told in VARIANTS}


def test_a_question_without_tools_is_told_the_plain_text_of_its_variant(base: Path) -> None:
    blobs = BlobStore(base / "blobs")
    publish_sft(base / "lanes/sft", lane_rows(blobs), SFT, told(base, *VARIANTS))
    assert verify_exports(base / "lanes").problems == ()
    found = set(systems(base / "lanes").values())
    assert found <= {(prompt.system, prompt.user.split()[-1]) for one in VARIANTS for prompt in one}
    # Of eight rows in two modes and three variants, more than one variant in each mode.
    assert all(len({system for system, _ in found if system.startswith(prompt.system)}) > 1 for prompt in TOLD)


def test_all_formats_tell_a_question_the_same(export: Path) -> None:
    rows = pq.read_table(export / "sft/huggingface/data").to_pylist()
    assert {row["id"]: row["messages"][0]["content"] for row in rows} == {
        identity: system for identity, (system, _) in systems(export).items()
    }


def test_what_a_question_is_told_does_not_depend_on_other_rows(export: Path, base: Path) -> None:
    publish_sft(base / "few/sft", sft_rows(BlobStore(base / "blobs"), 5), SFT, told(base, *VARIANTS))
    assert systems(base / "few").items() <= systems(export).items()
    assert len(systems(base / "few")) == 5


def in_tool_call(row: SftRow) -> SftRow:
    turns = tuple(
        turn if turn.observation is None else turn.model_copy(update={"observation": TOOL_CALL.frame(turn.observation)})
        for turn in row.trajectory.turns
    )
    changes = {"turns": turns, "dialect": "tool_call"}
    return dataclasses.replace(row, trajectory=row.trajectory.model_copy(update=changes))


def test_rows_are_written_and_checked_in_the_dialect_of_the_run(base: Path) -> None:
    blobs, target = BlobStore(base / "blobs"), base / "calls"
    tool_call = dataclasses.replace(context(base), dialect=TOOL_CALL)
    publish_sft(target / "sft", [in_tool_call(row) for row in sft_rows(blobs, 3)], SFT, tool_call)
    publish_rl(target / "rl", rl_rows(blobs, 2), ("huggingface", "verl"), tool_call)
    assert verify_exports(target).problems == ()
    said = [
        message["content"]
        for row in json_rows(target / "sft/llamafactory")
        for message in row["messages"]
        if message["role"] == "assistant"
    ]
    assert not any("<code>" in text for text in said)
    assert sum('{"name": "python", "arguments": {"code": "' in text for text in said) == 1
    card = (target / "sft/llamafactory/README.md").read_text()
    assert "dialect `tool_call`" in card
    assert "a column or argument `tools` would show the schemas twice" in " ".join(card.split())
    assert "`hermes`" in (target / "rl/verl/README.md").read_text()


def test_a_row_of_another_dialect_than_its_manifest_is_found(base: Path) -> None:
    target = base / "mixed"
    publish_sft(target / "sft", sft_rows(BlobStore(base / "blobs"), 3), SFT, context(base))
    for manifest in target.glob(f"sft/*/{MANIFEST}"):
        manifest.write_text(manifest.read_text().replace('"dialect": "deepeyesv2"', '"dialect": "tool_call"'))
    messages = {problem.message for problem in verify_exports(target).problems}
    assert any("is not a turn of the dialect: no_action" in message for message in messages)


def test_a_trajectory_of_another_dialect_is_never_exported(base: Path) -> None:
    rows = [in_tool_call(row) for row in sft_rows(BlobStore(base / "blobs"), 1)]
    with pytest.raises(AssertionError, match="are written in tool_call"):
        publish_sft(base / "never/sft", rows, SFT, context(base))


def test_variants_never_replace_the_exports_of_the_run_itself(tmp_path: Path) -> None:
    run = small_run(tmp_path / "small")
    arguments = ["export", str(run), "--prompt-variants", str(tmp_path), "--out", str(run / "export")]
    refused = CliRunner().invoke(make_app(), arguments)
    assert refused.exit_code == UsageError.exit_code
    assert "stays as it is" in refused.stderr
