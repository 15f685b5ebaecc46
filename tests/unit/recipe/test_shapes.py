"""A field with a pattern says in words what it has to be, and quotes what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flows.recipe.recipe import Recipe
from pipeline.errors import UsageError
from pipeline.manifests import SHAPES
from pipeline.sources.manifest import SourceManifest, load_manifest
from tests.unit.cli.test_cli import RECIPE, refused


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for part in schema.values():
            yield from patterns(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns(part)


@pytest.mark.parametrize("model", [Recipe, SourceManifest])
def test_every_pattern_of_a_file_that_people_write_has_its_words(model: type[BaseModel]) -> None:
    found = set(patterns(model.model_json_schema()))
    assert found
    assert found <= SHAPES.keys()


@pytest.mark.parametrize("name", ["My run", "", "ä", "x" * 70 + "!"])
def test_a_wrong_name_of_a_recipe_or_source_is_quoted_with_what_a_name_is(tmp_path: Path, name: str) -> None:
    manifest, recipe = tmp_path / "source.yaml", tmp_path / "recipe.yaml"
    manifest.write_text(f"key: '{name}'\nkind: jsonl\nrevision: '1'\npath: own\nlicence: CC0-1.0\n")
    recipe.write_text(RECIPE.replace("name: tiny", f"name: '{name}'"))
    with pytest.raises(UsageError) as raised:
        load_manifest(str(manifest))
    for message in (str(raised.value), refused("run", recipe, "--out", tmp_path / "out")):
        assert f"{name[:60]!r}" in message
        assert "of small letters, digits, - and _" in message
        assert "^" not in message
