"""Where there is nothing to search, nobody is told of a search: no prompt, no tool list, no export."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.models.chat import ChatRequest, Text
from tests.support import curated
from tests.support.curated import RECIPE, Scripted, write_corpus


def texts(export: Path) -> dict[str, str]:
    """Return all that an export says, by file: pictures excepted."""
    found = {}
    for file in sorted(path for path in export.rglob("*") if path.is_file()):
        name = str(file.relative_to(export))
        if file.suffix == ".parquet":
            found[name] = json.dumps(pq.read_table(file).to_pylist(), default=repr, ensure_ascii=False)
        elif file.suffix not in {".png", ".jpg", ".webp"}:
            found[name] = file.read_text(encoding="utf-8")
    return found


@pytest.mark.parametrize("dialect", ["deepeyesv2", "tool_call"])
@pytest.mark.parametrize("search", [False, True])
def test_a_run_speaks_of_a_search_only_where_there_is_one(
    tmp_path: Path, dialect: str, search: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    generate = Scripted.generate

    async def remembered(self: Scripted, request: ChatRequest, samples: list[int]) -> object:
        parts = [part for message in request.messages for part in message.parts if isinstance(part, Text)]
        asked.append(request.tools + "\n".join(part.text for part in parts))
        return await generate(self, request, samples)

    monkeypatch.setattr(Scripted, "generate", remembered)
    # The word stands in data, too: a category of questions has this name.
    monkeypatch.setattr(curated, "CATEGORIES", ("perception", "reasoning", "perception"))
    place = write_corpus(tmp_path / "place")
    teachers = RECIPE["models"]["teachers"]
    models = RECIPE["models"] | {"teachers": [teachers[0] | {"tools_api": "native"}, teachers[1]]}
    changes = {"dialect": dialect, "export": {}} | ({"models": models} if dialect == "tool_call" else {})
    recipe = RECIPE | changes | ({} if search else {"search": None})
    curated.curated(place, recipe, "run")
    exported = texts(place / "run" / "export")
    assert len(exported) > 10
    # Programs of kits are the same for every run; `kit.json`, and the manifest that it is made of, say if there is one.
    own = {
        name: text.replace('"search": false', "")
        for name, text in exported.items()
        if not re.search(r"/kit/(.*\.py|kit\.json)$", name)
    }
    speaking = [name for name, text in own.items() if "search" in text.lower()]
    assert bool(speaking) == search, speaking
    assert any("search" in text.lower() for text in asked) == search
