"""What a recipe may say of a search, and what is refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flows.cli.plan import _tell_provider
from flows.recipe.searching import ImageUse, SearchUse, TextUse
from pipeline.errors import UsageError
from tests.support.command import coldforge

SERPER, LENS = {"provider": "serper"}, {"provider": "lens"}


@pytest.mark.parametrize(
    ("section", "corpus"),
    [
        ("{corpus: own}", True),
        ("{corpus: own, text: {provider: serper}}", True),
        ("{corpus: own, image: {provider: lens}}", True),
        ("{text: {provider: tavily}, image: {provider: lens}}", False),
        ("{corpus: own, text: {provider: searxng, base_url: 'http://127.0.0.1:8080'}, as_of: 2025-01-31}", True),
        ("{corpus: own, mode: record, recording: 2026-12}", True),
        ("{corpus: own, leaks: {deny: [a.example/b], copies: [c.example]}}", True),
    ],
)
def test_each_search_has_somebody_who_answers_it(section: str, corpus: bool) -> None:
    use = SearchUse.model_validate(yaml.safe_load(section))
    assert use.uses_corpus == corpus
    assert use.as_of in {None, "2025-01-31"}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{}", "nobody answers searches for text"),
        ("{text: {provider: serper}}", "nobody answers searches for image"),
        ("{image: {provider: lens}}", "nobody answers searches for text"),
        ("{corpus: own, text: {provider: searxng}}", "give base_url"),
        ("{corpus: own, text: {provider: google}}", "serper"),
        ("{corpus: own, text: {provider: serper, base_url: google.serper.dev}}", "http://"),
        ("{corpus: own, mode: record}", "give search.recording"),
        ("{corpus: own, mode: online}", "replay"),
        ("{corpus: own, recording: a/b}", "pattern"),
        ("{corpus: own, as_of: January}", "pattern"),
        ("{corpus: own, leaks: {deny: ['https://a.example']}}", "pattern"),
        ("{corpus: own, text: {provider: serper, api_key: secret}}", "extra"),
    ],
)
def test_what_cannot_be_is_refused_with_the_fix(section: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SearchUse.model_validate(yaml.safe_load(section))


@pytest.mark.parametrize(
    ("use", "variable"),
    [
        (TextUse(provider="serper"), "SERPER_API_KEY"),
        (TextUse(provider="tavily", api_key_env="OUR_KEY"), "OUR_KEY"),
        (TextUse(provider="searxng", base_url="http://127.0.0.1:8080"), None),
        (ImageUse(provider="lens"), "SERPAPI_API_KEY"),
    ],
)
def test_a_key_is_named_and_asked_for_before_any_work(
    use: TextUse | ImageUse, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert use.key_variable == variable
    for name in (variable, "SERPER_API_KEY", "SERPAPI_API_KEY"):
        monkeypatch.delenv(name or "NONE", raising=False)
    if variable is not None:
        with pytest.raises(UsageError, match=variable):
            _tell_provider(use, "replay")
        monkeypatch.setenv(variable, "secret")
    assert "not asked" in _tell_provider(use, "strict")
    told = _tell_provider(use, "replay")
    assert (variable or "none") in told
    assert "secret" not in told


def test_a_run_stops_before_any_work_where_a_key_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPER_API_KEY", raising=False)
    recipe: dict[str, Any] = {
        "name": "keyless",
        "sources": [{"source": "own.yaml"}],
        "search": {"corpus": "own", "text": SERPER},
        "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
        "models": {
            "base": {"backend": "reader", "policy": "naive"},
            "teachers": [{"backend": "reader", "policy": "careful"}],
        },
    }
    place = tmp_path / "own"
    place.mkdir()
    for name in ("rows", "pages", "gallery"):
        (place / f"{name}.jsonl").write_text("")
    row = {"row": "1", "category": "search", "text": "Which?", "answers": ["a"], "answer_type": "text"}
    (place / "rows.jsonl").write_text(yaml.safe_dump(row, default_flow_style=True, width=999))
    (tmp_path / "own.yaml").write_text("{key: own, kind: jsonl, revision: '1', path: own, licence: CC0-1.0}\n")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = coldforge("run", tmp_path / "recipe.yaml", "--out", tmp_path / "run", code=2)
    assert "$SERPER_API_KEY is not set" in done.stderr
    assert not (tmp_path / "run" / "stages").exists()
