"""Every number that ledger, rows and manifests of a run give a card, counted without the code that writes cards."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from filters.languages import language_of
from flows.recipe.file import load_recipe
from flows.report.tables import run_tables

NUMBER = re.compile(r"(?<![\w.,-])-?\d+(?:,\d{3})*(?:\.\d+)?")
_ALWAYS = re.compile(r"`[^`]*`|<[^>]*>|\]\([^)]*\)|arXiv [\d.]+|CC0-1\.0|95 %|Gate [12]")
"""What holds digits and no number: code, addresses, names."""
_MODELS = """
SELECT count(*) FROM trajectories GROUP BY purpose, arm = 'stronger', arm = 'long_cot', model
UNION ALL SELECT sum(len(votes)) FROM votes GROUP BY model
UNION ALL SELECT count(*) FROM outcomes WHERE outcome <> 'kept' GROUP BY stage, unit, reason
"""
_STAGES = """
SELECT count(*), count(*) FILTER (outcome = 'kept'), count(*) FILTER (outcome = 'rejected'),
       count(*) FILTER (outcome = 'quarantined') FROM outcomes GROUP BY stage, unit
"""
_CALLS = "SELECT trajectory_id, action, status, n_images FROM turns WHERE action NOT IN ('answer', 'none')"


def rows(run: Path, shard: str) -> list[dict[str, Any]]:
    """The rows of a shard, as its data set holds them."""
    files = sorted((run / "export" / shard / "huggingface" / "data").rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def query(run: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(run / "ledger.duckdb"), read_only=True) as db:
        return db.sql(sql).fetchall()


def tables(page: str) -> dict[str, list[list[str]]]:
    """The tables of a page by the names of their columns: cells without marks of code."""
    found: dict[str, list[list[str]]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        header, _, *lines = (
            [cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in block.splitlines()
        )
        found["; ".join(cell.strip("| ") for cell in header)] = [[cell.strip("| ") for cell in line] for line in lines]
    return found


def numbers_said(page: str) -> Iterator[tuple[str, str]]:
    """Each number of a page with its line, but for the example and what is always so."""
    body = page.split("---\n", 2)[2]
    body = re.sub(r"## An example\n.*?(?=\n## )", "", body, flags=re.DOTALL)
    body = re.sub(r"^(`{3,}).*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    for line in _ALWAYS.sub("", body).splitlines():
        for number in NUMBER.findall(line):
            yield number, line


def tenths(value: float) -> Decimal:
    """With one decimal; a half goes up. What is left of a multiplication in the last digits is none of the number."""
    return Decimal(repr(round(value, 9))).quantize(Decimal("0.1"), ROUND_HALF_UP)


def numbers_of(run: Path) -> set[str]:
    """Every number in each of the ways in which a card may write it."""
    recipe = load_recipe(run / "recipe.yaml")
    shards = {shard: rows(run, shard) for shard in ("sft", "rl")}
    told = [recipe.student.max_pixels, *recipe.other_budgets, *_of_rows(run, shards), *_of_stages(run)]
    told += _of_lessons(run, shards["sft"])
    for path in (run / "export").glob("*/huggingface/data/*"):
        told += [path.stat().st_size / 1e3, path.stat().st_size / 1e6, 1]
    known = {
        form for value in told if value is not None for form in (f"{value:,}", f"{tenths(value)}", f"{tenths(value):,}")
    }
    how = json.loads((run / "export" / "sft" / "huggingface" / "manifest.json").read_text())
    return known | set(NUMBER.findall(" ".join([*how["benchmarks"].values(), how["tokens"]])))


def _of_rows(run: Path, shards: dict[str, list[dict[str, Any]]]) -> Iterator[float]:
    """Numbers of what is asked: categories, types, guesses, licences, languages, pictures of both shards."""
    questions = {
        q: (text, kind) for q, text, kind in query(run, "SELECT question_id, text, answer_type FROM questions")
    }
    majority = dict(query(run, "SELECT question_id, is_majority FROM labels"))
    every: set[str] = set()
    for shard, of in shards.items():
        asked = [row["question_id"] if shard == "sft" else row["id"] for row in of]
        every |= set(asked)
        yield len(of)
        yield from Counter((row["category"], row["source"]) for row in of).values()
        yield from Counter(row["licence"] for row in of).values()
        yield from Counter(questions[question][1] for question in asked).values()
        yield sum(majority[question] is True for question in asked)
        yield sum(majority[question] is not None for question in asked)
    yield from Counter(language_of(questions[question][0]) for question in every).values()
    sft, rl = (
        {hashlib.sha256(image["bytes"]).digest() for row in shards[shard] for image in row["images"]}
        for shard in ("sft", "rl")
    )
    yield from (len(sft & rl), len(rl))


def _of_lessons(run: Path, sft: Sequence[dict[str, Any]]) -> Iterator[float]:
    """Numbers of what is taught: lanes, loss tokens, calls, cells that ran again."""
    ids = {row["id"] for row in sft}
    tokens = dict(query(run, "SELECT trajectory_id, loss_tokens FROM keys"))
    lanes: dict[tuple[str, str], list[int]] = {}
    for row in sft:
        lanes.setdefault((row["lane"], row["category"]), []).append(tokens[row["id"]])
    learnt = sum(map(sum, lanes.values()))
    for lane in lanes.values():
        yield from (len(lane), 100 * len(lane) / len(sft), sum(lane), 100 * sum(lane) / learnt)
    calls = [call for call in query(run, _CALLS) if call[0] in ids]
    yield from (len(calls), sum(call[3] for call in calls), *Counter(call[1:3] for call in calls).values())
    again: dict[str, list[int]] = {}
    for identity, verdict, cells in query(run, "SELECT trajectory_id, verdict, cells FROM replays"):
        if identity in ids:
            again.setdefault(verdict, []).append(cells)
    for cells in again.values():
        yield from (len(cells), sum(n > 0 for n in cells), sum(cells))


def _of_stages(run: Path) -> Iterator[float]:
    """Numbers of how it came about: models, gates, funnel, reasons."""
    yield from (n for (n,) in query(run, _MODELS))
    yield from query(run, "SELECT k, max_plain_right, min_tools_right FROM gate_settings")[0]
    for stage in query(run, _STAGES):
        yield from (*stage, 100 * stage[1] / stage[0])
    reports = {table.name: table for table in run_tables(run)}
    for name in ("funnel", "placebo", "benefit", "arms"):
        for value in (value for row in reports[name].rows for value in row if isinstance(value, int | float)):
            yield from (value, 100 * value)
