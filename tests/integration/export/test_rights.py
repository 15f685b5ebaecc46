"""What was taken down is in no export, what may not be passed on is in none unless it is kept, and licences part."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.export.layout import MANIFEST, ROWS
from pipeline.export.rights import PictureNames, Rights
from pipeline.export.rows import ExportContext, RlRow, SftRow
from pipeline.export.tombstones import Tombstone, Tombstones, load_tombstones, matches
from pipeline.export.verify.exports import verify_exports
from pipeline.identity import canonical_json
from pipeline.images import decode, pixel_hash
from pipeline.records import WITHHELD, Terms
from tests.support.export_rows import RL, SFT, context, data_file, publish_rl, publish_sft, rl_rows, sft_row, sft_rows

FILE = "f" * 64
"""sha256 of a source's file that was not kept byte by byte."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def sft(base: Path) -> list[SftRow]:
    return sft_rows(context(base).blobs, 6)


@pytest.fixture(scope="module")
def rl(base: Path) -> list[RlRow]:
    return rl_rows(context(base).blobs, 4)


def publish(root: Path, told: ExportContext, sft: Sequence[SftRow], rl: Sequence[RlRow] = ()) -> Path:
    publish_sft(root / "sft", sft, SFT, told)
    publish_rl(root / "rl", rl, RL, told)
    return root


def shipped(root: Path, shard: str = "sft") -> set[str]:
    """Question ids in the exports of a shard, equal in all of its formats but for what a format itself refuses."""
    found = [
        {json.loads(line)["question_id"] for line in path.read_text().splitlines()}
        for path in sorted((root / shard).glob(f"*/{ROWS}"))
    ]
    assert all(ids == found[0] for ids in found)
    return found[0]


def refused(root: Path, shard: str = "sft") -> dict[str, tuple[str, str]]:
    manifest = json.loads(next((root / shard).glob(f"*/{MANIFEST}")).read_text())
    return {row["question_id"]: (row["reason"], row["detail"]) for row in manifest["refused"]}


def entries_for(sft: Sequence[SftRow], rl: Sequence[RlRow], told: ExportContext) -> dict[str, tuple[str, Tombstone]]:
    """Ways to take something down → the question that goes, and the entry."""
    looked, found, asked = sft[0].question, sft[1], rl[0].question
    crop = sft[0].trajectory.turns[0].images[0].sha256
    thumbnail = found.trajectory.turns[0].images[1].sha256
    return {
        "row": (sft[2].question.id, Tombstone(source="drawn", row="2")),
        "question": (asked.id, Tombstone(question=asked.id)),
        "picture": (looked.id, Tombstone(image=looked.images[0].sha256)),
        "pixels": (looked.id, Tombstone(image=pixel_hash(decode(told.blobs.get(looked.images[0].sha256))))),
        "file of the source": (asked.id, Tombstone(image=FILE)),
        "shown by a cell": (looked.id, Tombstone(image=crop)),
        "pixels of a thumbnail": (
            found.question.id,
            Tombstone(image=pixel_hash(decode(told.blobs.get(thumbnail)))),
        ),
    }


WAYS = ("row", "question", "picture", "pixels", "file of the source", "shown by a cell", "pixels of a thumbnail")


@pytest.mark.parametrize("way", WAYS)
def test_what_is_taken_down_is_in_no_export_and_verify_finds_it_where_it_is(
    way: str, base: Path, sft: list[SftRow], rl: list[RlRow]
) -> None:
    names = PictureNames(files={rl[0].question.images[0].sha256: frozenset({FILE})})
    rl, told = [replace(row, names=names) for row in rl], context(base)
    gone, entry = entries_for(sft, rl, told)[way]
    whole = publish(base / way / "whole", told, sft, rl)
    shard = "sft" if gone in shipped(whole) else "rl"
    assert verify_exports(whole).ok
    wrong = verify_exports(whole, tombstones=[entry]).problems
    assert {problem.export.split("/")[0] for problem in wrong} == {shard}
    assert len(wrong) == len(SFT if shard == "sft" else RL)
    assert all("taken down" in problem.message for problem in wrong)

    taken = replace(told, rights=replace(told.rights, tombstones=Tombstones.of([entry])))
    rest = publish(base / way / "rest", taken, sft, rl)
    assert shipped(rest, shard) == shipped(whole, shard) - {gone}
    assert refused(rest, shard)[gone][0] == "tombstone"
    assert verify_exports(rest, tombstones=[entry]).ok
    assert f"mark {way}" not in (rest / shard / "huggingface" / MANIFEST).read_text()


def test_a_row_that_is_taken_down_takes_its_further_questions_along() -> None:
    taken = Tombstones.of([Tombstone(source="chats", row="7")])
    assert [[one.way for one in taken.found("q", "chats", row, ())] for row in ("7", "7#2", "70", "7#two", "17")] == [
        *(["row"], ["row"]),
        *([], [], []),
    ]
    assert taken.found("q", "others", "7", ()) == ()


def test_what_took_rows_down_and_what_met_none_is_told_of_exports_alone(
    base: Path, sft: list[SftRow], rl: list[RlRow]
) -> None:
    told, question = context(base), sft[0].question
    both = (Tombstone(source=question.source, row=question.source_row), Tombstone(question=question.id))
    beside = Tombstone(question=sft[1].question.id)
    mistyped = Tombstone(source=question.source, row="no such row")
    taken = replace(told, rights=replace(told.rights, tombstones=Tombstones.of([*both, beside, mistyped])))
    rest = publish(base / "matched", taken, sft, rl)
    report = verify_exports(rest, tombstones=[*both, beside, mistyped])
    assert report.ok
    assert matches([*both, beside, mistyped], report.taken) == (
        "tombstones: 3 of 4 entries matched a row of these exports; "
        f"not: {{source: {question.source}, row: no such row}}"
    )
    # A row that still stands is met, too.
    whole = publish(base / "unmatched", told, sft, rl)
    assert {both[0].mark} == verify_exports(whole, tombstones=[both[0], mistyped]).taken
    assert matches([], report.taken) is None
    # Each way has its line in the README, with its rows.
    card = (rest / "sft" / "trl" / "README.md").read_text()
    ways = Counter(row["detail"] for row in json.loads((rest / "sft" / "trl" / MANIFEST).read_text())["refused"])
    assert set(ways) == {"taken down by its row", "taken down by its question"}
    assert all(f"| tombstone | {n} | {way} |" in card for way, n in ways.items())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- {source: a}", "0: names source; write source and row, or question, or image"),
        ("- {}", "names nothing"),
        (f"- {{question: {'a' * 64}, image: {'b' * 64}}}", "names question and image"),
        ("- {image: cat.png}", "0.image: 'cat.png' is not 64 hexadecimal digits"),
        ("- {source: a, row: '1', reason: Jane Doe asked}", "0.reason: Extra inputs are not permitted"),
        ("- {source: a, row: 1}", "0.row: Input should be a valid string"),
        ("row: 1", "manifest: Input should be a valid tuple"),
        ("- [", "is not YAML"),
    ],
)
def test_a_wrong_list_is_refused_with_its_entry(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "tombstones.yaml"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        load_tombstones(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        load_tombstones(tmp_path / "none.yaml")


def test_equal_lists_in_any_order_are_one(tmp_path: Path) -> None:
    entries = [{"source": "a", "row": "2"}, {"image": "1" * 64}, {"source": "a", "row": "1"}]
    for number, listed in enumerate((entries, [*reversed(entries), entries[0]])):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(listed))
    assert load_tombstones(tmp_path / "0.yaml") == load_tombstones(tmp_path / "1.yaml")
    assert load_tombstones() == ()


def said(row: SftRow, redistributable: bool) -> SftRow:
    """The same row, which says itself whether its picture may be passed on."""
    asked = row.question.model_copy(update={"meta": canonical_json({"redistributable": redistributable})})
    return replace(row, question=asked)


def labelled(row: SftRow) -> SftRow:
    """The same row, a search of which found something that may not be passed on."""
    first, *others = row.trajectory.turns
    turns = (first.model_copy(update={"labels": (WITHHELD,)}), *others)
    return replace(row, trajectory=row.trajectory.model_copy(update={"turns": turns}))


NO, YES = Terms(licence="CC0-1.0", redistributable=False), Terms(licence="CC0-1.0", redistributable=True)


@pytest.mark.parametrize(
    ("terms", "kept"),
    [
        ((YES, YES), {0, 1, 2, 3, 4, 5}),
        ((Terms(licence="CC0-1.0"), Terms(licence="CC0-1.0")), {0, 1, 2, 3, 4, 5}),
        # Rows without a picture hold nothing that may not be passed on.
        ((NO, YES), {2, 5}),
        # Of what a search found, thumbnails are pictures.
        ((YES, NO), {0, 2, 3, 5}),
    ],
)
def test_a_row_whose_pictures_may_not_be_passed_on_is_left_out_by_name(
    terms: tuple[Terms, Terms], kept: set[int], base: Path, sft: list[SftRow], tmp_path: Path
) -> None:
    told = replace(context(base), sources=dict(zip(("drawn", "library"), terms, strict=True)), corpus="library")
    root = publish(tmp_path / "drop", told, sft)
    assert shipped(root) == {sft[number].question.id for number in kept}
    assert {reason for reason, _ in refused(root).values()} == ({"image_withheld"} if len(kept) < 6 else set())
    assert verify_exports(root).ok
    card = (root / "sft" / "llamafactory" / "README.md").read_text()
    assert (f"| image_withheld | {6 - len(kept)} |" in card) == (len(kept) < 6)
    keeping = replace(told, rights=Rights(withheld_images="keep"))
    assert len(shipped(publish(tmp_path / "keep", keeping, sft))) == 6


def test_a_row_says_of_its_own_picture_what_counts(base: Path, sft: list[SftRow], tmp_path: Path) -> None:
    rows = [said(sft[0], redistributable=True), said(sft[1], redistributable=False), sft[3], labelled(sft[2])]
    strict = publish(tmp_path / "strict", replace(context(base), sources={"drawn": NO}), rows)
    assert shipped(strict) == {sft[0].question.id}
    free = publish(tmp_path / "free", replace(context(base), sources={"drawn": YES}), rows)
    assert shipped(free) == {sft[0].question.id, sft[3].question.id}


LICENCES = ("CC BY-SA 4.0", "cc-by-sa-4.0", "GPL-3.0", "MIT", "MIT-0", "x" * 90)


def licensed(rows: Iterable[SftRow]) -> list[SftRow]:
    return [
        sft_row(row.trajectory, row.question.model_copy(update={"licence": licence}))
        for row, licence in zip(rows, LICENCES, strict=True)
    ]


def test_a_data_set_that_is_split_by_licence_loads_whole_and_in_parts(
    base: Path, sft: list[SftRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import get_dataset_config_names, load_dataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = licensed(sft)
    root = publish(tmp_path / "split", replace(context(base), split_by_licence=True), rows)
    assert verify_exports(root).ok
    folder = root / "sft" / "huggingface"
    names = get_dataset_config_names(str(folder))
    long = next(name for name in names if "xxx" in name)
    assert set(names) == {"sft", "sft-cc-by-sa-4.0", "sft-gpl-3.0", "sft-mit", "sft-mit-0", long}
    cache = str(tmp_path / "cache")
    parts = {name: load_dataset(str(folder), name, split="train", cache_dir=cache).to_list() for name in names}
    assert {kind: {row["licence"] for row in rows} for kind, rows in parts.items() if kind != "sft"} == {
        "sft-cc-by-sa-4.0": {"CC BY-SA 4.0", "cc-by-sa-4.0"},
        "sft-gpl-3.0": {"GPL-3.0"},
        "sft-mit": {"MIT"},
        "sft-mit-0": {"MIT-0"},
        long: {"x" * 90},
    }
    whole = {row["id"] for row in parts.pop("sft")}
    assert whole == {row["id"] for rows in parts.values() for row in rows} == {row.trajectory.id for row in rows}
    assert len(load_dataset(str(folder), split="train", cache_dir=cache)) == len(rows)
    # Other formats stay as they are.
    plain = publish(tmp_path / "plain", context(base), rows)
    for name in (data_file(root / "sft" / "llamafactory").name, "README.md"):
        one, other = ((at / "sft" / "llamafactory" / name).read_bytes() for at in (root, plain))
        assert hashlib.sha256(one).digest() == hashlib.sha256(other).digest()


def test_every_format_says_which_personal_data_its_rows_hold(
    base: Path, sft: list[SftRow], rl: list[RlRow], tmp_path: Path
) -> None:
    found = [replace(sft[0], personal_data={"email": 2, "phone": 1}), *sft[1:]]
    asked = [replace(rl[0], personal_data={"person_identity": 1}), *rl[1:]]
    root = publish(tmp_path, context(base), found, asked)
    assert verify_exports(root).ok
    for path in root.rglob(ROWS):
        told = [json.loads(line)["personal_data"] for line in path.read_text().splitlines()]
        assert max(map(canonical_json, told), key=len) in {'{"email":2,"phone":1}', '{"person_identity":1}'}
        card = (path.parent / "README.md").read_text()
        assert ("| email | 1 |" in card) or ("| person_identity | 1 |" in card)
    index = root / "rl" / "verl" / ROWS
    index.write_text(index.read_text().replace('"person_identity":1', '"email":1'))
    assert any("personal_data is" in problem.message for problem in verify_exports(root).problems)
