"""Many pictures: each is asked for once, links are told from servers and from networks that are down."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError
from pipeline.fetch.pictures import LOST, SILENT, fetch_pictures
from pipeline.fetch.recorded import Fetch, Fetched, fetched
from pipeline.store import Store
from tests.support.servers.picture_server import HERE, PNG, QUICK, SHORT, PictureServer, picture_server

SHA256 = hashlib.sha256(PNG).hexdigest()
CAME = Fetched(SHA256, "")
IN_FLIGHT = 8


def served(store: Path, act: Callable[[PictureServer, Store], Awaitable[None]]) -> None:
    async def main() -> None:
        with Store(store) as opened:
            async with picture_server() as server:
                await act(server, opened)

    asyncio.run(main())


async def led_to(
    server: PictureServer, store: Store, urls: Iterable[str], *, again: bool = False, in_flight: int = IN_FLIGHT
) -> dict[str, Fetched]:
    """What is recorded of some URLs after they were fetched."""
    urls, fetch = list(urls), Fetch(ports=(server.port,), in_flight=in_flight)
    await fetch_pictures(urls, fetch, store, again=again, downloader=server.downloader)
    return fetched(store, fetch, urls)


def test_each_is_asked_for_once_and_recorded_with_what_came(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        good, gone, page = (server.url(path) for path in ("/a.png", "/status/404", "/html"))
        inside = f"http://127.0.0.1:{server.port}/a.png"
        expected = {
            good: CAME,
            gone: Fetched("", "the server answered 404"),
            page: Fetched("", "no picture: HTML page"),
            inside: Fetched("", "refused: address 127.0.0.1, which is not public"),
        }
        assert await led_to(server, store, [good, gone, page, inside, good]) == expected
        assert store.blobs.get(SHA256) == PNG
        assert await led_to(server, store, expected) == expected
        assert set(server.asked.values()) == {1}
        # Asked anew: what failed, and nothing that came.
        assert await led_to(server, store, expected, again=True) == expected
        assert server.asked == {"/a.png": 1, "/status/404": 2, "/html": 2}

    served(tmp_path, act)


def test_the_record_tells_people_url_time_and_where_it_led(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        await led_to(server, store, [server.url("/redirect/1")])
        with sqlite3.connect(store.calls.path) as db:
            [(kind, facts, finished)] = db.execute("SELECT kind, facts, finished FROM calls").fetchall()
        assert (kind, finished > 0) == ("fetch", True)
        assert json.loads(facts) == {"url": server.url("/redirect/1"), "at": server.url("/picture.png")}

    served(tmp_path, act)


def test_what_is_gone_from_the_store_is_fetched_again(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        url = server.url("/a.png")
        await led_to(server, store, [url])
        store.blobs.path(SHA256).unlink()
        assert await led_to(server, store, [url]) == {url: CAME}
        assert store.blobs.get(SHA256) == PNG

    served(tmp_path, act)


def test_busy_and_failing_servers_are_asked_again_and_few_at_a_time(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        urls = [server.url(f"/third/{number}") for number in range(12)]
        assert set((await led_to(server, store, urls)).values()) == {CAME}
        assert set(server.asked.values()) == {3}
        assert server.most_at_once <= Fetch().per_host

    served(tmp_path, act)


def test_a_host_that_says_when_to_come_back_is_left_alone_until_then(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        urls = [server.url(f"/busy/{number}") for number in range(6)]
        fetch = Fetch(ports=(server.port,), per_host=1)
        await fetch_pictures(urls, fetch, store, downloader=server.downloader)
        assert set(fetched(store, fetch, urls).values()) == {CAME}
        first, *others = server.times
        assert min(others) - first >= 1.0

    served(tmp_path, act)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/status/500", "the server answered 500"), ("/cut", "broken off"), ("/drip", "timed out"), ("/later", "429")],
)
def test_what_fails_while_its_host_gives_others_is_the_links_fault(tmp_path: Path, path: str, said: str) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        server.bounds = SHORT if path == "/drip" else QUICK
        bad, good = server.url(path), server.url("/a.png")
        found = await led_to(server, store, [bad, good])
        assert found[good] == CAME
        assert said in found[bad].failure
        assert server.asked[path] == (1 if path == "/later" else 3)

    served(tmp_path, act)


@pytest.mark.parametrize("known", [False, True])
def test_of_hosts_that_are_gone_all_is_recorded_and_few_is_asked(tmp_path: Path, known: bool) -> None:
    """Also where nothing else is left to fetch, such as after a kill: then what came before is asked again."""

    async def act(server: PictureServer, store: Store) -> None:
        good = server.url("/a.png")
        gone = [f"http://{host}.test:{server.port}/{n}" for host in ("gone", "left", "ended") for n in range(30)]
        if known:
            await led_to(server, store, [good])
        found = await led_to(server, store, [good, *gone])
        assert found[good] == CAME
        assert all("no such host" in found[url].failure or "its host gave none" in found[url].failure for url in gone)
        asked = [name for name in server.names.asked if name != "pictures.test"]
        assert len(asked) <= 3 * (SILENT + Fetch().per_host)

    served(tmp_path, act)


def test_what_came_before_may_be_gone_of_one_host_and_still_show_that_the_network_is_there(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        server.names.answers |= {f"{name}.test": [[HERE]] for name in ("one", "two")}
        await led_to(server, store, [server.url("/a.png", "one.test"), server.url("/a.png", "two.test")])
        del server.names.answers["one.test"]
        left = server.url("/a.png", "gone.test")
        known = [server.url("/a.png", "one.test"), server.url("/a.png", "two.test")]
        assert "no such host" in (await led_to(server, store, [*known, left]))[left].failure

    served(tmp_path, act)


def test_without_a_network_hosts_that_fail_all_at_once_are_told_of_as_others(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        urls = [f"http://host{number}.test:1/a.png" for number in range(4 * LOST)]
        server.names.answers.update({f"host{number}.test": [[HERE]] for number in range(len(urls))})
        server.port = 1
        with pytest.raises(InfrastructureError, match=r"none came of the hosts asked last .*, such as http.*run again"):
            await led_to(server, store, urls, in_flight=3 * LOST)
        assert fetched(store, Fetch(ports=(1,)), urls) == {}

    served(tmp_path, act)


@pytest.mark.parametrize("many", [1, 3 * LOST])
@pytest.mark.parametrize("down", ["names", "every name", "connections", "servers"])
def test_without_a_network_nothing_is_recorded_and_the_run_stops(tmp_path: Path, many: int, down: str) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        names = server.names
        port = server.port
        urls = [f"http://host{number}.test:{port}/a.png" for number in range(many)]
        if down != "every name":
            names.answers.update({f"host{number}.test": [[HERE]] for number in range(many)})
        names.down, server.broken = down == "names", down == "servers"
        if down == "connections":
            server.port = 1
            urls = [url.replace(f":{port}", ":1") for url in urls]
        with pytest.raises(InfrastructureError, match=r"none came of the hosts asked last .*, such as http.*run again"):
            await led_to(server, store, urls)
        assert len(names.asked) <= (LOST + IN_FLIGHT) * QUICK.tries
        assert fetched(store, Fetch(ports=(server.port,)), urls) == {}
        # The network is back.
        server.port, names.down, server.broken = port, False, False
        names.answers.update({f"host{number}.test": [[HERE]] for number in range(many)})
        urls = [f"http://host{number}.test:{port}/a.png" for number in range(many)]
        assert set((await led_to(server, store, urls)).values()) == {CAME}

    served(tmp_path, act)


def test_a_name_refused_for_its_address_shows_no_network(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        server.names.answers["intranet.test"] = [["10.0.0.7"]]
        intranet, gone = server.url("/a.png", "intranet.test"), server.url("/a.png", "gone.test")
        with pytest.raises(InfrastructureError, match="none came of the hosts asked last"):
            await led_to(server, store, [intranet, gone])
        assert fetched(store, Fetch(ports=(server.port,)), [intranet, gone]) == {}
        # With a host that answers, both are the links' fault.
        good = server.url("/a.png")
        found = await led_to(server, store, [intranet, gone, good])
        assert found[intranet].failure == "refused: address 10.0.0.7, which is not public"
        assert "no such host" in found[gone].failure
        assert found[good] == CAME

    served(tmp_path, act)


def test_a_server_that_sends_to_a_private_address_has_answered(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        server.names.answers["intranet.test"] = [["10.0.0.7"]]
        sent = server.url(f"/to?url=http://intranet.test:{server.port}/a.png")
        found = await led_to(server, store, [sent])
        assert found[sent].failure == "refused: address 10.0.0.7, which is not public"

    served(tmp_path, act)


def test_a_host_that_gave_some_and_then_goes_down_stops_the_run_which_resumes(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        urls = [server.url(f"/{number}.png") for number in range(200)]
        server.breaks_after = 60
        with pytest.raises(InfrastructureError, match=r"pictures\.test gave some, and then none"):
            await led_to(server, store, urls)
        came = fetched(store, Fetch(ports=(server.port,)), urls)
        assert 0 < len(came) < 200
        assert set(came.values()) == {CAME}
        server.broken, server.breaks_after = False, None
        server.asked.clear()
        assert set((await led_to(server, store, urls)).values()) == {CAME}
        assert server.asked.total() == 200 - len(came)

    served(tmp_path, act)


def test_two_sources_at_once_ask_for_each_once(tmp_path: Path) -> None:
    async def act(server: PictureServer, store: Store) -> None:
        urls = [server.url(f"/{number}.png") for number in range(40)]
        both = await asyncio.gather(led_to(server, store, urls), led_to(server, store, urls))
        assert both[0] == both[1] == dict.fromkeys(urls, CAME)
        assert set(server.asked.values()) == {1}

    served(tmp_path, act)
