from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.publishing import push
from flows.publishing.push import Remote, Sent, pieces, target
from pipeline.errors import UsageError

PATHS = (
    "README.md",
    "croissant.json",
    "card/sft-example-1.png",
    "sft/huggingface/manifest.json",
    "sft/huggingface/README.md",
    "sft/huggingface/rows.jsonl",
    "sft/huggingface/data/train-a.parquet",
    "sft/llamafactory/images/b.png",
    "rl/huggingface/data/train-c.parquet",
)
STATES = st.sampled_from(["new", "same", "changed"])


def sent(path: str, nbytes: int = 10) -> Sent:
    return Sent(path, Path(path), hashlib.sha256(path.encode()).hexdigest(), nbytes)


@given(
    st.fixed_dictionaries(dict.fromkeys(PATHS, STATES)),
    st.sets(st.sampled_from(["sft/old.png", "notes.md", ".gitattributes"])),
)
def test_every_file_is_sent_once_or_there_and_readers_meet_one_release(
    states: dict[str, str], beside: set[str]
) -> None:
    files = [sent(path) for path in PATHS]
    remote = {
        file.path: Remote(10, "", file.sha256 if states[file.path] == "same" else "0" * 64)
        for file in files
        if states[file.path] != "new"
    }
    todo = pieces(files, {**remote, **{path: Remote(1, "", "1" * 64) for path in beside}})
    first = [file.path for piece in todo.first for file in piece]
    last = [file.path for file in todo.last]
    assert sorted([*first, *last, *(file.path for file in todo.there)]) == sorted(PATHS)
    assert {file.path for file in todo.there} == {path for path in PATHS if states[path] == "same"}
    # What is read first, and what stands in the place of another, goes with the last commit.
    assert all(states[path] == "new" and ("data/" in path or "images/" in path or "rows" in path) for path in first)
    # Nothing is taken out that the exports did not bring.
    assert set(todo.gone) == beside & {"sft/old.png"}


@pytest.mark.parametrize(("held", "expected"), [(False, [1, 2]), (True, [2])])
def test_files_alike_wait_for_the_first_unless_the_storage_has_what_they_hold(held: bool, expected: list[int]) -> None:
    alike = [sent(f"sft/huggingface/data/{number}")._replace(sha256="a" * 64) for number in range(3)]
    todo = pieces(alike, {alike[0].path: Remote(10, "", "a" * 64)} if held else {})
    assert [len(piece) for piece in todo.first] == expected


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 6), st.integers(10, 40))
def test_pieces_are_bounded_in_files_and_bytes(sizes: list[int], most: int, nbytes: int) -> None:
    files = [sent(f"sft/huggingface/data/{number:02}", size) for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(push, "PIECE_FILES", most)
        patch.setattr(push, "PIECE_BYTES", nbytes)
        made = pieces(files, {}).first
    assert [file for piece in made for file in piece] == files
    assert all(len(piece) <= most for piece in made)
    assert all(len(piece) == 1 or sum(file.nbytes for file in piece) <= nbytes for piece in made)


def test_content_that_comes_twice_is_offered_again_only_once_it_is_there() -> None:
    files = [sent(f"sft/{kind}/images/{n}.png")._replace(sha256=str(n % 3)) for kind in "abc" for n in range(5)]
    first = pieces(files, {}).first
    assert sorted(file for piece in first for file in piece) == sorted(files)
    assert [len(piece) for piece in first] == [3, 12]
    assert len({file.sha256 for file in first[0]}) == 3


def test_a_small_file_is_known_by_its_name_in_git(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"hello\n")
    file = Sent("README.md", tmp_path / "README.md", "", 6)
    # `git hash-object` of "hello\n".
    held = Remote(6, "ce013625030ba8dba906f756967f9e9ca394464a", None)
    assert pieces([file], {"README.md": held}).there == (file,)
    assert pieces([file], {"README.md": held._replace(nbytes=7)}).last == (file,)


@pytest.mark.parametrize("to", ["hf://me/demo", "hf://datasets/me/demo", "hf://me/demo/"])
def test_a_target_names_a_data_set(to: str) -> None:
    assert target(to) == "me/demo"


@pytest.mark.parametrize(
    "to", ["me/demo", "hf://demo", "hf://me/de/mo", "https://hub/me/demo", "hf://../x", "hf://me/demo@main"]
)
def test_what_names_none_is_refused(to: str) -> None:
    with pytest.raises(UsageError, match="hf://OWNER/NAME"):
        target(to)
