from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from flows.cli.checks import Check, checked
from flows.cli.main import Commands, make_app
from flows.cli.progress import LineProgress, shown_progress
from flows.cli.run import print_summary
from flows.ledger.snapshot import Shard
from flows.report.tables import Table, csv_text, markdown_text, plain, rich_table, visible
from flows.report.widths import GAP, column_widths, fitted
from flows.run.curate import RunSummary
from flows.run.figures import Figures
from flows.run.progress import Progress, SilentProgress
from pipeline.engine.done import Finished
from pipeline.engine.units import Part, Range, UnitResult
from pipeline.errors import CheckError, InfrastructureError, RowError
from pipeline.models.samples import Spent
from pipeline.processes import turn
from pipeline.records import SourceRow
from pipeline.sources.questions import check_row
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCounts
from tests.support.command import ROOT
from tests.support.runs import PIXELS, row, small_run

HEAVY = {"datasets", "duckdb", "prefect", "ray", "transformers", "numpy", "pandas", "polars", "pyarrow"}

RECIPE = """
name: tiny
sources: [{source: own.yaml}]
search: {corpus: own}
student: {family: qwen2_5_vl, revision: r1, max_pixels: 262144}
models:
  base: {backend: reader, policy: naive}
  teachers: [{backend: reader, policy: careful}]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("cli") / "small")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    rows = [
        {
            "row": n,
            "category": "reasoning",
            "text": f"{n} + 1?",
            "images": [],
            "answers": ["2"],
            "answer_type": "number",
        }
        for n in "123"
    ]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("pages.jsonl", "gallery.jsonl"):
        (tmp_path / "own" / name).write_text("")
    (tmp_path / "own.yaml").write_text("{key: own, kind: jsonl, revision: '1', path: own, licence: CC0-1.0}")
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])


def refused(*arguments: object, code: int = 2) -> str:
    """The message of a command that fails: on stderr, without a traceback, nothing on stdout."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    return result.stderr


def document(*arguments: object, code: int = 0) -> Any:
    """The one JSON document that a command prints."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_no_help_loads_a_heavy_library() -> None:
    script = f"""
import sys
from typer.testing import CliRunner
from flows.cli.main import make_app
for command in ([], "run plan status stats gates why trace try show verify replay doctor schema sandbox".split()):
    for words in ([[]] if not command else [[word] for word in command]):
        result = CliRunner().invoke(make_app(), [*words, "--help"])
        assert result.exit_code == 0, (words, result.output)
print(sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_misspelt_recipe_field_is_named_with_the_field_that_was_meant(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace("max_pixels", "max_pixel"))
    message = refused("run", recipe, "--out", tmp_path / "out")
    assert "student.max_pixel" in message
    assert "did you mean `max_pixels`" in message
    assert not (tmp_path / "out").exists()


def test_a_missing_recipe_is_named_with_those_that_come_along(tmp_path: Path) -> None:
    message = refused("run", tmp_path / "none.yaml")
    assert "none.yaml" in message
    assert "manifests/recipes/demo.yaml" in message


@pytest.mark.parametrize(("change", "told"), [("seed", "field.subfield=value"), ("gate.kk=3", "gate.kk")])
def test_a_wrong_change_is_named(recipe: Path, change: str, told: str) -> None:
    assert told in refused("run", recipe, "--set", change)


@pytest.mark.parametrize("words", [["run"], ["nonsense"], ["stats"], ["stats", "x", "--format", "xml"]])
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    assert call(*words).exit_code == 2


@pytest.mark.parametrize("words", [["stats"], ["status"], ["show", "abcd"], ["replay"]])
def test_a_directory_that_is_no_run_is_named_with_the_runs_beside_it(run: Path, words: list[str]) -> None:
    command, *rest = words
    message = refused(command, run.parent / "smal", *rest)
    assert f"{run.parent / 'smal'} is not a run directory" in message
    assert str(run) in message


def test_a_wrong_query_fails_with_the_words_of_the_database(run: Path) -> None:
    assert "no_such_table" in refused("stats", run, "--sql", "select * from no_such_table")
    assert "named a" in refused("stats", run, "--sql", "select 1 as a, 2 as a")


def test_a_query_reads_nothing_but_the_ledger(run: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    assert "disabled" in refused("stats", run, "--sql", f"from read_csv('{secret}')")


def test_every_line_of_the_funnel_adds_up_and_tells_what_was_routed_past(run: Path) -> None:
    funnel = {line["stage"]: line for line in document("stats", run, "--json")["funnel"]}
    assert list(funnel) == ["ingest", "screen", "dedup", "gate1", "gate2", "synthesize", "validate"]
    for line in funnel.values():
        assert line["n_in"] == line["kept"] + line["rejected"] + line["quarantined"]
    assert [line["past"] for line in funnel.values()] == [0, 0, 0, 0, 0, 3, 3]
    assert all(line["cpu_seconds"] == 2.5 for line in funnel.values())


def test_stats_tells_gates_yield_tools_and_cost(run: Path) -> None:
    told = document("stats", run, "--json")
    assert {row["right"]: row["gate1"] for row in told["gates"]} == {**dict.fromkeys(range(9), 0), 1: 9, 8: 1}
    assert sum(row["gate2"] for row in told["gates"]) == 9
    assert told["yield_by_teacher"][0]["valid"] == 6
    assert told["tool_mix"][0]["n"] == 12
    assert [row["model_calls"] for row in told["cost"]] == [96] * 7


def test_the_formats_of_a_query_agree(run: Path) -> None:
    query = ["stats", run, "--sql", "select trajectory_id, verdict, n_turns from trajectories order by 1"]
    rows = document(*query, "--format", "json")
    assert rows == document(*query, "--json")
    read = list(csv.DictReader(io.StringIO(call(*query, "--format", "csv").stdout)))
    assert [{**row, "n_turns": int(row["n_turns"])} for row in read] == rows
    assert len(call(*query, "--format", "markdown").stdout.splitlines()) == len(rows) + 2
    table = call(*query).stdout.splitlines()
    assert all(row["trajectory_id"] in line for row, line in zip(rows, table[2:], strict=False))


def test_all_tables_do_not_fit_one_csv(run: Path) -> None:
    assert "--sql" in refused("stats", run, "--format", "csv")


def test_tables_fit_100_columns_when_piped(run: Path) -> None:
    for command in ("stats", "status"):
        lines = call(command, run).stdout.splitlines()
        assert max(map(len, lines)) <= 100
        assert all(line == line.rstrip() for line in lines)


NARROW = {"COLUMNS": "80"}


def test_a_narrow_terminal_breaks_no_id_no_number_and_no_header(run: Path) -> None:
    query = "select trajectory_id, question_id, 'some words of a text that is long' as told from trajectories"
    rows = document("stats", run, "--sql", query, "--json")
    lines = CliRunner(env=NARROW).invoke(make_app(), ["stats", str(run), "--sql", query]).stdout.splitlines()
    assert lines[0].split() == ["trajectory_id", "question_id", "told"]
    for one in rows:
        assert any(one["trajectory_id"] in line and one["question_id"] in line for line in lines)


def test_tables_of_a_run_fit_a_narrow_terminal_without_breaking_a_name(run: Path) -> None:
    text = CliRunner(env=NARROW).invoke(make_app(), ["stats", str(run)]).stdout
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for name in ("quarantined", "synthesize", "trajectory", "too_easy", "all runs"):
        assert name in text
    # The small run has no `decontaminate`, the longest name of a stage.
    columns = ["decontaminate", "trajectory", "106", "106", "106", "10", "106", "100.0", "106.5"]
    headers = ["stage", "unit", "in", "kept", "rejected", "quarantined", "past", "pass %", "CPU s, all runs"]
    assert sum(column_widths(headers, [[cell] for cell in columns], 80)) + GAP * (len(headers) - 1) <= 80


def test_widths_are_what_is_asked_for_until_words_would_break() -> None:
    text, identity = "a text of words " * 20, "f" * 64
    assert column_widths(["t"], [[text]], 50) == [50]
    assert column_widths(["t", "n"], [["short"], ["1"]], 50) == [5, 1]
    assert column_widths(["t", "i"], [[text], [identity]], 80) == [80 - GAP - 64, 64]
    assert column_widths(["right_without_call", "i"], [[text], [identity]], 80) == [len("right_without_call"), 64]
    assert column_widths(["t"], [[f"see {identity} and go on reading"]], 40) == [64]
    assert column_widths(["t"], [["x" * 500]], 40) == [64]
    assert column_widths(["CPU s, all runs"], [["1.5"]], 9) == [9]


def test_a_table_is_broken_no_more_than_it_takes_to_fit() -> None:
    columns = [["gate2, with tools"], ["reader/careful/3+da2d61aa80af"], ["1,234.5"]]
    headers = ["asked", "model", "prompt_tokens"]
    assert fitted(headers, columns, 80) == (headers, columns, [17, 29, 13])
    narrower = fitted(headers, columns, 60)
    assert (narrower.columns, sum(narrower.widths) + 2 * GAP) == (columns, 60)
    narrowest = fitted(headers, columns, 36)
    assert sum(narrowest.widths) + 2 * GAP <= 36
    assert narrowest.headers[2].split("\n") == ["prompt_", "tokens"]
    assert narrowest.columns[1] == ["reader/\ncareful/3+\nda2d61aa80af"]
    assert narrowest.columns[2] == columns[2]
    assert fitted(headers, columns, 36, whole=True) == (headers, columns, [17, 29, 13])


def test_the_funnel_and_the_cost_say_what_they_add_up(run: Path) -> None:
    text = call("stats", run, "--format", "markdown").stdout
    assert "| CPU s, all runs |" in text
    assert "| wall s | CPU s |" in text
    assert "killed" in next(line for line in text.splitlines() if line.startswith("### Cost"))
    # Of one invocation, so not of all.
    assert "all runs" not in call("stats", run, "--sql", "select stage, cpu_seconds from cost").stdout


def test_a_query_is_one_statement(run: Path) -> None:
    assert "2 statements" in refused("stats", run, "--sql", "select 1; select 2")
    assert document("stats", run, "--sql", "select ';' as a; -- x; y", "--json") == [{"a": ";"}]
    assert "syntax error" in refused("stats", run, "--sql", "selec 1; select 2")


def test_a_run_tells_what_was_quarantined_and_which_exports_are_empty(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = (Shard("rl", "verl", 0, 10), Shard("sft", "llamafactory", 3, 10))
    print_summary(RunSummary(run, (), shards, 1.0, CallCounts(), Spent()))
    lines = capsys.readouterr().out.splitlines()
    (told,) = (line for line in lines if line.startswith("quarantined:"))
    assert told.startswith("quarantined: ingest bad_image 1, such as ")
    assert told.endswith(f"(coldforge show {run} {row(0).id[:12]})")
    (empty,) = (line for line in lines if line.startswith("no rows for "))
    assert "rl/verl" in empty
    assert "sft" not in empty


def test_a_run_without_a_row_says_so_and_is_no_success(recipe: Path, tmp_path: Path) -> None:
    finished = RunSummary(tmp_path / "run", (), (), 1.0, CallCounts(), Spent())
    some, none = Shard("sft", "llamafactory", 1, 10), Shard("rl", "verl", 0, 10)
    finished.require_rows()
    replace(finished, shards=(some, none)).require_rows()
    with pytest.raises(CheckError, match=f"{tmp_path / 'run'}: no row came out"):
        replace(finished, shards=(none, none)).require_rows()
    # The recipe's rows have no picture, and the embedded model does nothing but look.
    told = call("run", recipe, "--out", tmp_path / "run", "--store", tmp_path / "store")
    assert told.exit_code == 3, told.output
    assert "no row came out, no export is written" in told.stderr
    assert "finished in" in told.stdout
    assert "it finished, and no row came out" in refused("export", tmp_path / "run", "--store", tmp_path / "store")


def test_what_a_model_wrote_does_not_drive_the_terminal(run: Path) -> None:
    for words in (["--sql", "select answer from trajectories"], ["--sql", 'select 1 as "\x1b[2J"']):
        output = call("stats", run, *words).stdout
        assert "\x1b" not in output
        assert "\\x1b[2J" in output
    assert visible("a\x1b[2Jb\u202ec\td\n") == "a\\x1b[2Jb\\u202ec\td\n"


def test_status_tells_what_is_done_and_what_comes_next(run: Path) -> None:
    stages = {stage["stage"]: stage for stage in document("status", run, "--json")["stages"]}
    assert stages["gate1"]["state"] == "done"
    assert (stages["gate1"]["units"], stages["gate1"]["of"], stages["gate1"]["records"]) == (4, 4, 10)
    assert stages["publish"]["state"] == "not started"
    assert "nobody works here" in call("status", run).stdout
    assert "next is decontaminate" in call("status", run).stdout


def test_a_stage_without_its_manifest_is_unfinished(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    next(copy.glob("stages/validate/*/stage.json")).unlink()
    stages = {stage["stage"]: stage for stage in document("status", copy, "--json")["stages"]}
    assert (stages["validate"]["state"], stages["validate"]["units"]) == ("unfinished", 4)
    funnel = {line["stage"]: line for line in document("stats", run, "--json")["funnel"]}
    assert stages["validate"]["records"] == funnel["validate"]["n_in"]


def test_status_tells_which_process_works_at_what_and_takes_no_turn_from_it(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    with turn(copy / ".lock", wait=False):
        told = document("status", copy, "--json")
        assert told["process"] == os.getpid()
        assert [stage["stage"] for stage in told["stages"] if stage["state"] == "running"] == ["decontaminate"]
        assert f"process {os.getpid()} is at decontaminate" in call("status", copy).stdout
    assert document("status", copy, "--json")["process"] is None


def test_a_run_whose_rows_are_not_written_down_yet_is_being_prepared(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "stages").mkdir(parents=True)
    with turn(copy / ".lock", wait=False):
        told = call("status", copy).stdout
        assert f"process {os.getpid()} is preparing the run" in told
        assert {stage["state"] for stage in document("status", copy, "--json")["stages"]} == {"not started"}
    assert "nobody works here; next is ingest" in call("status", copy).stdout


def test_status_and_stats_tell_nothing_twice(run: Path) -> None:
    status = {name for stage in document("status", run, "--json")["stages"] for name in stage}
    funnel = {name for line in document("stats", run, "--json")["funnel"] for name in line}
    assert status & funnel == {"stage"}


def test_a_run_that_never_ended_has_no_ledger_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "new" / "stages").mkdir(parents=True)
    assert "coldforge status" in refused("stats", tmp_path / "new")


def test_a_plan_names_every_reference_that_is_wrong(recipe: Path, tmp_path: Path) -> None:
    changes = [
        "prompts.name=none",
        "benchmarks=[no_benchmark]",
        "models.base={backend: openai, model: m, served_name: m, base_url: 'http://127.0.0.1:9/v1'}",
    ]
    words = ["plan", recipe, "--out", tmp_path / "out", *(word for change in changes for word in ("--set", change))]
    told = document(*words, "--json", code=2)
    wrong = {check["what"]: check["detail"] for check in told["checks"] if check["finding"] == "wrong"}
    assert "none" in wrong["prompts"]
    assert "no_benchmark" in wrong["benchmarks no_benchmark"]
    assert "base_url" in wrong["models.base"]
    assert not (tmp_path / "out").exists()


def test_a_plan_counts_the_rows_and_what_they_cost(recipe: Path, tmp_path: Path) -> None:
    words = ["plan", recipe, "--out", tmp_path / "out", "--set", "gate.k=5", "--limit", 2, "--json"]
    told = document(*words)
    assert [check["what"] for check in told["checks"] if check["finding"] != "ok"] == ["guard list"]
    assert told["rows"] == 2
    assert any("3 rows" in check["detail"] for check in told["checks"])
    gate1, gate2, synthesize = told["stages"]
    assert (gate1["stage"], gate1["calls"], gate1["calls_at_most"]) == ("gate1", 2 * 5, 3 * 2 * 5)
    assert gate2["calls_at_most"] == 2 * 5 * (9 + 1)  # turns, and the fresh arm
    assert synthesize["calls_at_most"] == 2 * 4 * 9  # attempts, turns
    assert (gate1["cost"], gate1["hours"], told["pilot"], told["diff"]) == (None, None, None, None)
    assert told["totals"]["calls"] == sum(stage["calls"] for stage in told["stages"])
    printed = call("plan", recipe, "--out", tmp_path / "out", "--set", "runtime.budget.max_calls=30").stdout
    assert "measures instead" in printed
    said = " ".join(printed.split())
    assert all(f"{name.replace('_', ' ')} {value:g}" in said for name, value in told["assumptions"].items())
    # 3 rows asked 8 times are 24 calls; the second gate's 2 questions take 48, of which 6 are left.
    assert "runtime.budget.max_calls 30 would be reached in gate2" in printed


def write_rows(recipe: Path, *changes: dict[str, object]) -> None:
    """Write a source whose rows are right but for the changes; a field changed to None is left out."""
    base = {"category": "reasoning", "text": "1 + 1?", "answers": ["2"], "answer_type": "number"}
    rows = [{"row": str(n), **base, **change} for n, change in enumerate(changes)]
    lines = (json.dumps({name: value for name, value in row.items() if value is not None}) for row in rows)
    (recipe.parent / "own" / "rows.jsonl").write_text("\n".join(lines))


def planned_source(recipe: Path, code: int) -> Check:
    return planned_check(recipe, "sources.0", code)


def planned_check(recipe: Path, what: str, code: int = 0, *changes: str) -> Check:
    words = [word for change in changes for word in ("--set", change)]
    told = document("plan", recipe, "--out", recipe.parent / "out", "--json", *words, code=code)
    return next(Check(**check) for check in told["checks"] if check["what"].startswith(what))


def test_a_plan_tells_of_rows_that_no_export_will_hold_before_they_are_paid_for(recipe: Path) -> None:
    write_rows(recipe, {}, {})
    assert planned_check(recipe, "rights").finding == "ok"
    manifest = recipe.parent / "own.yaml"
    manifest.write_text(manifest.read_text().replace("}", ", redistributable: false}"))
    check = planned_check(recipe, "rights")
    assert check.finding == "note"
    assert "pictures of own may not be passed on" in check.detail
    assert planned_check(recipe, "rights", 0, "export.withheld_images=keep").finding == "ok"
    assert "none.yaml cannot be read" in planned_check(recipe, "rights", 2, "rights.tombstones=none.yaml").detail


def test_a_plan_refuses_a_source_without_one_row_that_can_be_used(recipe: Path) -> None:
    misspelt: dict[str, object] = {"answer_type": None, "answertype": "number"}
    write_rows(recipe, misspelt, misspelt, {"images": ["gone.png"]})
    check = planned_source(recipe, code=2)
    assert check.finding == "wrong"
    assert check.detail.startswith('3 of 3 rows cannot be used; first: row "0": row_field: answer_type')


def test_a_plan_counts_rows_that_cannot_be_used_by_reason(recipe: Path) -> None:
    (recipe.parent / "own" / "here.png").write_bytes(b"not looked into")
    wrong: tuple[dict[str, object], ...] = ({"images": ["gone.png"]}, {"images": ["gone.png"]}, {"text": ""})
    write_rows(recipe, {}, {"images": ["here.png"]}, *wrong, {"images": ["../own.yaml"]})
    check = planned_source(recipe, code=0)
    assert check.finding == "note"
    first, example = check.detail.splitlines()
    assert first.endswith("4 of 6 rows cannot be used (image_missing 2, row_field 1, image_path 1)")
    assert example.startswith('such as row "2": image_missing')


def test_a_plan_takes_pictures_by_url_for_usable_where_they_are_to_be_fetched(recipe: Path) -> None:
    write_rows(recipe, {"images": ["https://example.org/a.png"]}, {"images": ["../own.yaml"]})
    assert "2 of 2 rows cannot be used" in planned_source(recipe, code=2).detail
    recipe.write_text(recipe.read_text().replace("source: own.yaml", "source: own.yaml, fetch: {}"))
    assert "1 of 2 rows cannot be used (image_path 1)" in planned_source(recipe, code=0).detail


def test_of_a_large_source_a_sample_tells_how_many_rows_cannot_be_used(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 20_000
    text = '{"row": "%d", "category": "reasoning", "text": "%d + 1?", "answers": ["%s"], "answer_type": "%s"}'
    lines = (text % (n, n, n + 1, "numeral" if n % 5 == 0 else "number") for n in range(rows))
    (recipe.parent / "own" / "rows.jsonl").write_text("\n".join(lines))
    looked_at = list[str]()

    def looking(row: SourceRow, *where: object) -> RowError | None:
        looked_at.append(row.id)
        return check_row(row, *where)  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.sources.questions.check_row", looking)
    check = planned_source(recipe, code=0)
    found = re.search(r"20,000 rows in .*; (\d+) of 1,000 rows looked at, of 20,000, cannot be used", check.detail)
    assert found is not None
    assert 160 < int(found[1]) < 240  # 200, and three standard deviations
    assert len(looked_at) == 1_000


def test_a_plan_can_ask_no_server(recipe: Path) -> None:
    away = {"backend": "openai", "model": "m@1", "served_name": "m", "base_url": "http://127.0.0.1:1/v1"}
    changes = (f"models.base={json.dumps(away)}", 'runtime.sandbox={"url": "http://127.0.0.1:1"}')
    asked = ["plan", recipe, "--json", *(part for change in changes for part in ("--set", change))]
    assert document(*asked, code=2)["totals"] is None
    told = document(*asked, "--offline")
    assert {c["what"]: c["finding"] for c in told["checks"] if "--offline" in c["detail"]} == {
        "models.base": "note",
        "sandbox": "note",
    }
    assert told["totals"]["calls"] > 0
    assert "--pilot asks the models" in refused("plan", recipe, "--offline", "--pilot", 2)


def test_a_replay_tells_trajectories_that_come_out_otherwise(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "runs" / "small"))
    (copy / "recipe.yaml").write_text(RECIPE)
    BlobStore(tmp_path / "runs" / ".store" / "blobs").put(PIXELS.getvalue())
    told = document("replay", copy, "--json", code=3)
    # The cell prints the size of the image; what was recorded is something else.
    assert told["verdicts"] == {"nondeterministic": 6}
    assert sorted(told["wrong"]) == sorted(one["trajectory_id"] for one in told["trajectories"])


def test_verify_refuses_a_directory_without_exports(tmp_path: Path) -> None:
    assert "holds no export" in refused("verify", tmp_path)
    assert "not a directory" in refused("verify", tmp_path / "none")


def test_verify_of_a_run_means_its_exports(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    assert "has not published yet" in refused("verify", tmp_path)
    (tmp_path / "export").mkdir()
    assert f"{tmp_path / 'export'} holds no export" in refused("verify", tmp_path)


def test_doctor_finds_our_files_to_be_ours() -> None:
    result = call("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(result.stdout)["checks"]}
    for package in ("pipeline", "filters", "flows"):
        assert checks[f"files of {package}"]["finding"] == "ok", checks
    assert checks["packages"]["finding"] == "ok"
    assert result.exit_code == (3 if any(check["finding"] == "wrong" for check in checks.values()) else 0)


def test_a_check_that_cannot_look_is_wrong_and_says_why() -> None:
    def look() -> str:
        raise InfrastructureError("server is down")

    assert checked("server", look) == Check("server", "wrong", "server is down")


def test_schema_prints_all_or_one_and_names_what_there_is() -> None:
    shapes = document("schema")
    assert shapes["Question"] == document("schema", "question")
    assert {"name": "answers", "nullable": True, "type": "list<item: string>"} in shapes["Question"]["arrow"]
    assert "student" in shapes["recipe"]["properties"]
    assert "Trajectory" in refused("schema", "nothing")


@pytest.mark.parametrize(
    ("command", "said"), [("run", "stopped; run the same command again to resume\n"), ("other", "stopped\n")]
)
def test_an_interrupt_ends_with_130_and_one_line(command: str, said: str) -> None:
    app = typer.Typer(cls=Commands)

    def interrupted() -> None:
        raise KeyboardInterrupt

    app.command("run")(interrupted)
    app.command("other")(interrupted)
    result = CliRunner().invoke(app, [command])
    assert (result.exit_code, result.stderr) == (130, said)


def test_a_reader_that_stops_early_causes_no_noise(run: Path) -> None:
    script = "from flows.cli.main import main; main()"
    query = "select * from range(200000)"
    command = [sys.executable, "-c", script, "stats", str(run), "--sql", query, "--format", "csv"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_shares_of_a_pilot_are_percentages_like_their_rate() -> None:
    table = Table("rates", "", ("pass_rate", "low", "high"), ((0.5, 0.2366, 0.7634),))
    assert markdown_text(table) == "| goes on % | low % | high % |\n| ---: | ---: | ---: |\n| 50.0 | 23.7 | 76.3 |\n"
    # A column of the same name elsewhere is what it is.
    assert "0.2366" in markdown_text(table._replace(name="query"))


def test_what_an_accepted_row_has_cost_fits_a_terminal_of_100() -> None:
    columns = ("grouped_by", "name", "sft_rows", "rl_rows", "gate_tokens", "synthesis_tokens", "tokens_per_row")
    row = ("teacher", "reader/careful/2+da2d61aa80af", 46, 0, 1_586_877, 318_965, 41_431)
    shown = Console(width=200, file=io.StringIO())
    shown.print(rich_table(Table("cost_per_row", "", columns, (row,)), width=100, short_ids=True))
    assert isinstance(shown.file, io.StringIO)
    lines = [line.rstrip() for line in shown.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 100
    assert "1,586,877" in lines[-1]


def test_markdown_and_csv_keep_cells_apart() -> None:
    table = Table("t", "", ("a|b", "n"), (("x|y\nz", 1), (None, 2)))
    assert markdown_text(table) == "| a\\|b | n |\n| --- | ---: |\n| x\\|y<br>z | 1 |\n|  | 2 |\n"
    assert list(csv.reader(io.StringIO(csv_text(table)))) == [["a|b", "n"], ["x|y\nz", "1"], ["", "2"]]


def test_values_that_json_has_no_word_for_become_plain() -> None:
    assert plain(float("nan")) is None
    assert plain({"a": (b"\x01", None)}) == {"a": ["01", None]}


def finished(units: int) -> Finished:
    return Finished(
        name="ingest",
        version=1,
        fingerprint="0" * 64,
        input="0" * 64,
        settings={},
        model="",
        counts={"kept": 2 * units, "rejected": 1},
        directory=Path(),
        parts=tuple(Part(Range(number, units), "0" * 64) for number in range(units)),
        reused=1,
    )


def drive(progress: Progress) -> None:
    """A stage of eight units that finish on several threads."""
    result = finished(8)
    progress.stage_started("gate1", lambda: Figures(stage="gate1", rows=17, done=16, reused=4, paid=1_200, stored=3))
    with ThreadPoolExecutor(4) as threads:
        units = [UnitResult(part, number < 2, {"kept": 2}) for number, part in enumerate(result.parts)]
        list(threads.map(lambda unit: progress.unit_done("gate1", unit), units))
        list(threads.map(lambda _: progress.tick(), units))
    progress.note("ledger rebuilt")
    progress.stage_done("gate1", result, 1.26)


def test_progress_is_plain_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=100)
    with shown_progress(console) as progress:
        drive(progress)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "gate1         17 rows",
        "ledger rebuilt",
        "gate1         16 kept, 1 rejected in 1.3 s; 1,200 calls, 3 from the store; 4 rows done before",
    ]


def test_a_long_stage_tells_how_far_it_is_after_a_minute_of_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    console, clock = Console(file=io.StringIO(), width=100), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    lines, now = LineProgress(console), [Figures(stage="screen", rows=100)]
    lines.stage_started("screen", lambda: now[0])
    later = "screen        2 of 100 rows: 40 calls, 1 kept, 1 rejected"
    for seconds, told in ((59, ""), (61, "screen        0 of 100 rows: 40 calls"), (100, ""), (122, later)):
        console.file = io.StringIO()
        clock[0], now[0] = seconds, now[0].model_copy(update={"paid": 40})
        if seconds > 100:
            now[0] = now[0].model_copy(update={"done": 2, "outcomes": {"kept": 1, "rejected": 1}})
        lines.tick()
        assert console.file.getvalue().strip() == told


def test_progress_is_bars_on_a_terminal_and_leaves_one_line_per_stage() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, highlight=False)
    with shown_progress(console) as progress:
        drive(progress)
    assert isinstance(console.file, io.StringIO)
    assert "16 kept, 1 rejected in 1.3 s" in console.file.getvalue()
    drive(SilentProgress())


def test_every_command_shows_an_example_of_itself() -> None:
    app = make_app()
    names = [info.name for info in app.registered_commands] + [info.name for info in app.registered_groups]
    assert len(names) == len(set(names))
    within = [
        (str(group.name), str(one.name or one.callback.__name__))
        for group in app.registered_groups
        if group.typer_instance
        for one in group.typer_instance.registered_commands
        if one.callback
    ]
    for words in [*((str(name),) for name in names), *within]:
        told = " ".join(CliRunner().invoke(app, [*words, "--help"]).output.split())
        assert told.count("Example: coldforge ") == 1
        assert f"Example: coldforge {' '.join(words)}" in told
