"""Manifests that ship: each is valid, tells what is known of its data, and is refused until they were looked at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.recipe.file import load_recipe
from pipeline.errors import UsageError
from pipeline.manifests import manifests_dir
from pipeline.sources import open_source
from pipeline.sources.guard import refuse_eval_only
from pipeline.sources.manifest import SourceManifest, load_manifest

NAMES = sorted(path.stem for path in (manifests_dir() / "sources").glob("*.yaml"))
OURS = ("demo", "demo_cot", "generic_jsonl", "generic_long_cot")
OTHERS = [name for name in NAMES if name not in OURS]
LICENCES = {
    *("unknown", "Apache-2.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0", "CC0-1.0", "GPL-3.0-only", "MIT"),
    "ODC-By-1.0",
}
"""SPDX identifiers that occur, so that a misspelt one is noticed."""


def shipped(name: str) -> SourceManifest:
    return load_manifest(name)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_is_called_as_its_file_and_has_a_licence(name: str) -> None:
    said = shipped(name)
    assert said.key == name
    assert said.licence in LICENCES


@pytest.mark.parametrize("name", OTHERS)
def test_a_manifest_tells_where_data_are_from_and_whether_anyone_saw_their_columns(name: str) -> None:
    said = shipped(name)
    assert said.schema_ in {"verified", "unverified"}
    assert said.source_url.startswith("https://")
    assert said.columns is not None
    assert {"text", "answers"} <= said.columns.fields().keys()
    # Text alone has no pictures whose terms could be told.
    assert bool(said.licence_images) == ("images" in said.columns.fields())
    assert said.hub is not None or said.get
    assert not said.redistributable or said.licence != "unknown"


@pytest.mark.parametrize("name", OTHERS)
def test_a_revision_is_a_commit_or_left_open(name: str) -> None:
    said = shipped(name)
    assert said.revision is None or re.fullmatch("[0-9a-f]{40}", said.revision)


@pytest.mark.parametrize("name", [name for name in OTHERS if shipped(name).unknown])
def test_what_is_left_open_is_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        open_source(name, tmp_path)
    message = str(error.value)
    assert f"coldforge sources check {name}" in message
    assert f"--write {name}.yaml" in message
    assert ("--data" in message) == ("path" in shipped(name).unknown)


@pytest.mark.parametrize("name", OTHERS)
def test_no_manifest_that_ships_is_of_an_evaluation_set(name: str) -> None:
    refuse_eval_only(*load_manifest(name))


def test_the_recipe_of_deepeyesv2_names_what_ships() -> None:
    recipe = load_recipe(manifests_dir() / "recipes" / "deepeyesv2.yaml")
    named = [use.source for use in recipe.sources]
    assert set(named) <= set(OTHERS)
    assert any(shipped(name).lane == "long_cot" for name in named)


def test_the_table_of_the_documentation_is_that_of_the_files() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \|", line) and line.count("|") == 7]
    assert [row for row in rows if row.split("`")[1] in OTHERS] == [documented(name) for name in OTHERS]


def documented(name: str) -> str:
    """The row of a manifest in the table of docs/sources.md."""
    said = shipped(name)
    data = f"`{said.hub}`" if said.hub else f"your copy, `{said.kind}`"
    graded = said.metric or said.lane or "by type"
    return f"| `{name}` | {data} | {said.licence} | {graded} | {said.schema_} | {'yes' if said.teacher_terms else ''} |"
