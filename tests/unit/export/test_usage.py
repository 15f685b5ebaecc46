"""What a card says of its trainer is all that has to be done, and its commands do it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.export.kits import KIT, REQUIREMENTS, kit_files
from pipeline.export.usage import usage
from tests.unit.export.kits.test_kit_files import KITS, facts, summary

WITH_TOOLS = ("verl", "deepeyesv2")


@pytest.mark.parametrize(("shard", "form"), KITS)
def test_a_card_tells_to_install_what_the_kit_asks_for(shard: str, form: str) -> None:
    told, kit = usage(facts(shard, form)), kit_files(facts(shard, form), summary())
    needs = f"{KIT}/{REQUIREMENTS}" in kit
    assert needs == ("pip install --no-deps coldforge" in told) == (f"pip install -r {KIT}/{REQUIREMENTS}" in told)
    assert {f"{KIT}/{name}" for name in re.findall(r"\bkit/([\w.]+\w)", told)} <= kit.keys()


@pytest.mark.parametrize("form", WITH_TOOLS)
@pytest.mark.parametrize("corpus", ["library", None])
def test_where_episodes_have_tools_the_card_tells_of_the_sandbox_and_of_searches_if_there_are_any(
    form: str, corpus: str | None
) -> None:
    told = usage(facts("rl", form, corpus=corpus))
    assert "coldforge sandbox serve --port 8000 " in told
    assert ("coldforge search-cache RUN" in told) == ("COLDFORGE_SEARCH_RECORD" in told) == (corpus is not None)
    assert "[search]" not in told
    for block in re.findall(r"^```\n(.*?)^```$", told, re.MULTILINE | re.DOTALL):
        subprocess.run(["sh", "-n"], input=block, text=True, check=True)


def test_whoever_has_no_record_leaves_out_the_questions_about_search_by_the_cards_command(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    schema = pa.schema(
        {"data_source": pa.string(), "prompt": pa.list_(pa.field("element", pa.struct({"role": pa.string()})))},
        {"kept": "1"},
    )
    for part, sources in enumerate((["search", "reason"], ["perception", "search"])):
        rows = [{"data_source": source, "prompt": [{"role": f"{part}"}]} for source in sources]
        pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "data" / f"train-0-{part}.parquet")
    told = usage(facts("rl", "verl", corpus="library"))
    (command,) = (
        block for block in re.findall(r"^```\n(.*?)^```$", told, re.MULTILINE | re.DOTALL) if "pyarrow" in block
    )
    command = command.replace("/tmp/train.parquet", str(tmp_path / "left.parquet"))  # noqa: S108 - the card's own word
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, env={**os.environ, "PATH": path})
    left = pq.read_table(tmp_path / "left.parquet")
    assert left.column("data_source").to_pylist() == ["reason", "perception"]
    assert left.schema.equals(schema, check_metadata=True)
