"""Servers and engines that a stage starts, in an environment of their own that holds a stand-in for vLLM."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import venv
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from PIL import Image as Pillow

from flows.recipe.roles import OfflineRole, ServerRole
from flows.run.models import Launches
from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.models.chat import ChatModel, ChatRequest, ChatResponse, Image, Message, Sampling, Text
from pipeline.models.local.launch import Address, Serve, start_server
from pipeline.models.local.offline import Offline
from pipeline.models.local.served import Served
from pipeline.models.providers.openai import Server
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.command import ROOT, start

T = TypeVar("T")
SERVE = Serve(model="some/model@abc")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with the stand-in."""
    home = tmp_path_factory.mktemp("vllm") / "env"
    venv.create(home, symlinks=True)
    site = next(home.glob("lib/python3*/site-packages"))
    # For aiohttp and Pillow; nothing of ours is on this path.
    (site / "ours.pth").write_text(str(Path(Pillow.__file__).parents[1]))
    fakes = {
        "utils/argparse_utils": "from vllm import FlexibleArgumentParser",
        "sampling_params": "StructuredOutputsParams = dict",
        "entrypoints/openai/api_server": "import sys\nfrom vllm import serve\nserve(sys.argv[1:])",
    }
    for name, source in fakes.items():
        (site / "vllm" / name).parent.mkdir(parents=True, exist_ok=True)
        (site / "vllm" / f"{name}.py").write_text(source)
    shutil.copy(ROOT / "tests" / "support" / "servers" / "fake_vllm.py", site / "vllm" / "__init__.py")
    return home / "bin" / "python"


@pytest.fixture(autouse=True)
def _named(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDFORGE_VLLM_PYTHON", str(environment))


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def served(blobs: BlobStore, launches: Launches, serve: Serve = SERVE) -> Served:
    return launches.served("m@1", serve, lambda url: Server(url, "m@1", "openai/m@1", blobs), in_flight=64)


def offline(blobs: BlobStore, launches: Launches, serve: Serve = SERVE) -> Offline:
    return launches.offline(OfflineRole(backend="vllm_offline", model="m@1", serve=serve), blobs)


Open = Callable[[BlobStore, Launches], Served | Offline]
BOTH = pytest.mark.parametrize("open_model", [served, offline])


def request(text: str = "How many?", *images: Image) -> ChatRequest:
    parts = (*images, Text(text=text))
    return ChatRequest(model="m", messages=(Message(role="user", parts=parts),), sampling=Sampling(), seed=3)


def talk(open_model: Open, blobs: BlobStore, work: Callable[[Served | Offline], Awaitable[T]]) -> T:
    async def main() -> T:
        model = open_model(blobs, Launches())
        try:
            return await asyncio.wait_for(work(model), 60)
        finally:
            await model.aclose()

    return asyncio.run(main())


async def texts(model: ChatModel, asked: ChatRequest, *samples: int) -> list[str]:
    return [response.text for response in await model.generate(asked, samples)]


def processes(of: Path) -> list[int]:
    """Pids of what runs in an environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(of).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@BOTH
def test_nothing_starts_before_it_is_asked_and_nothing_stays(
    open_model: Open, blobs: BlobStore, environment: Path
) -> None:
    async def work(model: Served | Offline) -> list[str]:
        await model.check()
        assert processes(environment) == []
        answers = await texts(model, request(), 0, 1)
        assert processes(environment) != []
        await model.aclose()
        assert processes(environment) == []
        # Whoever asks again starts it again.
        return [*answers, *await texts(model, request(), 2)]

    expected = [f"<answer>How many? {seed}</answer>" for seed in (3, 4, 5)]
    assert talk(open_model, blobs, work) == expected
    assert processes(environment) == []


@BOTH
def test_many_who_ask_at_once_share_one_start(open_model: Open, blobs: BlobStore) -> None:
    async def work(model: Served | Offline) -> list[str]:
        alone = await asyncio.gather(*(texts(model, request(), sample) for sample in range(40)))
        return [text for (text,) in alone]

    assert talk(open_model, blobs, work) == [f"<answer>How many? {3 + sample}</answer>" for sample in range(40)]


@pytest.mark.parametrize("one", [served, offline])
def test_roles_that_serve_the_same_share_it(one: Open, blobs: BlobStore, environment: Path) -> None:
    async def main() -> None:
        launches = Launches()
        first, second = one(blobs, launches), one(blobs, launches)
        await texts(first, request(), 0)
        before = processes(environment)
        await texts(second, request(), 0)
        assert processes(environment) == before
        await second.aclose()
        assert processes(environment) == []
        await texts(first, request(), 0)
        await first.aclose()

    asyncio.run(main())


@BOTH
def test_a_start_that_fails_is_tried_once_and_says_why(open_model: Open, blobs: BlobStore) -> None:
    async def main() -> None:
        failing = Serve(model="some/model", flags=("--fail", "1"))
        model = served(blobs, Launches(), failing) if open_model is served else offline(blobs, Launches(), failing)
        first, second = await asyncio.gather(
            texts(model, request(), 0), texts(model, request(), 1), return_exceptions=True
        )
        assert isinstance(first, InfrastructureError)
        assert first is second
        assert "vLLM for m@1 ended with status 1; it said last:\n  ValueError: no memory for 140 GB" in str(first)
        await model.aclose()

    asyncio.run(main())


@BOTH
def test_one_that_dies_fails_everyone_who_waits_with_its_last_words(open_model: Open, blobs: BlobStore) -> None:
    async def work(model: Served | Offline) -> list[str | BaseException]:
        await texts(model, request(), 0)
        both = (texts(model, request("die"), 0), texts(model, request("die, too"), 0))
        return [str(error) for error in await asyncio.gather(*both, return_exceptions=True)]

    for said in talk(open_model, blobs, work):
        assert "vLLM for m@1 ended with status 1" in str(said)
        assert "OutOfMemoryError: out of memory" in str(said)


def test_images_go_beside_the_request_to_the_engine(blobs: BlobStore) -> None:
    images = []
    for size in ((56, 84), (140, 56)):
        data = io.BytesIO()
        Pillow.new("RGB", size).save(data, "PNG")
        images.append(Image(view=make_view(data.getvalue(), ViewRule("qwen2_5_vl", 262_144, "student"), blobs)))
    answers = talk(offline, blobs, lambda model: texts(model, request("both", *images), 0))
    assert answers == ["<answer>both 3 56x84 140x56</answer>"]


def test_what_the_engine_refuses_is_the_rows_error_and_the_engine_goes_on(blobs: BlobStore) -> None:
    async def work(model: Served | Offline) -> list[str]:
        with pytest.raises(RowError) as caught:
            await texts(model, request("long " * 50), 0)
        assert caught.value.reason == "context_too_long"
        return await texts(model, request(), 0)

    assert talk(offline, blobs, work) == ["<answer>How many? 3</answer>"]


def test_tokens_of_the_engine_are_counted(blobs: BlobStore) -> None:
    async def work(model: Served | Offline) -> ChatResponse:
        (response,) = await model.generate(request(), [0])
        return response

    response = talk(offline, blobs, work)
    assert (response.prompt_tokens, response.cached_tokens, response.completion_tokens) == (3, 1, 1)
    assert response.model_version == "m@1"


def test_without_an_environment_the_message_says_how_to_make_one(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLDFORGE_VLLM_PYTHON", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"none: no interpreter.*requirements-vllm\.txt.*COLDFORGE_VLLM_PYTHON"):
        talk(served, blobs, lambda model: model.check())


def test_a_port_in_use_is_refused_before_anything_starts() -> None:
    async def main() -> None:
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        async with taken:
            port = taken.sockets[0].getsockname()[1]
            await start_server(SERVE, "m", Address(port=port))

    with pytest.raises(UsageError, match=r"cannot be listened on \(Address already in use\); give another --port"):
        asyncio.run(main())


def test_serve_model_prints_what_a_recipe_needs_and_stops_at_ctrl_c(environment: Path) -> None:
    process = start(["serve-model", "some/model@abc", "--port", "0", "--tp", "2", "--", "--seed", "1"])
    assert process.stdout is not None
    first, name, url = (process.stdout.readline() for _ in range(3))
    assert first.startswith("serving some/model@abc at http://127.0.0.1:")
    assert name == "  served_name: some/model@abc\n"
    assert url.startswith("  base_url: http://127.0.0.1:")
    assert url.endswith("/v1\n")
    commands = [(Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0") for pid in processes(environment)]
    told = next(command for command in commands if b"--host" in command and b"-I" not in command)
    flags = [b"--model", b"some/model", b"--revision", b"abc", b"--tensor-parallel-size", b"2"]
    assert told[told.index(b"--model") :][:6] == flags
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 130
    assert log.startswith("started by ")
    assert processes(environment) == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "give base_url and served_name of a server that runs, or serve"),
        ({"base_url": "http://h/v1"}, "give base_url and served_name"),
        ({"base_url": "http://h/v1", "served_name": "m", "serve": SERVE}, "give base_url and served_name"),
        ({"serve": SERVE, "api_key_env": "KEY"}, "takes no batch and no api_key_env"),
    ],
)
def test_a_role_has_one_server(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ServerRole.model_validate({"backend": "openai", "model": "m@1", **fields})


def test_where_a_model_is_served_is_no_part_of_its_identity() -> None:
    elsewhere = {"base_url": "http://h/v1", "served_name": "other"}
    ours = ServerRole.model_validate({"backend": "openai", "model": "m@1", "serve": SERVE})
    theirs = ServerRole.model_validate({"backend": "openai", "model": "m@1", **elsewhere})
    assert ours.identity() == theirs.identity()
    assert os.environ["COLDFORGE_VLLM_PYTHON"] not in str(ours.identity())
