"""Every provider, in every mode, at every failure: what it is sent, what of its answers counts, and what is stored.

The servers are local ones of the providers' own protocols.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import GivenUpError, InfrastructureError, UsageError
from pipeline.models.client import UNUSABLE_TRIES, Retry
from pipeline.tools.search.asked import Found, Mode, NotRecordedError
from pipeline.tools.search.hits import ImageHit, TextHit
from pipeline.tools.search.web import LONGEST_QUERY, Locale
from tests.support.searching import ASKING, MODES, PROVIDERS, PUBLIC, TRIES, asked, hits
from tests.support.servers.openai_server import DROPPED, GARBAGE, HANGING, RESET, Reply
from tests.support.servers.search_servers import KEYS, Body, SearchServer, lens, said, searxng, serper, tavily


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, variable in (("serper", "SERPER_API_KEY"), ("tavily", "TAVILY_API_KEY"), ("lens", "SERPAPI_API_KEY")):
        monkeypatch.setenv(variable, KEYS[provider])


EMPTY: Mapping[str, Body] = {
    "serper": serper(0),
    "tavily": tavily(0),
    "searxng": searxng(0),
    "lens": lens([]),
}
ODD: Mapping[str, Any] = {
    "no object": ["a list"],
    "no results": {"status": "ok"},
    "results are none": {"organic": None, "results": None, "search_metadata": None},
    "a hit without an address": {
        "organic": [{"title": "A"}],
        "results": [{"title": "A"}],
        "search_metadata": {"status": "Success"},
        "visual_matches": [{"title": "A"}],
    },
    "a hit that is text": {
        "organic": ["A"],
        "results": ["A"],
        "search_metadata": {"status": "Success"},
        "visual_matches": ["A"],
    },
    "a title that is a number": {
        "organic": [{"title": 1, "link": "https://a.example"}],
        "results": [{"title": 1, "url": "https://a.example"}],
        "search_metadata": {"status": "Success"},
        "visual_matches": [{"title": 1, "link": "https://a.example"}],
    },
}
PASSING: Mapping[str, Reply] = {
    "busy": Reply(429, '{"message": "Too many requests"}'),
    "busy with a date to come back": Reply(429, "{}", headers={"Retry-After": "0"}),
    "failing": Reply(500, "oops"),
    "away": Reply(503, "<html>down</html>"),
    "reset": RESET,
    "dropped": DROPPED,
    "no JSON": GARBAGE,
    **{f"malformed: {name}": said(body) for name, body in ODD.items()},
}
"""Each passes, or may: it is asked again."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_in_a_mode(provider: str, mode: Mode, tmp_path: Path) -> None:
    """Asked and stored, asked each time, or not asked at all; the same hits whatever the mode."""
    done = asked(tmp_path, provider, mode, times=2)
    if mode == "strict":
        assert all(isinstance(one, NotRecordedError) for one in done.found)
        assert (done.requests, done.stored) == ([], 0)
        return
    first, second = done.found
    expected = [("Mill 1", "https://mill.example/1"), ("Mill 2", "https://mill.example/2")]
    assert hits(first)[:2] == hits(second)[:2] == expected
    assert len(done.requests) == (2 if mode == "live" else 1)
    assert done.stored == (0 if mode == "live" else 1)
    strict = asked(tmp_path, provider, "strict")
    assert (strict.requests, isinstance(strict.found[0], NotRecordedError)) == ([], mode != "replay")


@pytest.mark.parametrize("mode", ASKING)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_passes_is_asked_again_and_never_stored(provider: str, mode: Mode, tmp_path: Path) -> None:
    """Each failure of `PASSING` twice, then an answer."""
    met = [reply for fault in PASSING.values() for reply in (fault, fault, None)]
    done = asked(tmp_path, provider, mode, faults=met, times=len(PASSING), vary=True)
    for fault, found in zip(PASSING, done.found, strict=True):
        assert hits(found)[:1] == [("Mill 1", "https://mill.example/1")], fault
    assert done.stored == (0 if mode == "live" else len(PASSING))
    assert "oops" not in done.text


@pytest.mark.parametrize("mode", ASKING)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_does_not_pass_is_a_failure_and_no_empty_result(provider: str, mode: Mode, tmp_path: Path) -> None:
    # A GET on a connection that is lost is sent once more by aiohttp itself.
    faults = {name: fault for name, fault in PASSING.items() if fault is not RESET}
    met = [fault for fault in faults.values() for _ in range(TRIES)]
    done = asked(tmp_path, provider, mode, faults=met, times=len(faults), vary=True)
    for fault, found in zip(faults, done.found, strict=True):
        assert isinstance(found, InfrastructureError), fault
    assert (len(done.requests), done.stored) == (TRIES * len(faults), 0)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_is_never_there_is_a_failure(provider: str, tmp_path: Path) -> None:
    done = asked(tmp_path, provider, "replay", faults=[RESET] * 99)
    assert isinstance(done.found[0], InfrastructureError)
    assert done.stored == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_says_nothing_is_given_up(provider: str, tmp_path: Path) -> None:
    done = asked(tmp_path, provider, "replay", faults=[HANGING] * 9, timeout=0.05)
    assert isinstance(done.found[0], InfrastructureError)
    assert (len(done.requests), done.stored) == (TRIES, 0)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_that_is_none_is_given_up_before_patience_ends(provider: str, tmp_path: Path) -> None:
    patient = Retry(patience_seconds=300, first_pause_seconds=0.001)
    done = asked(tmp_path, provider, "replay", faults=[GARBAGE] * 99, retry=patient)
    assert isinstance(done.found[0], GivenUpError)
    assert len(done.requests) == UNUSABLE_TRIES


@pytest.mark.parametrize("mode", ASKING)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_a_provider_that_says_so_has_found_nothing(provider: str, mode: Mode, tmp_path: Path) -> None:
    done = asked(tmp_path, provider, mode, answer=lambda _: EMPTY[provider], times=2)
    assert [hits(found) for found in done.found] == [[], []]
    assert done.stored == (0 if mode == "live" else 1)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("mode", ASKING)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_of_the_key_stops_at_once_and_tells_no_key(
    provider: str, mode: Mode, status: int, tmp_path: Path
) -> None:
    key = KEYS.get(provider, "no-key")
    done = asked(tmp_path, provider, mode, faults=[said({"message": f"Unauthorized: {key}"}, status)])
    (error,) = done.found
    assert isinstance(error, UsageError)
    assert (len(done.requests), done.stored) == (1, 0)
    assert provider == "searxng" or key not in str(error)
    if provider == "searxng":
        assert ("search.formats" in str(error)) == (status == 403)
    else:
        assert "API_KEY" in str(error)


def test_no_message_of_a_lost_connection_tells_a_key_that_is_part_of_the_address(tmp_path: Path) -> None:
    for fault in (RESET, DROPPED, Reply(404, "no"), Reply(500, KEYS["lens"])):
        done = asked(tmp_path, "lens", "replay", faults=[fault] * 9)
        for key in ("serpapi/key", "serpapi%2Fkey"):
            assert key not in str(done.found[0])


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        ("serper", said({"message": "Not enough credits", "statusCode": 400}, 400)),
        ("tavily", said({"detail": {"error": "This request exceeds your plan's set usage limit"}}, 432)),
        ("tavily", said({"detail": {"error": "This request exceeds the pay-as-you-go limit"}}, 433)),
        ("lens", said({"error": "pay"}, 402)),
    ],
)
def test_an_account_that_is_used_up_stops_the_run_and_is_not_asked_again(
    provider: str, fault: Reply, tmp_path: Path
) -> None:
    done = asked(tmp_path, provider, "replay", faults=[fault])
    assert isinstance(done.found[0], GivenUpError)
    assert (len(done.requests), done.stored) == (1, 0)


@pytest.mark.parametrize("pages", [0, 2])
def test_an_engine_of_searxng_that_is_silent_is_a_failure_whatever_the_others_found(pages: int, tmp_path: Path) -> None:
    partial = searxng(pages, [["google", "Suspended: CAPTCHA"], ["qwant", "timeout"]])
    done = asked(tmp_path, "searxng", "replay", answer=lambda _: partial)
    assert isinstance(done.found[0], InfrastructureError)
    assert "google: Suspended: CAPTCHA, qwant: timeout" in str(done.found[0])
    assert "search.text.engines" in str(done.found[0])
    assert (len(done.requests), done.stored) == (TRIES, 0)


@pytest.mark.parametrize("status", ["Error", "Processing", "Queued"])
def test_a_search_of_serpapi_that_is_not_done_is_no_empty_one(status: str, tmp_path: Path) -> None:
    done = asked(tmp_path, "lens", "replay", answer=lambda _: lens([], status))
    assert isinstance(done.found[0], InfrastructureError)
    assert (len(done.requests), done.stored) == (TRIES, 0)


def test_what_providers_are_sent(tmp_path: Path) -> None:
    locale = Locale("ja", "jp", ("brave", "startpage"))
    query = "mill " * 200
    sent = {name: asked(tmp_path / name, name, "replay", query=query, locale=locale).requests[0] for name in PROVIDERS}
    short = query.strip()[:LONGEST_QUERY]
    assert sent["serper"] == {"q": short, "gl": "jp", "hl": "ja", "num": "10"}
    assert sent["tavily"] == {"query": short, "max_results": "10", "search_depth": "basic", "topic": "general"}
    assert sent["searxng"] == {
        "q": short,
        "format": "json",
        "language": "ja",
        "pageno": "1",
        "engines": "brave,startpage",
    }
    assert sent["lens"] == {
        "engine": "google_lens",
        "type": "visual_matches",
        "hl": "ja",
        "country": "jp",
        "url": PUBLIC,
    }


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_key_and_no_address_of_ours_is_stored(provider: str, tmp_path: Path) -> None:
    done = asked(tmp_path, provider, "replay")
    assert KEYS.get(provider, "\0") not in done.text
    assert "127.0.0.1" not in done.text
    with closing(sqlite3.connect(tmp_path / "calls.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM calls WHERE kind = 'search'").fetchone() == (1,)


@pytest.mark.parametrize("provider", PROVIDERS[:3])
def test_equal_queries_are_one_search_however_they_are_spaced(provider: str, tmp_path: Path) -> None:
    for query in ("Zürich mill", " Zu\u0308rich \n mill "):
        done = asked(tmp_path, provider, "replay", query=query)
    assert (done.requests, done.stored) == ([], 1)
    assert asked(tmp_path, provider, "replay", query="zürich mill").stored == 2
    assert asked(tmp_path, provider, "replay", query=" \n ").requests == []


@pytest.mark.parametrize("provider", PROVIDERS[:3])
def test_dates_are_kept_as_written_and_as_days(provider: str, tmp_path: Path) -> None:
    (found,) = asked(tmp_path, provider, "replay").found
    assert isinstance(found, Found)
    first, second = found.hits
    assert isinstance(first, TextHit)
    assert isinstance(second, TextHit)
    assert first.date is not None
    assert (first.published, second.date, second.published) == ("2024-01-05", None, None)


def test_a_picture_that_is_not_public_is_never_asked_for(tmp_path: Path) -> None:
    """What comes back is no result, empty or not: the rollout is told that there is no search for it."""
    done = asked(tmp_path, "lens", "replay", url=None)
    assert isinstance(done.found[0], AssertionError)  # of `_once`: None
    assert (done.requests, done.stored) == ([], 0)


def test_a_thumbnail_that_cannot_be_had_leaves_a_hit_without_a_picture(tmp_path: Path) -> None:
    """A file that is none, a dead link, and a host that is not one of those that serve thumbnails."""
    done = asked(tmp_path, "lens", "replay")
    (found,) = done.found
    assert isinstance(found, Found)
    pictures = [hit.thumbnail for hit in found.hits if isinstance(hit, ImageHit)]
    assert [image is not None for image in pictures] == [True, False, False, False]
    near = found.hits[0]
    assert isinstance(near, ImageHit)
    assert near.phash_bits is not None


def test_a_host_of_thumbnails_that_fails_is_a_failure_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tools.search.thumbnails.jittered_pause", lambda *_: 0.0)

    async def failing(_: object, request: Any) -> Any:
        del request
        from aiohttp import web

        return web.Response(status=503)

    monkeypatch.setattr(SearchServer, "_picture", failing)
    done = asked(tmp_path, "lens", "replay")
    assert isinstance(done.found[0], InfrastructureError)
    assert done.stored == 0
