"""Hosted models in a recipe: what is identity, what is refused before any work, what is opened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows.recipe.roles import HostedRole
from flows.run.models import open_hosted, open_openai_batches
from pipeline.errors import UsageError
from pipeline.models.batch.waves import Batched
from pipeline.models.providers.hosted import HostedModel
from pipeline.models.providers.openai import Server
from pipeline.store.blobs import BlobStore

CLAUDE = {"backend": "anthropic", "model": "claude-test"}


def role(**fields: Any) -> HostedRole:
    return HostedRole.model_validate({**CLAUDE, **fields})


@pytest.mark.parametrize(
    "runtime",
    [
        {"base_url": "http://gateway/v1"},
        {"api_key_env": "OTHER"},
        {"in_flight": 2},
        {"rpm": 5, "tpm": 500},
        {"batch": {"max_requests": 5}},
        {"price": {"prompt": 3, "completion": 15}},
    ],
)
def test_how_a_model_is_reached_is_no_part_of_what_it_is(runtime: dict[str, Any]) -> None:
    assert role(**runtime).identity() == role().identity()


@pytest.mark.parametrize("fields", [{"thinking": "native"}, {"model": "other"}, {"profile": {"thinking": "budget"}}])
def test_what_decides_an_answer_is_identity(fields: dict[str, Any]) -> None:
    assert role(**fields).identity() != role().identity()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sampling": {"temperature": 0.7}}, "takes no temperature"),
        ({"backend": "gemini", "thinking": "off"}, "thinking: minimal"),
        ({"api_key": "sk-ant-secret"}, "api_key"),
    ],
)
def test_what_a_provider_would_refuse_for_every_row_is_refused_with_the_recipe(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        role(**fields)


def test_an_older_model_takes_what_its_profile_says() -> None:
    older = role(sampling={"temperature": 0.7}, profile={"takes_sampling": True, "max_images": 600})
    assert (older.limits.takes_sampling, older.limits.max_images) == (True, 600)
    assert role(backend="gemini", thinking="off", profile={"thinking": "budget"}).limits.thinking == "budget"


def test_a_role_is_opened_as_it_says_and_nothing_is_sent(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")

    async def main() -> None:
        single = open_hosted(role(), blobs, tmp_path)
        assert isinstance(single, HostedModel)
        for backend in ("anthropic", "gemini"):
            waves = open_hosted(role(backend=backend, batch={"max_wait_seconds": 5}), blobs, tmp_path)
            assert isinstance(waves, Batched)
            assert waves.max_wait_seconds == 5
            await waves.aclose()

    asyncio.run(main())


def test_an_answer_is_the_same_whether_it_came_in_a_batch(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    waves = open_hosted(role(batch={}), blobs, tmp_path)
    assert (
        waves.revision
        == open_hosted(role(), blobs, tmp_path).revision
        == "anthropic/claude-test/thinking-minimal-level-1024"
    )
    asyncio.run(waves.aclose())


def test_a_batch_of_a_server_without_a_key_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        server = Server("http://127.0.0.1:1/v1", "served", "openai/weights", BlobStore(tmp_path))
        batch = role(batch={}).batch
        assert batch is not None
        with pytest.raises(UsageError, match="api_key_env"):
            open_openai_batches(server, batch, tmp_path)

    asyncio.run(main())
