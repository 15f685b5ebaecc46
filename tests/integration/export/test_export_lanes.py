"""An SFT shard of four lanes: what each row is told, how it is labelled, and what the mix of them is said to be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from typer.testing import CliRunner

from flows.cli.main import make_app
from pipeline.dialects import DEEPEYESV2
from pipeline.errors import RowError, UsageError
from pipeline.export.formats.trl import text_of
from pipeline.export.layout import MANIFEST, ROWS, RlFormat
from pipeline.export.length import IMAGE_FRAME_TOKENS, MESSAGE_TOKENS, require_fits, row_tokens
from pipeline.export.rows import SftRow, render_sft
from pipeline.export.verify.exports import verify_exports
from pipeline.identity import canonical_json
from pipeline.images import put_image
from pipeline.records import ImageRef, Mode, Question
from pipeline.store.blobs import BlobStore
from pipeline.students.tokens import ESTIMATE, TOKENIZER, TokenCounter, loss_tokens
from tests.support.export_rows import (
    LABELS,
    RL,
    SFT,
    STUDENT,
    TOLD,
    attempt,
    context,
    jpeg,
    json_rows,
    lane_rows,
    numbered,
    picture,
    publish_rl,
    publish_sft,
    rl_row,
    rl_rows,
    sft_row,
    step,
)

Row = dict[str, Any]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lanes")


@pytest.fixture(scope="module")
def rows(base: Path) -> list[SftRow]:
    return lane_rows(context(base).blobs)


@pytest.fixture(scope="module")
def good(base: Path, rows: list[SftRow]) -> Path:
    publish_sft(base / "export/sft", rows, SFT, context(base))
    return base / "export"


@pytest.fixture
def export(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "export"))


def index(export: Path) -> list[Row]:
    return [json.loads(line) for line in (export / ROWS).read_text().splitlines()]


def manifest_of(export: Path) -> Row:
    content: Row = json.loads((export / MANIFEST).read_text())
    return content


def written(export: Path) -> list[Row]:
    return list(pq.read_table(export / "sft/huggingface/data").to_pylist())


def test_each_lane_is_told_its_prompt_in_every_format(good: Path) -> None:
    wanted = {
        "tools": TOLD.tools.system,
        "no_call": TOLD.tools.system,
        "plain_cot": TOLD.plain.system,
        "long_cot": TOLD.plain.system,
    }
    of_lane = {key["record_id"]: key["lane"] for key in index(good / "sft/llamafactory")}
    told = json_rows(good / "sft/llamafactory") + written(good)
    assert len(told) == 16
    for row in told:
        assert row["messages"][0]["content"] == wanted[of_lane[row["id"]]]
        assert row["messages"][1]["content"].endswith("call tools.") == (of_lane[row["id"]] in {"tools", "no_call"})
    assert verify_exports(good).problems == ()


def test_mixed_lanes_load_and_a_part_of_text_alone_concatenates(
    good: Path, rows: list[SftRow], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import concatenate_datasets, load_dataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    texts = [row for row in rows if row.lane == "long_cot"]
    publish_sft(tmp_path / "sft", texts, SFT, context(base))
    assert all(row["images"] == [] for row in json_rows(tmp_path / "sft/llamafactory"))
    parts = [
        load_dataset(str(root / "sft/huggingface"), split="train", cache_dir=str(tmp_path / "cache"))
        for root in (tmp_path, good)
    ]
    data = concatenate_datasets(parts)
    assert sorted(data["lane"]) == sorted(["tools", "no_call", "plain_cot"] * 2 + ["long_cot"] * 4)
    assert sum(len(row["images"]) for row in data) == 6


def test_the_mix_is_stated_in_rows_and_in_loss_tokens_in_manifest_and_card(good: Path, rows: list[SftRow]) -> None:
    for export in (good / "sft/llamafactory", good / "sft/huggingface"):
        said = manifest_of(export)
        assert said["tokens"] == "4 characters per token (1 in Chinese, Japanese, Korean)"
        assert [part["lane"] for part in said["mix"]] == ["tools", "no_call", "plain_cot", "long_cot"]
        for part in said["mix"]:
            own = [row for row in rows if (row.lane, row.question.category) == (part["lane"], part["category"])]
            assert part["rows"] == len(own) == 2
            assert part["loss_tokens"] == sum(loss_tokens(row.trajectory, DEEPEYESV2, ESTIMATE) for row in own)
        card = (export / "README.md").read_text()
        total = sum(part["loss_tokens"] for part in said["mix"])
        share = f"{said['mix'][3]['loss_tokens'] / total:.1%}"
        assert f"| long_cot | reasoning | 2 | 25.0% | {said['mix'][3]['loss_tokens']} | {share} |" in card
        assert "counted by: 4 characters per token (1 in Chinese, Japanese, Korean)" in card


def test_the_card_describes_the_lanes_that_are_there_and_no_other(good: Path, base: Path, tmp_path: Path) -> None:
    everything = (good / "sft/huggingface/README.md").read_text()
    assert all(f"- `{lane}`: " in everything for lane in ("tools", "no_call", "plain_cot", "long_cot"))
    publish_sft(tmp_path / "sft", lane_rows(context(base).blobs)[:1], SFT, context(base))
    assert "plain_cot" not in (tmp_path / "sft/huggingface/README.md").read_text()


def test_the_hashes_of_what_rows_are_told_need_not_be_given_and_come_in_no_order_of_their_own(
    good: Path, rows: list[SftRow], base: Path, tmp_path: Path
) -> None:
    own = context(base)
    hashes = {**{prompt.name: prompt.sha256 for prompt in TOLD}, **own.prompts}
    publish_sft(tmp_path / "sft", rows, SFT, dataclasses.replace(own, prompts=hashes))
    assert manifest_of(tmp_path / "sft/huggingface") == manifest_of(good / "sft/huggingface")
    for name in (MANIFEST, "README.md"):
        assert (tmp_path / "sft/huggingface" / name).read_bytes() == (good / "sft/huggingface" / name).read_bytes()


def test_labels_reach_every_format_as_one_json_text(rows: list[SftRow], base: Path, good: Path, tmp_path: Path) -> None:
    labels = {row.trajectory.id: row.labels for row in rows}
    assert all(json.loads(row["question_labels"]) == labels[row["id"]].model_dump() for row in written(good))
    assert all(key["labels"] == labels[key["record_id"]].model_dump() for key in index(good / "sft/llamafactory"))
    publish_rl(tmp_path / "rl", rl_rows(context(base).blobs, 2), RL, context(base))
    for kind in RL:
        for row in pq.read_table(tmp_path / "rl" / kind / "data").to_pylist():
            assert row.get("extra_info", row)["question_labels"] == canonical_json(LABELS)
    assert json.loads(canonical_json(LABELS))["benefit"] is None


def tamper(path: Path, change: Callable[[Row], object]) -> None:
    """Change a manifest, or the second line of a row index."""
    if path.name == MANIFEST:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines[1])
    path.write_text("".join(canonical_json(line) + "\n" for line in lines))


def other(key: Row) -> str:
    return "plain_cot" if key["lane"] != "plain_cot" else "tools"


INDEX_LIES: dict[str, tuple[Callable[[Row], object], str]] = {
    "lane": (lambda k: k.update(lane=other(k)), "lane"),
    "no lane": (lambda k: k.update(lane=None), "rows of sft have one"),
    "labels": (lambda k: k["labels"].update(chance=0.5), "labels"),
    "category": (lambda k: k.update(category="search"), "category"),
    "loss tokens": (lambda k: k.update(loss_tokens=k["loss_tokens"] + 1), "loss tokens"),
}


@pytest.mark.parametrize("kind", SFT)
@pytest.mark.parametrize("lie", INDEX_LIES)
def test_a_row_index_that_says_another_lane_label_or_length_is_named_with_its_row(
    lie: str, kind: str, export: Path
) -> None:
    change, expected = INDEX_LIES[lie]
    tamper(export / "sft" / kind / ROWS, change)
    found = verify_exports(export).problems
    # The other format is right, and what differs between them is told of whichever is read last.
    assert any(problem.row == 1 and expected in problem.message for problem in found)
    assert any(problem.file == ROWS and problem.export == f"sft/{kind}" for problem in found)


MANIFEST_LIES: dict[str, tuple[Callable[[Row], object], str]] = {
    "mix rows": (lambda m: m["mix"][0].update(rows=3), "mix says 3 rows"),
    "mix tokens": (lambda m: m["mix"][3].update(loss_tokens=1), "of 1 loss tokens of long_cot/reasoning"),
    "mix part gone": (lambda m: m["mix"].pop(), "mix says none of long_cot/reasoning"),
    "mix part more": (
        lambda m: m["mix"].append({**m["mix"][0], "category": "search"}),
        "tools/search, the rows add up",
    ),
    "mix part twice": (lambda m: m["mix"].append(m["mix"][0]), "twice"),
    "plain prompt gone": (lambda m: m["told"].pop(), "not told the prompt of its lane: none of no name"),
    "modes swapped": (
        lambda m: [p.update(mode="plain" if p["mode"] == "tools" else "tools") for p in m["told"]],
        "its",
    ),
    "text": (lambda m: m["told"][0].update(system="Another."), "the text of export/tools"),
    "hash": (lambda m: m["prompts"].update({"export/plain": "0" * 64}), "the text of export/plain"),
    "slots": (lambda m: m["told"][0].update(user="{question}" * 30), "each slot once"),
}


@pytest.mark.parametrize("lie", MANIFEST_LIES)
def test_a_manifest_that_lies_about_mix_or_prompts_is_found(lie: str, export: Path) -> None:
    change, expected = MANIFEST_LIES[lie]
    tamper(export / "sft/huggingface" / MANIFEST, change)
    assert any(expected in problem.message for problem in verify_exports(export / "sft/huggingface").problems)


@pytest.mark.parametrize(("kind", "mode"), [("verl", "plain"), ("trl", "tools")])
def test_a_question_of_rl_that_is_told_the_prompt_of_the_other_mode_is_found(
    kind: RlFormat, mode: Mode, base: Path, tmp_path: Path
) -> None:
    publish_rl(tmp_path / "rl", rl_rows(BlobStore(base / "blobs"), 2), [kind], context(base))
    assert verify_exports(tmp_path).problems == ()
    tamper(tmp_path / "rl" / kind / MANIFEST, lambda m: m["told"][0].update(mode=mode))
    found = [problem.message for problem in verify_exports(tmp_path).problems]
    assert any(f"is the prompt of mode {mode}, which no row here is told" in message for message in found)
    assert any("not told the prompt of its lane" in message for message in found)


def test_a_row_of_a_lane_without_calls_that_calls_is_found(base: Path, tmp_path: Path, rows: list[SftRow]) -> None:
    calling = rows[0].trajectory.model_copy(update={"arm": "no_call"})
    publish_sft(tmp_path / "sft", [dataclasses.replace(rows[0], trajectory=calling)], SFT, context(base))
    found = verify_exports(tmp_path).problems
    assert {problem.export for problem in found} == {f"sft/{kind}" for kind in SFT}
    assert all("a row of lane no_call makes no call" in problem.message for problem in found)


def test_a_call_under_the_prompt_without_tools_is_refused(base: Path, tmp_path: Path, rows: list[SftRow]) -> None:
    calling = rows[0].trajectory.model_copy(update={"arm": "plain_cot", "mode": "plain"})
    published = publish_sft(tmp_path / "sft", [dataclasses.replace(rows[0], trajectory=calling)], SFT, context(base))
    assert [refused.reason for one in published for refused in one.refused] == ["invalid_turn"] * len(SFT)


def test_a_question_of_rl_is_found_in_sft_also_under_the_prompt_without_tools(base: Path, tmp_path: Path) -> None:
    asked = rl_rows(context(base).blobs, 1)[0].question
    again = asked.model_copy(update={"id": "e" * 64})
    answered = attempt(again, (step("So.", "answer", "4"),), lane="plain_cot")
    publish_sft(tmp_path / "sft", [sft_row(answered, again, "another")], SFT, context(base))
    publish_rl(tmp_path / "rl", [rl_row(asked)], RL, context(base))
    found = verify_exports(tmp_path).problems
    assert {problem.export for problem in found} == {f"sft/{kind}" for kind in SFT}
    assert all("question (text and images)" in problem.message for problem in found)


def test_rows_that_people_corrected_say_so_and_the_card_counts_them(
    base: Path, tmp_path: Path, rows: list[SftRow]
) -> None:
    first, second, *rest = rows
    told = canonical_json({"edited_from": {"id": "f" * 64, "edit": "e" * 64, "fields": ["answers"]}})
    asked = first.question.model_copy(update={"meta": told})
    corrected = second.trajectory.model_copy(update={"parent": "d" * 64})
    changed = [dataclasses.replace(first, question=asked), dataclasses.replace(second, trajectory=corrected)]
    publish_sft(tmp_path / "sft", [*changed, *rest], SFT, context(base))
    assert verify_exports(tmp_path / "sft").ok
    for kind in SFT:
        assert "2 rows corrected by people" in (tmp_path / "sft" / kind / "README.md").read_text()
    written = pq.read_table(tmp_path / "sft/huggingface/data").to_pylist()
    metas = {row["id"]: json.loads(row["meta"]) for row in written}
    assert metas[first.trajectory.id]["question"]["edited_from"]["id"] == "f" * 64
    assert metas[second.trajectory.id]["parent"] == "d" * 64
    assert [name for name, meta in metas.items() if "parent" in meta] == [second.trajectory.id]


def chosen(images: tuple[ImageRef, ...]) -> Question:
    return numbered(1, images).model_copy(
        update={
            "text": "Which town is it?",
            "choices": ("Rome", "Paris", "Oslo"),
            "answers": ("B",),
            "answer_type": "choice",
        }
    )


def test_options_are_shown_to_the_model_and_to_whoever_rewards_it(base: Path, tmp_path: Path) -> None:
    own = context(base)
    asked = chosen((put_image(own.blobs, jpeg(picture(1))),))
    shown = "Which town is it?\n\nA. Rome\nB. Paris\nC. Oslo"
    answered = sft_row(attempt(asked, (step("So.", "answer", "B"),), lane="no_call"), asked)
    assert shown in render_sft(answered, own).messages[1].content
    publish_rl(tmp_path / "rl", [rl_row(asked)], RL, own)
    rows = {kind: pq.read_table(tmp_path / "rl" / kind / "data").to_pylist()[0] for kind in RL}
    for row in rows.values():
        facts = row.get("extra_info", row)
        assert facts["question"] == shown
        said = row["prompt"][1]["content"]
        assert shown in (said if isinstance(said, str) else text_of(said))
        assert facts["answer"] == "B"
    assert rows["huggingface"]["choices"] == list(asked.choices)
    assert json.loads(rows["verl"]["extra_info"]["choices"]) == list(asked.choices)
    # A rule compares letters, a judge reads texts.
    assert rows["verl"]["reward_model"]["ground_truth"] == "B"
    assert rows["deepeyesv2"]["reward_model"]["ground_truth"] == "B. Paris"
    assert verify_exports(tmp_path).ok


def test_a_row_that_the_trainer_would_cut_is_refused_by_name_with_what_counted_it(
    rows: list[SftRow], base: Path, tmp_path: Path
) -> None:
    full = [render_sft(row, context(base)) for row in rows]
    lengths = {
        sample.record_id: row_tokens([m.content for m in sample.messages], sample.images, STUDENT.view_rule, ESTIMATE)
        for sample in full
    }
    limit = sorted(lengths.values())[3]
    short = dataclasses.replace(context(base), student=STUDENT.model_copy(update={"cutoff_len": limit}))
    for one in publish_sft(tmp_path / "sft", rows, SFT, short):
        assert {refused.record_id for refused in one.refused} == {name for name, n in lengths.items() if n > limit}
        assert all(refused.reason == "too_long" for refused in one.refused)
        assert all("about" in r.detail and "4 characters per token" in r.detail for r in one.refused)
    assert verify_exports(tmp_path).ok


def test_images_count_at_the_size_that_the_trainer_shows_them(base: Path) -> None:
    large = put_image(context(base).blobs, jpeg(picture(3, 3_000, 2_000)))
    texts = ["", "<image>"]
    (bare, with_image) = (row_tokens(texts, images, STUDENT.view_rule, ESTIMATE) for images in ((), (large,)))
    assert bare == 2 * MESSAGE_TOKENS
    # At 262,144 pixels it has 627 x 418, and so 23 by 15 patches of 28 pixels, rounded up; the original has 7,653.
    assert with_image - bare == 23 * 15 + IMAGE_FRAME_TOKENS
    with pytest.raises(RowError, match="too_long"):
        require_fits(with_image, STUDENT.model_copy(update={"cutoff_len": with_image - 1}), ESTIMATE)
    require_fits(with_image, STUDENT.model_copy(update={"cutoff_len": with_image}), ESTIMATE)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    path = tmp_path_factory.mktemp("tokenizer")
    whole.save(str(path / TOKENIZER))
    return path


def test_tokens_of_a_tokenizer_are_counted_again_only_with_that_tokenizer(
    tokenizer: Path, rows: list[SftRow], base: Path, tmp_path: Path
) -> None:
    counter = TokenCounter.open(tokenizer)
    publish_sft(tmp_path / "sft", rows, SFT, dataclasses.replace(context(base), counter=counter))
    said = manifest_of(tmp_path / "sft/huggingface")
    texts = [m["content"] for row in written(tmp_path) for m in row["messages"] if m["role"] == "assistant"]
    assert said["tokens"] == counter.name
    assert sum(part["loss_tokens"] for part in said["mix"]) == sum(len(text.encode()) for text in texts)
    assert [e.tokens_counted for e in verify_exports(tmp_path).exports] == [False] * len(SFT)
    assert [e.tokens_counted for e in verify_exports(tmp_path, counter).exports] == [True] * len(SFT)
    assert verify_exports(tmp_path, counter).ok
    for kind in SFT:
        tamper(tmp_path / "sft" / kind / ROWS, lambda key: key.update(loss_tokens=key["loss_tokens"] + 7))
        tamper(
            tmp_path / "sft" / kind / MANIFEST,
            lambda m: [part.update(loss_tokens=part["loss_tokens"] + 7) for part in m["mix"]],
        )
    assert any("what is learnt of it has" in p.message for p in verify_exports(tmp_path, counter).problems)


def test_the_command_says_when_it_could_not_count_and_counts_with_the_tokenizer_it_is_given(
    tokenizer: Path, rows: list[SftRow], base: Path, tmp_path: Path
) -> None:
    told = dataclasses.replace(context(base), counter=TokenCounter.open(tokenizer))
    publish_sft(tmp_path / "sft", rows[:2], SFT, told)
    command = ["verify", str(tmp_path)]
    bare, given = (CliRunner().invoke(make_app(), [*command, *more]) for more in ([], ["--tokenizer", str(tokenizer)]))
    assert (bare.exit_code, given.exit_code) == (0, 0)
    assert "not counted again" in bare.stdout
    assert "not counted again" not in given.stdout
    missing = CliRunner().invoke(make_app(), [*command, "--tokenizer", str(tmp_path)])
    assert missing.exit_code == UsageError.exit_code
    assert "--tokenizer: " in missing.stderr


def test_a_trajectory_of_no_lane_is_never_exported(rows: list[SftRow], base: Path) -> None:
    for changes in ({"arm": "main"}, {"arm": "tools", "mode": "plain"}):
        stray = dataclasses.replace(rows[0], trajectory=rows[0].trajectory.model_copy(update=changes))
        with pytest.raises(AssertionError, match="is of"):
            render_sft(stray, context(base))
