"""What is wrong in one format and could not be in another: named with file and row although every hash fits."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.export.layout import CARD, MANIFEST, ROWS, Manifest
from pipeline.export.rows import RlRow, SftRow
from pipeline.export.verify.exports import verify_exports
from pipeline.export.write import publish
from tests.support.export_rows import RL, SFT, context, data_file, rl_rows, sft_rows
from tests.support.forged import Row, forge


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("base")
    own = dataclasses.replace(context(base), validation=0.3)
    rows: list[SftRow | RlRow] = [*sft_rows(own.blobs, 9), *rl_rows(own.blobs, 6)]
    publish(base / "export", rows, SFT, RL, own)
    assert verify_exports(base / "export").ok
    return base / "export"


@pytest.fixture
def export(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "export"))


def turn(number: int, **changes: object) -> Callable[[Row], object]:
    return lambda row: row["messages"][number].update(changes)


IMAGE = {"type": "image", "text": None}


def content(row: Row) -> list[Any]:
    parts: list[Any] = row["messages"][1]["content"]
    return parts


NO_PART = "parts are texts or images"
DAMAGES: Mapping[str, tuple[str, Callable[[Row], object], str]] = {
    "ms_swift: an observation is learnt": (
        "sft/ms_swift",
        turn(3, loss=True),
        "in assistant messages",
    ),
    "ms_swift: a flag is missing": ("sft/ms_swift", lambda r: r["messages"][2].pop("loss"), "in assistant messages"),
    "ms_swift: a flag is a number": ("sft/ms_swift", turn(2, loss=1), "in assistant messages"),
    "ms_swift: the answer is not learnt": ("sft/ms_swift", turn(-1, loss=False), "the answer, is not learnt"),
    "ms_swift: a call is not learnt, unsaid": ("sft/ms_swift", turn(2, loss=False), "loss tokens, what is learnt"),
    "ms_swift: no picture for a path": ("sft/ms_swift", lambda r: r["images"].append("images/none.png"), "none.png"),
    "ms_swift: a path outside": (
        "sft/ms_swift",
        lambda r: r["images"].append("../rows.jsonl"),
        "not a file of",
    ),
    "trl: a picture in no turn": ("sft/trl", lambda r: content(r).remove(IMAGE), "marks for"),
    "trl: a turn without its picture": ("sft/trl", lambda r: content(r).append(IMAGE), "marks for"),
    "trl: a part of another kind": (
        "sft/trl",
        lambda r: content(r)[0].update(type="video"),
        NO_PART,
    ),
    "trl: a text that is none": ("sft/trl", lambda r: content(r)[-1].update(text=None), NO_PART),
    "trl: an image that says something": (
        "sft/trl",
        lambda r: content(r)[0].update(text="x"),
        NO_PART,
    ),
    "trl: a literal mark": ("sft/trl", lambda r: content(r)[-1].update(text="<image>"), "marks for"),
    "trl: another category": ("sft/trl", lambda r: r.update(category="search"), "category is 'search'"),
    "trl rl: no golds": ("rl/trl", lambda r: r.update(answers=[]), "answers is empty"),
    "trl rl: no picture for a part": ("rl/trl", lambda r: r.update(images=[]), "marks for 0 images"),
    "verl sft: another question": ("sft/verl", lambda r: r.update(question_id="x"), "question id is 'x'"),
    "verl sft: a picture is no picture": ("sft/verl", lambda r: r["images"][0].update(bytes=b"x"), "does not open"),
    "verl sft: no bytes": ("sft/verl", lambda r: r["images"][0].update(bytes=None), "an image has no bytes"),
    "verl rl: another split": ("rl/verl", lambda r: r["extra_info"].update(split="test"), "split is 'test'"),
    "verl rl: other labels": (
        "rl/verl",
        lambda r: r["extra_info"].update(question_labels="{}"),
        "question_labels is",
    ),
    "verl rl: no type": ("rl/verl", lambda r: r["extra_info"].update(answer_type=""), "answer_type is empty"),
    "huggingface: no licence": ("sft/huggingface", lambda r: r.update(licence=""), "licence is empty"),
    "huggingface: another lane": ("sft/huggingface", lambda r: r.update(lane="no_call"), "lane is 'no_call'"),
    "huggingface: personal data": (
        "rl/huggingface",
        lambda r: r.update(personal_data='{"iban":1}'),
        "personal_data is",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_of_one_format_names_file_and_row_although_every_hash_fits(damage: str, export: Path) -> None:
    name, change, expected = DAMAGES[damage]
    path = export / name

    def edit(rows: list[Row]) -> None:
        number[0] = next(i for i, row in enumerate(rows) if len(row["images"]) > 1 or name.startswith("rl"))
        change(rows[number[0]])

    number = [0]
    forge(path, edit)
    found = [problem for problem in verify_exports(path).problems if problem.row is not None]
    assert any(expected in problem.message for problem in found), found
    manifest = Manifest.model_validate_json((path / MANIFEST).read_text())
    assert {(problem.file, problem.row) for problem in found} == {(manifest.file_of(number[0]), number[0])}


def test_a_row_that_stands_among_those_of_another_split_is_named(export: Path) -> None:
    path = export / "rl" / "verl"
    index = (path / ROWS).read_text().splitlines()
    number = next(n for n, line in enumerate(index) if '"split":"validation"' in line)
    index[number] = index[number].replace('"split":"validation"', '"split":"train"')
    (path / ROWS).write_text("".join(f"{line}\n" for line in index))
    told = [problem.message for problem in verify_exports(path).problems if problem.row == number]
    assert "stands among the rows of validation, rows.jsonl says train" in told


def test_a_cluster_on_both_sides_is_named(export: Path) -> None:
    path = export / "sft" / "verl"
    sides: dict[str, str] = {}
    for line in (path / ROWS).read_text().splitlines():
        sides.setdefault("validation" if '"split":"validation"' in line else "train", line)
    (one, other) = (line.split('"cluster_id":"')[1].split('"')[0] for line in sides.values())
    forge(path, lambda _rows: None, lambda key: {"cluster_id": one} if key.cluster_id == other else {})
    assert any("has split" in problem.message for problem in verify_exports(export).problems)


@pytest.mark.parametrize("text", ["", "---\nconfigs: []\n---\n"])
def test_a_shard_whose_readme_leads_elsewhere_is_named(text: str, export: Path) -> None:
    (export / "sft" / CARD).write_text(text)
    (problem,) = verify_exports(export).problems
    assert (problem.export, problem.file) == ("sft", CARD)


def test_a_file_that_is_named_by_another_content_is_named(export: Path) -> None:
    path = export / "rl" / "trl"
    old = data_file(path)
    new = old.with_name("train-0123456789ab-00000-of-00001.parquet")
    old.rename(new)
    manifest = path / MANIFEST
    manifest.write_text(manifest.read_text().replace(old.name, new.name))
    assert any("named by split and content hash" in problem.message for problem in verify_exports(path).problems)
