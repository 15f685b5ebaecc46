"""Every fault is made on a copy of good exports; the check must name the file and, where there is one, the row."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.export import layout
from pipeline.export.building import write_file
from pipeline.export.formats import llamafactory
from pipeline.export.layout import MANIFEST, ROWS
from pipeline.export.rows import RlRow, SftRow
from pipeline.export.verify.exports import Problem, verify_exports
from tests.support.export_rows import (
    RL,
    SFT,
    attempt,
    context,
    data_file,
    publish,
    publish_rl,
    publish_sft,
    rl_row,
    rl_rows,
    sft_row,
    sft_rows,
    step,
)
from tests.support.forged import Row, forge, rows_of

PARQUET = "data/train-00000-of-00001.parquet"
PART = "train-00000.json"
LINES = "train-00000.jsonl"
EVERY_SFT = {
    *((f"sft/{kind}", PARQUET) for kind in ("huggingface", "trl", "verl")),
    ("sft/llamafactory", PART),
    ("sft/ms_swift", LINES),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("base")


@pytest.fixture(scope="module")
def good(base: Path) -> Path:
    blobs = context(base).blobs
    return publish(base / "export", sft_rows(blobs, 6), rl_rows(blobs, 4), base)


@pytest.fixture
def export(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "export"))


def plain(name: str) -> str:
    """A file's name without the content that data files are named by."""
    return re.sub("-[0-9a-f]{12}-", "-", name)


def found(root: Path) -> list[Problem]:
    return [p._replace(file=plain(p.file)) for p in verify_exports(root).problems]


def problems(root: Path) -> set[tuple[str, str, int | None]]:
    return {(p.export, p.file, p.row) for p in found(root)}


def messages(root: Path, row: int) -> list[str]:
    return [p.message for p in verify_exports(root).problems if p.row == row]


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x01
    path.write_bytes(content)


def test_the_good_exports_have_no_problem_together_and_one_by_one(good: Path) -> None:
    assert verify_exports(good).ok
    for manifest in good.rglob(MANIFEST):
        assert verify_exports(manifest.parent).ok


def test_a_flipped_byte_of_an_image_file_names_the_image_and_its_row(export: Path) -> None:
    root = export / "sft/llamafactory"
    row = next(i for i, row in enumerate(rows_of(data_file(root))) if row["images"])
    image = rows_of(data_file(root))[row]["images"][0]
    flip(root / image, (root / image).stat().st_size // 2)
    assert {("sft/llamafactory", image, None), ("sft/llamafactory", PART, row)} <= problems(export)


@pytest.mark.parametrize("name", ["sft/huggingface", "rl/huggingface", "rl/deepeyesv2", "rl/verl"])
def test_a_flipped_byte_of_an_embedded_image_names_file_and_row(name: str, export: Path) -> None:
    path = data_file(export / name)
    rows = rows_of(path)
    for number in [i for i, row in enumerate(rows) if row["images"]]:
        content = rows[number]["images"][-1]["bytes"]
        where = path.read_bytes().rindex(content)
        flip(path, where + len(content) // 2)
        assert problems(export) == {(name, PARQUET, None), (name, PARQUET, number)}
        flip(path, where + len(content) // 2)


def test_a_flipped_byte_of_compressed_text_names_file_and_the_rows_of_its_group(export: Path) -> None:
    path = data_file(export / "rl/verl")
    column = next(
        c for c in _columns(path) if c["path_in_schema"] == "prompt.list.element.content" and c["compression"] == "ZSTD"
    )
    flip(path, column["data_page_offset"] + column["total_compressed_size"] - 10)
    assert ("rl/verl", PARQUET, None) in problems(export)
    assert any(row is not None for _, file, row in problems(export) if file == PARQUET)


def _columns(path: Path) -> list[dict[str, Any]]:
    group = pq.ParquetFile(path).metadata.row_group(0)
    return [group.column(i).to_dict() for i in range(group.num_columns)]


def test_a_flipped_byte_of_a_row_names_file_and_row(export: Path) -> None:
    path = data_file(export / "sft/llamafactory")
    lines = path.read_bytes().split(b"\n")
    for row in range(6):
        middle = sum(len(line) + 1 for line in lines[: row + 1]) + len(lines[row + 1]) // 2
        flip(path, middle)
        assert ("sft/llamafactory", PART, row) in problems(export)
        flip(path, middle)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_byte_of_whatever_file_changes_its_file_is_named(data: st.DataObject, good: Path) -> None:
    files = sorted(path for path in good.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    position = data.draw(st.integers(0, path.stat().st_size - 1))
    # The README of a shard stands beside its exports.
    export = next((place for place in path.parents if (place / MANIFEST).exists()), path.parent)
    original = path.read_bytes()
    flip(path, position)
    try:
        wrong = verify_exports(good).problems
    finally:
        path.write_bytes(original)
    name = path.relative_to(export).as_posix()
    # A manifest has no hash of itself; what it says is checked against the files, and the rest is for people.
    assert name == MANIFEST or any(p.file == name and good / p.export == export for p in wrong)


def unlist(file: Path, manifest: Row) -> None:
    file.unlink()
    manifest.update(files=[told for told in manifest["files"] if told["path"] != f"kit/{file.name}"])


def list_more(file: Path, manifest: Row) -> None:
    file.with_name("more.sh").write_bytes(b"true\n")
    manifest["files"].append({**manifest["files"][0], "path": "kit/more.sh", "rows": None})


KIT_LIES: dict[str, Callable[[Path, Row], object]] = {
    "is not what the kit": lambda file, _: file.write_bytes(file.read_bytes() + b"# or so\n"),
    "is missing": unlist,
    "is no file of the kit": list_more,
}
"""What is said → what was done to a file of a kit and its manifest."""
KITS = (
    *(("sft/llamafactory", "train.yaml"), ("sft/ms_swift", "train.sh"), ("sft/trl", "train_sft.py")),
    *(("sft/verl", "train_sft.sh"), ("rl/trl", "reward.py"), ("rl/verl", "kit.json"), ("rl/deepeyesv2", "launch.sh")),
)


def relisted(export: Path, manifest: Row) -> None:
    """Write a manifest that has the hashes of the files that it lists."""
    for told in manifest["files"]:
        content = (export / told["path"]).read_bytes()
        told.update(sha256=hashlib.sha256(content).hexdigest(), nbytes=len(content))
    (export / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(("name", "file"), KITS)
@pytest.mark.parametrize("said", KIT_LIES)
def test_a_kit_is_what_its_manifest_makes_whatever_the_hashes(said: str, name: str, file: str, export: Path) -> None:
    manifest = json.loads((export / name / MANIFEST).read_text())
    KIT_LIES[said](export / name / "kit" / file, manifest)
    relisted(export / name, manifest)
    ((where, what, row, message),) = verify_exports(export).problems
    assert (where, row) == (name, None)
    assert what == ("kit/more.sh" if said == "is no file of the kit" else f"kit/{file}")
    assert message.startswith(said)


SAID: dict[str, Callable[[Row], object]] = {
    "licence": lambda manifest: manifest["sources"]["drawn"].update(licence="MIT"),
    "attribution": lambda manifest: manifest["sources"]["drawn"].update(attribution="somebody"),
    "passed on": lambda manifest: manifest["sources"]["drawn"].update(redistributable=True),
    "a source more": lambda manifest: manifest["sources"].update(other=manifest["sources"]["drawn"]),
    "benchmarks": lambda manifest: manifest.update(benchmarks={"all of them": "checked"}),
    "prompts": lambda manifest: manifest["prompts"].update({"teacher/tools": "c" * 64}),
    "name": lambda manifest: manifest.update(name="another"),
    "corpus": lambda manifest: manifest.update(corpus="drawn"),
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("name", ["sft/trl", "rl/huggingface"])
def test_what_a_manifest_says_and_its_readme_does_not_is_found(said: str, name: str, export: Path) -> None:
    manifest = json.loads((export / name / MANIFEST).read_text())
    SAID[said](manifest)
    relisted(export / name, manifest)
    assert any(one.file == MANIFEST and "says otherwise than README.md" in one.message for one in found(export))


@pytest.mark.parametrize("field", ["rows", "splits", "files"])
def test_a_summary_of_other_rows_is_found(field: str, export: Path) -> None:
    manifest = json.loads((export / "rl/verl" / MANIFEST).read_text())
    manifest["summary"][field] = {"rows": 5, "splits": {"train": 5}, "files": {}}[field]
    relisted(export / "rl/verl", manifest)
    assert {("rl/verl", MANIFEST, None)} <= problems(export)


def test_a_kit_of_another_version_is_held_to_its_hashes_alone(export: Path) -> None:
    manifest = json.loads((export / "rl/verl" / MANIFEST).read_text())
    manifest["summary"]["version"] = "0.0.1"
    (export / "rl/verl/kit/launch.sh").write_text("true")
    (export / "rl/verl" / MANIFEST).write_text(json.dumps(manifest))
    assert problems(export) == {("rl/verl", "kit/launch.sh", None)}
    relisted(export / "rl/verl", manifest)
    assert verify_exports(export).ok


MANIFEST_LIES: dict[str, Callable[[Row], object]] = {
    "schema": lambda m: m.update(schema=1),
    "shard": lambda m: m.update(shard="rl"),
    "format": lambda m: m.update(format="verl"),
    "rows": lambda m: m.update(rows=m["rows"] + 1),
    "content": lambda m: m.update(content="0" * 64),
    "dialect": lambda m: m.update(dialect="other"),
    "image_max_pixels": lambda m: m.update(image_max_pixels=1),
    "files": lambda m: m["files"].pop(0),
    "sha256": lambda m: m["files"][0].update(sha256="0" * 64),
    "nbytes": lambda m: m["files"][0].update(nbytes=1),
    "unknown field": lambda m: m.update(extra=1),
}


@pytest.mark.parametrize("lie", MANIFEST_LIES)
def test_a_manifest_that_lies_is_found(lie: str, export: Path) -> None:
    path = export / "sft/huggingface" / MANIFEST
    manifest = json.loads(path.read_text())
    MANIFEST_LIES[lie](manifest)
    path.write_text(json.dumps(manifest))
    assert any(p.export == "sft/huggingface" for p in verify_exports(export).problems)


def test_a_removed_image_names_the_image_and_its_row(export: Path) -> None:
    root = export / "sft/llamafactory"
    row = next(i for i, row in enumerate(rows_of(data_file(root))) if row["images"])
    image = rows_of(data_file(root))[row]["images"][0]
    (root / image).unlink()
    assert problems(export) == {("sft/llamafactory", image, None), ("sft/llamafactory", PART, row)}


def test_an_rl_row_published_in_sft_is_named_in_every_format(export: Path, base: Path) -> None:
    rows = sft_rows(context(base).blobs, 6)
    stolen = rl_row(rows[2].question)
    others = rl_rows(context(base).blobs, 4)
    publish_rl(export / "rl", [*others, stolen], ["huggingface"], context(base))
    for kind in set(RL) - {"huggingface"}:
        shutil.rmtree(export / "rl" / kind)
    wrong = found(export)
    assert {(p.export, p.file) for p in wrong} == EVERY_SFT
    keys = [json.loads(line) for line in (export / "sft/llamafactory" / ROWS).read_text().splitlines()]
    assert all(keys[p.row or 0]["question_id"] == stolen.question.id for p in wrong)
    assert all("is in rl/huggingface as well" in p.message for p in wrong)


def test_another_question_of_an_rl_cluster_in_sft_is_named(export: Path, base: Path) -> None:
    rows = sft_rows(context(base).blobs, 6)
    shared = rl_rows(context(base).blobs, 4)[1].cluster_id
    rows[3] = sft_row(rows[3].trajectory, rows[3].question, shared)
    publish_sft(export / "sft", rows, SFT, context(base))
    wrong = found(export)
    assert {p.export for p in wrong} == {export for export, _ in EVERY_SFT}
    assert all(f"cluster {shared}" in p.message and p.row is not None for p in wrong)


def asks_the_same(row: RlRow) -> SftRow:
    """An SFT row on the text and images of an RL row, under ids of its own."""
    asked = row.question.model_copy(update={"id": "e" * 64, "source_row": "other"})
    return sft_row(attempt(asked, (step("So.", "answer", "4"),)), asked, "another cluster")


def test_the_prompt_of_an_rl_row_in_sft_is_named_in_every_format_whatever_its_ids(export: Path, base: Path) -> None:
    stolen = asks_the_same(rl_rows(context(base).blobs, 4)[1])
    publish_sft(export / "sft", [*sft_rows(context(base).blobs, 6), stolen], SFT, context(base))
    wrong = found(export)
    assert {(p.export, p.file) for p in wrong} == EVERY_SFT
    keys = [json.loads(line) for line in (export / "sft/llamafactory" / ROWS).read_text().splitlines()]
    assert all(keys[p.row or 0]["record_id"] == stolen.trajectory.id for p in wrong)
    assert all("question (text and images)" in p.message for p in wrong)


def test_the_same_text_over_other_images_and_other_text_over_the_same_images_are_other_prompts(
    export: Path, base: Path
) -> None:
    one, two = (row.question for row in rl_rows(context(base).blobs, 2))
    rows = []
    for name, text, images in (("d", one.text, two.images), ("e", "What else?", one.images)):
        asked = one.model_copy(update={"id": name * 64, "text": text, "images": images})
        rows.append(sft_row(attempt(asked, (step("So.", "answer", "4"),)), asked, name))
    publish_sft(export / "sft", rows, SFT, context(base))
    assert verify_exports(export).ok


@pytest.mark.parametrize("name", ["sft/llamafactory", "rl/verl"])
@pytest.mark.parametrize("field", ["question_id", "cluster_id"])
def test_a_row_index_that_says_otherwise_than_another_format_is_named(name: str, field: str, export: Path) -> None:
    forge(export / name, lambda _rows: None, lambda key: {field: "x"} if key.index == 2 else {})
    wrong = found(export)
    assert any((p.export, p.row) == (name, 2) and "; in " in p.message for p in wrong)
    assert {p.row for p in wrong} == {2}


@pytest.mark.parametrize("part", ["text", "image"])
def test_a_record_that_asks_something_else_in_another_format_is_named(part: str, export: Path) -> None:
    def swap(rows: list[Row]) -> None:
        if part == "text":
            asked = rows[number]["messages"][1]
            asked["content"] = asked["content"].replace("What number", "Which number")
        else:
            rows[number]["images"][0] = next(i for row in rows for i in row["images"] if i != rows[number]["images"][0])

    number = next(i for i, row in enumerate(rows_of(data_file(export / "sft/llamafactory"))) if row["images"])
    forge(export / "sft/llamafactory", swap)
    assert verify_exports(export / "sft/llamafactory").ok
    (problem,) = found(export)
    assert (problem.export, problem.file, problem.row) == ("sft/llamafactory", PART, number)
    assert "question (text and images)" in problem.message


def test_an_rl_row_pasted_into_the_sft_file_is_named(export: Path) -> None:
    path = data_file(export / "sft/llamafactory")
    pasted = rows_of(data_file(export / "rl/huggingface"))[0]
    line = json.dumps({"id": pasted["id"], "messages": pasted["prompt"], "images": []}).encode()
    path.write_bytes(path.read_bytes().replace(b"\n]\n", b",\n" + line + b"\n]\n"))
    assert {("sft/llamafactory", PART, None), ("sft/llamafactory", PART, 6)} <= problems(export)


def _edit(row: int, change: Callable[[Row], object]) -> Callable[[list[Row]], None]:
    def edit(rows: list[Row]) -> None:
        change(rows[row])

    return edit


SFT_LIES: dict[str, tuple[Callable[[Row], object], str]] = {
    "two assistants": (lambda r: r["messages"].append({"role": "assistant", "content": "x"}), "do not alternate"),
    "ends in observation": (lambda r: r["messages"].pop(), "does not end with an assistant"),
    "role tool": (lambda r: r["messages"][1].update(role="tool"), "do not alternate"),
    "no system": (lambda r: r["messages"].pop(0), "do not alternate"),
    "quoted mark": (lambda r: r["messages"][1].update(content="<image><image><image>"), "<image> marks"),
    "content null": (lambda r: r["messages"][1].update(content=None), "not a list of {role, content}"),
    "no messages": (lambda r: r.update(messages=[]), "does not end with an assistant"),
    "free text": (lambda r: r["messages"][-1].update(content="It is 4."), "not a turn of the dialect"),
    "call last": (lambda r: r.update(messages=r["messages"][:-2]), "exactly the last is an answer"),
    "other id": (lambda r: r.update(id="f" * 64), "rows.jsonl says"),
}


@pytest.mark.parametrize("lie", SFT_LIES)
def test_a_row_that_trainers_drop_or_misread_is_named_although_every_hash_fits(lie: str, export: Path) -> None:
    change, expected = SFT_LIES[lie]
    forge(export / "sft/llamafactory", _edit(4, change))
    assert any(expected in message for message in messages(export / "sft/llamafactory", 4))
    assert {p.row for p in verify_exports(export / "sft/llamafactory").problems} == {4}


RL_LIES: dict[str, tuple[Callable[[Row], object], str]] = {
    "data source": (lambda r: r.update(data_source="charts"), "data_source is 'charts'"),
    "no question": (lambda r: r["extra_info"].update(question=None), "question is empty"),
    "no index": (lambda r: r["extra_info"].update(index=None), "rows.jsonl says"),
    "no gold": (lambda r: r["reward_model"].update(ground_truth=""), "no ground_truth"),
    "no image": (lambda r: r.update(images=[]), "has no image"),
    "other env": (lambda r: r.update(env_name="code_toolbox"), "env_name"),
    "other cluster": (lambda r: r["extra_info"].update(cluster_id="x"), "cluster_id"),
    "assistant in prompt": (lambda r: r["prompt"].append({"role": "assistant", "content": "x"}), "a prompt is one"),
    "broken image": (lambda r: r["images"][0].update(bytes=b"not an image"), "does not open"),
}


@pytest.mark.parametrize("lie", RL_LIES)
def test_an_rl_row_that_its_environment_stops_at_is_named_although_every_hash_fits(lie: str, export: Path) -> None:
    change, expected = RL_LIES[lie]
    forge(export / "rl/deepeyesv2", _edit(2, change))
    assert any(expected in message for message in messages(export / "rl/deepeyesv2", 2))


def test_columns_of_another_type_are_found(export: Path) -> None:
    path = data_file(export / "rl/verl")
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "data_source", pa.array([1, 2, 3, 4])), path)
    assert any("columns" in p.message for p in verify_exports(export).problems)


@pytest.mark.parametrize(
    "path", ["../../secret", "/etc/hostname", "images/../../x", "", ".", "a//b", "images\\x.png", "nul\0"]
)
def test_a_manifest_path_that_leaves_the_export_is_a_problem_and_never_opened(
    path: str, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = export / "sft/llamafactory" / MANIFEST
    content = json.loads(manifest.read_text())
    content["files"].append({"path": path, "sha256": "0" * 64, "nbytes": 0, "rows": None})
    manifest.write_text(json.dumps(content))
    opened: list[str] = []

    def watched(path: Path) -> str:
        opened.append(str(path))
        return layout.file_hash(path)

    monkeypatch.setattr("pipeline.export.verify.file_checks.file_hash", watched)
    assert ("sft/llamafactory", MANIFEST, None) in problems(export)
    assert all(Path(p).resolve().is_relative_to(export.resolve()) and ".." not in p for p in opened)


def test_links_and_pipes_are_problems_and_never_opened(export: Path, tmp_path: Path) -> None:
    root = export / "sft/llamafactory"
    row = next(row for row in rows_of(data_file(root)) if row["images"])
    outside = tmp_path / "outside"
    shutil.move(root / row["images"][0], outside)
    (root / row["images"][0]).symlink_to(outside)
    os.mkfifo(root / "pipe")
    wrong = problems(export)
    assert {("sft/llamafactory", row["images"][0], None), ("sft/llamafactory", "pipe", None)} <= wrong
    shutil.move(root / "images", tmp_path / "images")
    (root / "images").symlink_to(tmp_path / "images")
    assert ("sft/llamafactory", "images", None) in problems(export)


def test_an_extra_file_is_named(export: Path) -> None:
    (export / "rl/verl/data/train-00001-of-00001.parquet").write_bytes(b"")
    assert problems(export) == {("rl/verl", "data/train-00001-of-00001.parquet", None)}


def test_an_export_that_lost_its_manifest_is_named_file_by_file(export: Path) -> None:
    (export / "rl/verl" / MANIFEST).unlink()
    lost = {plain(path.relative_to(export).as_posix()) for path in (export / "rl/verl").rglob("*") if path.is_file()}
    assert problems(export) == {(".", name, None) for name in lost}


@pytest.mark.parametrize("what", ["sft", "rl/verl"])
def test_a_directory_that_is_a_link_is_named_and_not_followed(what: str, export: Path, tmp_path: Path) -> None:
    shutil.move(export / what, tmp_path / "elsewhere")
    (export / what).symlink_to(tmp_path / "elsewhere")
    report = verify_exports(export)
    assert [(p.export, p.file) for p in report.problems] == [(".", what)]
    assert not any(e.export.startswith(what) for e in report.exports)


@pytest.mark.parametrize("name", [".huggingface", ".hidden", "huggingface.old"])
def test_an_export_under_a_name_that_is_not_its_own_is_checked_and_named(name: str, export: Path) -> None:
    (export / "sft/huggingface").rename(export / "sft" / name)
    assert (f"sft/{name}", MANIFEST, None) in problems(export)
    flip(data_file(export / "sft" / name), 1_000)
    assert (f"sft/{name}", PARQUET, None) in problems(export)


@pytest.mark.parametrize("root", ["", "sft"])
def test_an_export_in_the_place_of_another_is_named(root: str, export: Path) -> None:
    shutil.rmtree(export / "sft/huggingface")
    shutil.copytree(export / "rl/huggingface", export / "sft/huggingface")
    wrong = verify_exports(export / root).problems
    name = (export / "sft/huggingface").relative_to(export / root).as_posix()
    assert any(p.export == name and p.file == MANIFEST and "says it is rl/huggingface" in p.message for p in wrong)


def test_one_export_alone_may_lie_anywhere(export: Path, tmp_path: Path) -> None:
    assert verify_exports(export.joinpath("rl/verl").rename(tmp_path / "downloaded")).ok


@pytest.mark.parametrize(
    "name", ["more.parquet", "sft/data.json", "sft/.rows", "rl/extra/rows.jsonl", ".x/y", "rl/.verl.x"]
)
def test_a_file_beside_the_exports_is_named(name: str, export: Path) -> None:
    write_file(export / name, b"[]")
    assert problems(export) == {(".", name, None)}


@pytest.mark.parametrize("name", ["rl/.verl.a1b2", "sft/.huggingface.a1b2.old"])
def test_an_export_in_the_making_is_no_problem_and_a_link_named_like_one_is(
    name: str, export: Path, tmp_path: Path
) -> None:
    write_file(export / name / PARQUET, b"half")
    assert verify_exports(export).ok
    shutil.move(export / name, tmp_path / "half")
    (export / name).symlink_to(tmp_path / "half")
    assert problems(export) == {(".", name, None)}


INFO_LIES: dict[str, Callable[[Row], object]] = {
    "tag value": lambda e: e["tags"].update(assistant_tag="gpt"),
    "tag name": lambda e: e["tags"].update(answer_tag=e["tags"].pop("assistant_tag")),
    "formatting": lambda e: e.update(formatting="alpaca"),
    "column": lambda e: e["columns"].update(messages="conversations"),
    "option": lambda e: e.update(num_samples=1),
}


@pytest.mark.parametrize("lie", INFO_LIES)
def test_dataset_info_that_makes_the_loader_read_otherwise_is_named_although_every_hash_fits(
    lie: str, export: Path
) -> None:
    root = export / "sft/llamafactory"
    info = json.loads((root / llamafactory.DATASET_INFO).read_text())
    for entry in info.values():
        INFO_LIES[lie](entry)
    (root / llamafactory.DATASET_INFO).write_text(json.dumps(info, indent=2) + "\n")
    forge(root, lambda _rows: None)
    assert problems(root) == {(".", llamafactory.DATASET_INFO, None)}


def test_dataset_info_with_a_trailing_comma_or_another_file_is_found(export: Path) -> None:
    path = export / "sft/llamafactory" / llamafactory.DATASET_INFO
    good = path.read_text()
    for bad in (good.rstrip()[:-1].rstrip() + ",\n}\n", good.replace("-00000.json", "-00001.json"), "[]"):
        path.write_text(bad)
        found = [p for p in verify_exports(export).problems if p.file == llamafactory.DATASET_INFO]
        assert len(found) == 2, found  # its hash, and what is wrong with it


def test_a_format_that_lacks_a_record_of_its_shard_is_named(export: Path, base: Path) -> None:
    rows = sft_rows(context(base).blobs, 6)
    publish_sft(export / "sft", rows[:-1], ["huggingface"], context(base))
    (problem,) = verify_exports(export).problems
    assert problem == Problem(
        "sft/huggingface",
        MANIFEST,
        None,
        f"record {rows[-1].trajectory.id} of sft/verl is missing here",
    )


def test_a_record_twice_is_named(export: Path) -> None:
    root = export / "sft/llamafactory"
    lines = (root / ROWS).read_text().splitlines()
    lines[3] = lines[2].replace('"index":2', '"index":3')
    (root / ROWS).write_text("\n".join(lines) + "\n")
    assert any("row 2 as well" in message for message in messages(export, 3))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"schema": 1}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_one_problem(content: bytes, export: Path) -> None:
    (export / "rl/verl" / MANIFEST).write_bytes(content)
    (problem,) = verify_exports(export).problems
    assert (problem.export, problem.file) == ("rl/verl", MANIFEST)


def test_a_directory_without_an_export_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no export"):
        verify_exports(tmp_path)
