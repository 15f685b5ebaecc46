"""A run with searches is made again from what was recorded, with the network off, or it stops at what is missing."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipeline.dialects import by_name
from pipeline.engine.done import Finished
from pipeline.errors import UsageError
from pipeline.identity import canonical_json
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.records import DroppedHit, Trajectory
from pipeline.store.calls import CallCache
from pipeline.tools.search.asked import NotRecordedError
from tests.support.curated import RECIPE, Scripted, curated, write_corpus
from tests.support.servers.search_servers import KEYS, Body, SearchServer, serper

LEAK = {"title": "Cellars", "link": "https://quizlet.com/1/cellars", "snippet": "Which thing is in the cellar?"}


def found() -> Body:
    body = serper(3)
    young = {**body["organic"][0], "link": "https://mill.example/young", "date": "Mar 1, 2025"}
    return body | {"organic": [LEAK, young, *body["organic"]]}


def recipe(base: str, **search: Any) -> dict[str, Any]:
    text = {"provider": "serper", "base_url": base}
    return {
        **RECIPE,
        "sources": RECIPE["sources"][:1],
        "export": {**RECIPE.get("export", {}), "withheld_images": "keep"},
        "search": {"corpus": "library.yaml", "text": text, "as_of": "2024-06-01", **search},
    }


@pytest.fixture(scope="module", autouse=True)
def _searching() -> Iterator[None]:
    """Models that search where they would run code, and a key."""
    generate = Scripted.generate

    async def searches(self: Scripted, request: ChatRequest, samples: list[int]) -> list[ChatResponse]:
        made = await generate(self, request, samples)
        query = f"cellar {len(str(request.messages[1].parts)) % 3}"
        call = by_name("deepeyesv2").render_turn("I look it up.", "search", canonical_json({"query": query}))
        return [one.model_copy(update={"text": call}) if "<code>" in one.text else one for one in made]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scripted, "generate", searches)
        patch.setenv("SERPER_API_KEY", KEYS["serper"])
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("cellars") / "place", texts=0)


@pytest.fixture(scope="module")
def recorded(place: Path, _searching: None) -> Mapping[str, Finished]:
    """The run that asks: each query once, whoever searches for it."""
    server = SearchServer("serper", found)
    with server.in_thread() as base:
        done = curated(place, recipe(base), "recorded")
    asked = [request["q"] for request in server.requests]
    assert sorted(asked) == sorted(set(asked))
    assert asked
    return done


def no_network(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, refuse)
    patch.setattr("asyncio.base_events.BaseEventLoop.create_connection", refuse)


def exported(run: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(run)): file.read_bytes() for file in sorted(run.rglob("export/**/*")) if file.is_file()
    }


def trajectories(done: Mapping[str, Finished]) -> list[Trajectory]:
    tables = (done[stage].records(table, Trajectory) for stage, table in TABLES)
    return [trajectory for table in tables for trajectory in table]


TABLES = (("gate2", "trajectories"), ("synthesize", "trajectories"))


def test_a_run_with_searches_is_made_again_byte_by_byte_with_the_network_off(
    place: Path, recorded: Mapping[str, Finished]
) -> None:
    searching = [one for one in trajectories(recorded) if any(turn.action == "search" for turn in one.turns)]
    assert searching
    with pytest.MonkeyPatch.context() as patch:
        no_network(patch)
        patch.delenv("SERPER_API_KEY")  # nobody is asked, so that nobody needs a key
        again = curated(place, recipe("http://127.0.0.1:1", mode="strict"), "again")
    assert trajectories(again) == trajectories(recorded)
    assert len(exported(place / "again")) > 5
    assert exported(place / "again") == exported(place / "recorded")
    assert {name: one.fingerprint for name, one in again.items()} == {
        name: one.fingerprint for name, one in recorded.items()
    }


def test_what_is_dropped_is_evidence_and_never_shown(recorded: Mapping[str, Finished]) -> None:
    dropped = [hit for name, _ in TABLES for hit in recorded[name].records("dropped_hits", DroppedHit)]
    assert {(hit.reason, hit.url) for hit in dropped} == {
        ("denied_site", LEAK["link"]),
        ("after_as_of", "https://mill.example/young"),
    }
    shown = "\n".join(str(turn.observation) for one in trajectories(recorded) for turn in one.turns)
    assert "https://mill.example/1" in shown
    assert "quizlet" not in shown
    assert "mill.example/young" not in shown
    searched = {
        (one.id, turn) for one in trajectories(recorded) for turn, said in enumerate(one.turns) if said.images == ()
    }
    assert {(hit.trajectory_id, hit.turn) for hit in dropped} <= searched


def test_the_card_tells_whose_pictures_a_search_may_have_brought(place: Path, recorded: Mapping[str, Finished]) -> None:
    assert recorded
    card = (place / "recorded" / "export" / "sft" / "huggingface" / "README.md").read_text()
    assert "library and serper (pictures found)" in card
    assert "found by serper: each hit under the terms of its own page" in card


def test_a_search_that_is_not_recorded_stops_a_strict_run_before_anybody_is_asked(tmp_path: Path) -> None:
    server = SearchServer("serper", found)
    with server.in_thread() as base, pytest.raises(NotRecordedError, match="text_search 'cellar"):
        curated(write_corpus(tmp_path / "place", texts=0), recipe(base, mode="strict"), "strict")
    assert server.requests == []


def test_a_recording_is_begun_once_and_then_read(place: Path, recorded: Mapping[str, Finished]) -> None:
    server = SearchServer("serper", found)
    with server.in_thread() as base:
        with pytest.raises(UsageError, match=r"search\.recording: the store holds no recording 'second'"):
            curated(place, recipe(base, recording="second"), "unbegun")
        curated(place, recipe(base, mode="record", recording="second"), "anew")
        asked = len(server.requests)
        assert asked >= 1
        curated(place, recipe(base, recording="second"), "read")
        assert len(server.requests) == asked
    assert len(list(recorded["gate2"].records("trajectories", Trajectory))) > 0


def test_leak_rules_that_change_ask_nobody_again(
    place: Path, recorded: Mapping[str, Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    del recorded
    made: list[str] = []
    once = CallCache.once

    async def counted(self: CallCache, kind: Any, key: str, make: Any, slot: Any = None) -> Any:
        if kind == "search":
            made.append(key)
        return await once(self, kind, key, make, slot)

    monkeypatch.setattr(CallCache, "once", counted)
    done = curated(place, recipe("http://127.0.0.1:1", leaks={"deny": ["mill.example/2"]}, as_of=None), "other")
    assert made  # each answered by the store: nobody listens at that address
    reasons = {hit.url for name, _ in TABLES for hit in done[name].records("dropped_hits", DroppedHit)}
    assert reasons == {LEAK["link"], "https://mill.example/2"}
