from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from filters.dedup.contamination import Benchmark, ContaminationSettings, benchmark_entry, kept_out
from filters.dedup.key import KEY_RECIPE
from pipeline.dialects import deepeyesv2 as dialect
from pipeline.errors import InfrastructureError, UsageError
from pipeline.export import write
from pipeline.export.formats import huggingface
from pipeline.export.formats.trl import text_of
from pipeline.export.layout import MANIFEST, ROWS, Format, Manifest, Shard, file_hash, is_json, rl_mode
from pipeline.export.parquet import IMAGES, PAGE_BYTES, ParquetFiles, hf_schema
from pipeline.export.rights import Rights
from pipeline.export.rows import RlRow, SftRow
from pipeline.export.schemas import schema_of
from pipeline.export.tombstones import Tombstones
from pipeline.export.verify.exports import verify_exports
from pipeline.images import decode, encode_png, put_image
from pipeline.records import Terms
from tests.support.command import ROOT
from tests.support.export_rows import (
    RL,
    SFT,
    TOLD,
    attempt,
    context,
    data_file,
    jpeg,
    json_rows,
    numbered,
    picture,
    publish,
    publish_rl,
    publish_sft,
    rl_row,
    rl_rows,
    sft_row,
    sft_rows,
    step,
)

ROWS_HERE = 7


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("base")


@pytest.fixture(scope="module")
def sft(base: Path) -> list[SftRow]:
    return sft_rows(context(base).blobs, ROWS_HERE)


@pytest.fixture(scope="module")
def rl(base: Path) -> list[RlRow]:
    return rl_rows(context(base).blobs, ROWS_HERE)


@pytest.fixture(scope="module")
def export(base: Path, sft: list[SftRow], rl: list[RlRow]) -> Path:
    return publish(base / "export", sft, rl, base)


def test_an_export_of_one_row_says_so(base: Path, sft: list[SftRow], rl: list[RlRow]) -> None:
    one = publish(base / "one", sft[:1], rl[:1], base)
    assert "\n1 cold-start trajectory. " in (one / "sft" / "trl" / "README.md").read_text()
    card = (one / "rl" / "trl" / "README.md").read_text()
    assert "\n1 question for reinforcement learning with tools: the base model solves it more often" in card


@pytest.fixture
def hub_cache(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for all: folders of one base name must not be taken for each other in it."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return base / "hub-cache"


def load(directory: Path, cache: Path, *, streaming: bool = False) -> Any:
    from datasets import load_dataset

    return load_dataset(str(directory), split="train", cache_dir=str(cache), streaming=streaming)


def lines_of(export: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data_file(export).read_text("utf-8").splitlines()]


def llamafactory_drops(row: dict[str, Any], root: Path) -> str | None:
    """The rules of LLaMA-Factory's sharegpt converter and its media check, written again from their description."""
    messages = row["messages"]
    if messages and messages[0]["role"] == "system":
        messages = messages[1:]
    if len(messages) % 2:
        return "odd number of messages"
    for number, message in enumerate(messages):
        if message["role"] not in (("user", "observation"), ("assistant", "function_call"))[number % 2]:
            return f"role {message['role']} at {number}"
    if sum(message["content"].count("<image>") for message in messages) != len(row["images"]):
        return "marks and images differ"
    for name in row["images"]:
        with Image.open(root / name) as image:
            image.convert("RGB")
    return None


def test_a_fresh_export_has_no_problem(export: Path) -> None:
    report = verify_exports(export)
    assert report.ok, report.problems
    every = [*(("rl", kind, ROWS_HERE) for kind in sorted(RL)), *(("sft", kind, ROWS_HERE) for kind in sorted(SFT))]
    assert [(e.shard, e.format, e.rows) for e in report.exports] == every


def test_another_process_with_another_hash_seed_writes_the_same_bytes(export: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.export_rows", str(tmp_path), str(ROWS_HERE)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "17"})
    assert files_of(tmp_path / "export") == files_of(export)


def test_publishing_the_same_again_touches_nothing_and_leaves_nothing_behind(
    export: Path, sft: list[SftRow], rl: list[RlRow], base: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in export.glob("*/*/**/*")}
    (export / "sft" / ".huggingface.killed").mkdir()
    publish(export, sft, rl, base)
    assert {path: path.stat().st_mtime_ns for path in export.glob("*/*/**/*")} == before
    assert not list(export.glob("*/.*"))


def test_an_export_that_changed_is_replaced_whole(
    sft: list[SftRow], rl: list[RlRow], export: Path, base: Path, tmp_path: Path
) -> None:
    root = publish(tmp_path / "e", sft[:3], rl[:3], base)
    cached = root / "rl" / "verl" / "kit" / "__pycache__" / "reward.cpython-311.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"what an import leaves")
    assert verify_exports(root).ok
    publish(root, sft, rl, base)
    assert files_of(root) == files_of(export)


@pytest.mark.parametrize("name", ["saves/model.safetensors", "data/notes.md", "notes.md"])
def test_what_somebody_put_into_an_export_is_never_lost(
    name: str, sft: list[SftRow], rl: list[RlRow], base: Path, tmp_path: Path
) -> None:
    root = publish(tmp_path / "e", sft[:3], rl[:3], base)
    stray = root / "rl" / "verl" / name
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_text("two days of training")
    before = files_of(root)
    with pytest.raises(UsageError, match="would be lost; move it elsewhere"):
        publish(root, sft, rl, base)
    assert files_of(root) == before


def test_a_damaged_blob_stops_the_export_and_leaves_the_old_one(tmp_path: Path) -> None:
    own = context(tmp_path)
    rows = sft_rows(own.blobs, 3)
    publish_sft(tmp_path / "sft", rows[:1], SFT, own)
    before = files_of(tmp_path / "sft")
    ref = next(image for row in rows[1:] for image in row.question.images)
    own.blobs.path(ref.sha256).write_bytes(b"not what it was")
    with pytest.raises(InfrastructureError, match=ref.sha256):
        publish_sft(tmp_path / "sft", rows, SFT, own)
    assert files_of(tmp_path / "sft") == before


def test_llamafactory_drops_no_row_and_opens_every_image(export: Path, sft: list[SftRow]) -> None:
    root = export / "sft" / "llamafactory"
    info = json.loads((root / "dataset_info.json").read_text())
    (entry,) = info.values()
    rows = json.loads((root / entry["file_name"]).read_text())
    assert [llamafactory_drops(row, root) for row in rows] == [None] * len(rows)
    assert {row["id"] for row in rows} == {row.trajectory.id for row in sft}
    assert entry["columns"] == {"messages": "messages", "images": "images"}
    assert len(entry["tags"]) == 7


def test_messages_are_the_export_prompts_and_the_fields_never_what_the_teacher_saw(export: Path) -> None:
    rows = json_rows(export / "sft/llamafactory")
    text = json.dumps(rows)
    assert "teacher saw" not in text
    assert "never exported" not in text
    crop = next(row for row in rows if "plt.imshow" in row["messages"][2]["content"])
    assert [message["role"] for message in crop["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert crop["messages"][2]["content"] == (
        "<think>Enlarge it.</think>\n<code>\n```python\nplt.imshow(image_1)\nplt.show()\n```\n</code>"
    )


def test_images_of_the_question_are_the_original_bytes(export: Path, sft: list[SftRow], base: Path) -> None:
    blobs = context(base).blobs
    for row in sft:
        for ref in row.question.images:
            suffix = {"image/png": "png", "image/jpeg": "jpg"}[ref.mime]
            shipped = export / f"sft/llamafactory/images/{ref.sha256}.{suffix}"
            assert shipped.read_bytes() == blobs.get(ref.sha256)


def test_an_image_that_a_trainer_would_open_otherwise_is_shipped_as_it_was_seen(tmp_path: Path) -> None:
    own = context(tmp_path)
    clear = picture(2).convert("RGBA")
    clear.putalpha(128)
    originals = [jpeg(picture(1), orientation=6), encode_png(clear)]
    asked = numbered(0, tuple(put_image(own.blobs, content) for content in originals))
    row = sft_row(attempt(asked, (step("Sure.", "answer", "0"),)), asked)
    publish_sft(tmp_path / "sft", [row], ["llamafactory"], own)
    (exported,) = json_rows(tmp_path / "sft/llamafactory")
    for name, content in zip(exported["images"], originals, strict=True):
        with Image.open(tmp_path / "sft/llamafactory" / name) as image:
            assert image.convert("RGB").tobytes() == decode(content).tobytes()


@pytest.mark.parametrize("name", ["sft/huggingface", "rl/huggingface", "rl/deepeyesv2", "rl/verl"])
def test_datasets_loads_every_parquet_export_with_decoded_images(name: str, export: Path, hub_cache: Path) -> None:
    keys = [json.loads(line)["record_id"] for line in (export / name / ROWS).read_text().splitlines()]
    data = load(export / name, hub_cache)
    assert [row.get("id") or row["extra_info"]["index"] for row in data] == keys
    for row in data:
        messages = row.get("messages") or row["prompt"]
        assert sum(message["content"].count("<image>") for message in messages) == len(row["images"])
        assert all(image.size for image in row["images"])


def test_a_parquet_file_loads_by_itself_as_the_trainers_do_it(export: Path, hub_cache: Path) -> None:
    from datasets import load_dataset

    file = data_file(export / "rl/deepeyesv2")
    data = load_dataset("parquet", data_files=str(file), cache_dir=str(hub_cache))["train"]
    assert data[0]["images"][0].size == (64, 48)


def test_the_llamafactory_folder_loads_as_its_rows_and_not_as_an_image_folder(export: Path, hub_cache: Path) -> None:
    data = load(export / "sft/llamafactory", hub_cache)
    assert data.column_names == ["id", "images", "messages"]
    assert len(data) == ROWS_HERE


def test_schemas_are_those_that_datasets_writes() -> None:
    from datasets import Features, List, Value
    from datasets import Image as ImageFeature

    messages = List({"role": Value("string"), "content": Value("string")})
    features = Features.from_arrow_schema(huggingface.SFT_SCHEMA)
    assert features["messages"] == messages
    assert features["images"] == List(ImageFeature())
    assert features["meta"] == Value("string")
    kinds: list[tuple[Shard, Format]] = [*(("rl", kind) for kind in RL), *(("sft", kind) for kind in SFT)]
    for shard, kind in kinds:
        if is_json(kind):
            continue
        schema = schema_of(shard, kind)
        assert Features.from_arrow_schema(schema).arrow_schema.equals(schema, check_metadata=True)


def test_parts_concatenate_also_when_all_rows_of_one_are_text_only(
    export: Path, sft: list[SftRow], base: Path, tmp_path: Path, hub_cache: Path
) -> None:
    from datasets import concatenate_datasets

    text_only = [row for row in sft if not row.question.images]
    publish_sft(tmp_path / "sft", text_only, ["huggingface"], context(base))
    parts = [load(root / "sft/huggingface", hub_cache) for root in (export, tmp_path)]
    assert len(concatenate_datasets(parts)) == ROWS_HERE + len(text_only)


def test_deepeyesv2_rows_have_what_its_environment_reads(export: Path, rl: list[RlRow]) -> None:
    rows = pq.read_table(export / "rl/deepeyesv2/data").to_pylist()
    for row in rows:
        assert row["env_name"] == "deepeyes_v2"
        assert "agent_name" not in row
        assert row["images"][0]["bytes"]
        assert isinstance(row["extra_info"]["index"], str)
        assert row["extra_info"]["question"]
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
    assert {row["data_source"] for row in rows} == {"perception", "reason", "search"}
    assert {row["extra_info"]["index"] for row in rows} == {row.question.id for row in rl}


def test_every_gold_its_type_and_its_tolerance_reach_a_reward_function(export: Path, rl: list[RlRow]) -> None:
    questions = {row.question.id: row.question for row in rl}
    for row in pq.read_table(export / "rl/verl/data").to_pylist():
        asked, extra = questions[row["extra_info"]["index"]], row["extra_info"]
        assert json.loads(extra["answers"]) == list(asked.answers)
        assert row["reward_model"] == {"style": "rule", "ground_truth": asked.answers[0]}
        assert (extra["answer_type"], extra["tolerance"]) == ("number", "0.02" if asked.tolerance else "")
        assert row["agent_name"] == "tool_agent"


def test_a_text_only_row_is_refused_by_deepeyesv2_by_name_and_kept_elsewhere(rl: list[RlRow], base: Path) -> None:
    text_only = rl_row(numbered(5_000, (), "search"))
    published = publish_rl(base / "mixed" / "rl", [*rl, text_only], RL, context(base))
    assert {p.format: p.n_rows for p in published} == {
        **dict.fromkeys(RL, ROWS_HERE + 1),
        "deepeyesv2": ROWS_HERE,
    }
    (refused,) = next(p for p in published if p.format == "deepeyesv2").refused
    assert (refused.record_id, refused.reason) == (text_only.question.id, "text_only")
    assert "| text_only | 1 |" in (base / "mixed/rl/deepeyesv2/README.md").read_text()
    assert text_only.question.id in (base / "mixed/rl/deepeyesv2" / MANIFEST).read_text()
    assert verify_exports(base / "mixed").ok


def test_rows_that_a_trainer_would_learn_wrongly_from_are_refused_by_name(sft: list[SftRow], base: Path) -> None:
    def altered(number: int, **changes: Any) -> SftRow:
        row = sft[number]
        first = row.trajectory.turns[0].model_copy(update=changes)
        turns = (first, *row.trajectory.turns[1:])
        return dataclasses.replace(row, trajectory=row.trajectory.model_copy(update={"turns": turns}))

    unfinished = sft[5].trajectory.model_copy(update={"finish": "max_turns", "answer": None})
    rows = [
        altered(0, loss=False),
        altered(1, observation="one image short: <image>"),
        altered(2, think="a tag <answer>inside</answer>"),
        altered(3, observation=None),
        dataclasses.replace(sft[5], trajectory=unfinished),
        sft[6],
    ]
    published = publish_sft(base / "refusing" / "sft", rows, SFT, context(base))
    for one in published:
        # One format has a flag for each turn.
        flagged = one.format == "ms_swift"
        assert one.n_rows == (2 if flagged else 1)
        reasons = ["image_marks", "invalid_turn", "no_answer", "no_observation", "unlearnable_turn"]
        assert sorted(row.reason for row in one.refused) == reasons[: 4 if flagged else 5]
    said = next(row for row in lines_of(base / "refusing/sft/ms_swift") if not row["messages"][2]["loss"])
    assert [message.get("loss") for message in said["messages"]] == [None, None, False, None, True]
    assert verify_exports(base / "refusing").ok


def test_pictures_of_rows_that_are_left_out_are_not_counted_as_shared(base: Path, tmp_path: Path) -> None:
    own = context(base)
    sft, rl = sft_rows(own.blobs, 4), rl_rows(own.blobs, 4)
    whole = write.publish(tmp_path / "whole", [*sft, *rl], ("huggingface",), ("huggingface",), own)
    gone = frozenset({rl[0].question.id})
    taken = dataclasses.replace(own, rights=Rights(Tombstones(questions=gone)))
    less = write.publish(tmp_path / "less", [*sft, *rl], ("huggingface",), ("huggingface",), taken)
    assert sum(one.n_rows for one in less) < sum(one.n_rows for one in whole)
    for name in ("whole", "less"):
        shown = {
            shard: {
                hashlib.sha256(image["bytes"]).hexdigest()
                for path in (tmp_path / name / shard).rglob("*.parquet")
                for row in pq.read_table(path).to_pylist()
                for image in row["images"]
            }
            for shard in ("sft", "rl")
        }
        said = f"{len(shown['sft'] & shown['rl'])} of {len(shown['rl'])} pictures of RL stand in SFT as well"
        assert said in (tmp_path / name / "rl" / "huggingface" / "README.md").read_text()


def test_a_shard_without_a_row_is_not_written(base: Path, tmp_path: Path) -> None:
    root = publish(tmp_path / "empty", [], [], base)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_the_card_names_files_by_content_and_keeps_foreign_text_in_its_cell(
    export: Path, base: Path, sft: list[SftRow], tmp_path: Path
) -> None:
    publish_sft(tmp_path / "sft", sft[:2], ["huggingface"], context(base))
    names = []
    for card in (export / "sft/huggingface/README.md", tmp_path / "sft/huggingface/README.md"):
        text = card.read_text()
        header = yaml.safe_load(text.split("---\n")[1])
        (config,) = header["configs"]
        assert (config["config_name"], config["default"]) == ("sft", True)
        names.append(config["data_files"])
        assert header["license"] == "cc0-1.0"
        assert "Rectangles \\| drawn for &lt;tests>." in text
        assert "262144 pixels" in text
    assert names[0] != names[1]


def test_card_and_manifest_say_under_which_terms_each_source_may_be_passed_on(
    sft: list[SftRow], rl: list[RlRow], base: Path, tmp_path: Path
) -> None:
    terms = {
        "drawn": Terms(licence="CC0-1.0", licence_images="by their makers", attribution="The drawers"),
        "library": Terms(licence="CC0-1.0", redistributable=True),
    }
    told = dataclasses.replace(context(base), sources=terms, corpus="library")
    published = (*publish_sft(tmp_path / "sft", sft, SFT, told), *publish_rl(tmp_path / "rl", rl, RL, told))
    for one in published:
        card = (one.directory / "README.md").read_text()
        assert "| CC0-1.0 | by their makers | nobody has said |  | The drawers |" in card
        # Questions show no picture that a search found; trajectories do.
        assert ("library (pictures found)" in card) == (one.shard == "sft")
        said = json.loads((one.directory / MANIFEST).read_text())["sources"]
        assert said == {name: term.model_dump() for name, term in terms.items()}
    assert verify_exports(tmp_path).ok


def test_card_and_manifest_name_the_benchmarks_that_were_checked_or_say_that_none_was(
    sft: list[SftRow], base: Path, tmp_path: Path
) -> None:
    made = Benchmark(key="b|1", hash_recipe="test/v1", text_key=KEY_RECIPE, entries=(benchmark_entry("Why?", 1, 2),))
    checked = {made.key: kept_out(made, ContaminationSettings(radius=3))}
    assert "1 questions and 1 pictures" in checked[made.key]
    assert "within 3 bits of phash" in checked[made.key]
    for some in (checked, {}):
        told = dataclasses.replace(context(base), benchmarks=some)
        for one in publish_sft(tmp_path / str(len(some)) / "sft", sft, SFT, told):
            card = (one.directory / "README.md").read_text()
            assert ("None was checked" in card) == (not some)
            assert all(text in card for text in some.values())
            assert json.loads((one.directory / MANIFEST).read_text())["benchmarks"] == some


def test_the_manifest_lists_every_file_and_states_what_the_student_sees(export: Path) -> None:
    for path in export.rglob(MANIFEST):
        manifest = json.loads(path.read_text())
        listed = {file["path"] for file in manifest["files"]}
        assert listed == {name for name in files_of(path.parent) if name != MANIFEST}
        assert manifest["image_max_pixels"] == 262_144
        assert manifest["rows"] == len((path.parent / ROWS).read_text().splitlines()) == ROWS_HERE
        told = {prompt.name: prompt.sha256 for prompt in TOLD}
        assert manifest["prompts"] == {"teacher/tools": "b" * 64, **told}
        modes = list(told) if manifest["shard"] == "sft" else [f"export/{rl_mode(manifest['format'])}"]
        assert [prompt["name"] for prompt in manifest["told"]] == modes


def test_a_question_is_told_the_tools_by_rl_except_where_its_episode_is_one_message(export: Path) -> None:
    def systems(kind: str) -> set[str]:
        prompts = [row["prompt"] for row in pq.read_table(export / "rl" / kind / "data").to_pylist()]
        return {text_of(p[0]["content"]) if kind == "trl" else p[0]["content"] for p in prompts}

    assert systems("trl") == {TOLD.plain.system}
    assert systems("verl") == systems("deepeyesv2") == systems("huggingface") == {TOLD.tools.system}


def test_a_system_prompt_with_an_image_mark_is_refused(tmp_path: Path) -> None:
    bad = TOLD.plain.model_copy(update={"system": "Look at <image>."})
    with pytest.raises(UsageError, match="system prompt"):
        dataclasses.replace(context(tmp_path), told=(TOLD._replace(plain=bad),))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.tuples(*(st.text(min_size=1) for _ in range(5))))
def test_whatever_text_a_row_holds_it_comes_back_whole_or_is_refused_by_name(
    texts: tuple[str, ...], tmp_path: Path
) -> None:
    asked, think, query, observation, answer = texts
    own = context(tmp_path)
    origin = numbered(0, (put_image(own.blobs, jpeg(picture(0))),)).model_copy(update={"text": asked})
    turns = (step(think, "search", query, observation), step("So.", "answer", answer))
    row = sft_row(attempt(origin, turns), origin)
    published = publish_sft(tmp_path / "sft", [row], SFT, own)
    assert all(p.n_rows + len(p.refused) == 1 for p in published)
    if not published[0].n_rows:
        return
    assert verify_exports(tmp_path / "sft").ok
    from_json = json_rows(tmp_path / "sft/llamafactory")
    from_parquet = pq.read_table(tmp_path / "sft/huggingface/data").to_pylist()
    assert [row["messages"] for row in from_json] == [row["messages"] for row in from_parquet]
    for exported in from_json:
        assert exported["messages"][3]["content"] == observation
        assert dialect.parse(exported["messages"][2]["content"], "tools") == (think, "search", turns[0].arguments)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds at which a few thousand bytes are many."""
    monkeypatch.setattr("pipeline.export.parquet.GROUP_ROWS", 7)
    monkeypatch.setattr("pipeline.export.parquet.GROUP_BYTES", 2_500)
    monkeypatch.setattr("pipeline.export.parquet.FILE_BYTES", 5_000)
    monkeypatch.setattr("pipeline.export.formats.json_files.PART_BYTES", 5_000)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([0, 100, 900, 3_000]), max_size=40))
@pytest.mark.usefixtures("small_files")
def test_files_and_row_groups_are_bounded_by_what_is_written_and_hold_every_row_once_in_order(sizes: list[int]) -> None:
    schema = hf_schema({"images": IMAGES})
    with tempfile.TemporaryDirectory() as directory:
        files = ParquetFiles(Path(directory), schema)
        for size in sizes:
            files.add({"images": [{"bytes": bytes(size), "path": None}]})
        made = files.close()
        assert [(file.sha256, file.nbytes) for file in made] == [
            (file_hash(file.path), file.path.stat().st_size) for file in made
        ]
        groups = [groups_of(file.path) for file in made]
    assert [size for some in groups for group in some for size in group] == sizes
    assert [sum(map(len, some)) for some in groups] == [file.rows for file in made]
    for some in groups:
        assert all(len(group) <= 7 for group in some)
        # One row may exceed a bound by itself; no second one joins it.
        assert all(sum(group) <= 2_500 or len(group) == 1 for group in some)
        assert sum(map(sum, some)) <= 5_000 or len(some) == 1


def groups_of(path: Path) -> list[list[int]]:
    """The sizes of the images of each row group."""
    with pq.ParquetFile(path) as file:
        tables = [file.read_row_group(number) for number in range(file.metadata.num_row_groups)]
    return [[len(row["images"][0]["bytes"]) for row in table.to_pylist()] for table in tables]


@pytest.mark.parametrize("images", [1, 2])
def test_a_row_that_goes_moves_no_byte_of_the_pages_behind_it(images: int, tmp_path: Path) -> None:
    """Else hubs that cut files by content would have to be sent nearly all pictures of a changed export again."""
    rows: list[dict[str, Any]] = [
        {"images": [{"bytes": Random(f"{number} {i}").randbytes(PAGE_BYTES), "path": None} for i in range(images)]}
        for number in range(40)
    ]
    whole, rest = (parquet_of(tmp_path / name, some).read_bytes() for name, some in (("a", rows), ("b", rows[1:])))
    around = 20  # bytes: most of the header of a page
    for row in rows[2:]:
        content = b"".join(len(i["bytes"]).to_bytes(4, "little") + i["bytes"] for i in row["images"])
        found = [(data, data.index(content)) for data in (whole, rest)]
        before, after = zip(
            *((data[at - around : at], data[at + len(content) :][:around]) for data, at in found), strict=True
        )
        assert before[0] == before[1]
        assert row is rows[-1] or after[0] == after[1]


def parquet_of(directory: Path, rows: list[dict[str, Any]]) -> Path:
    """The one file of some rows."""
    directory.mkdir()
    files = ParquetFiles(directory, hf_schema({"images": IMAGES}))
    for row in rows:
        files.add(row)
    (made,) = files.close()
    return made.path


@pytest.mark.usefixtures("small_files")
def test_an_export_of_several_files_passes_its_checks(
    sft: list[SftRow], rl: list[RlRow], base: Path, tmp_path: Path
) -> None:
    root = publish(tmp_path / "e", sft, rl, base)
    assert verify_exports(root).problems == ()
    for export in ("sft/huggingface", "sft/llamafactory", "sft/ms_swift", "rl/verl"):
        manifest = Manifest.model_validate_json((root / export / MANIFEST).read_text())
        assert len(manifest.data) > 1
        assert [manifest.file_of(i) for i in range(manifest.rows)] == [
            file.path for file in manifest.data for _ in range(file.rows or 0)
        ]
