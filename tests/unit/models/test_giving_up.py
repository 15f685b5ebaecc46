"""When one request is given up: after the role's patience, unless others are answered; then after so many tries."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.errors import GivenUpError
from pipeline.models.client import MOST_TRIES, Client, Key, Retry
from pipeline.models.patience import Patience


@pytest.mark.parametrize(
    ("failing_for", "answered_ago", "wanted", "tries", "late"),
    [
        (10, None, 0, 3, False),
        (61, None, 0, 3, True),
        (61, 90, 0, 3, True),
        (61, 5, 0, 3, False),
        (6000, 5, 0, MOST_TRIES - 1, False),
        (61, 5, 0, MOST_TRIES, True),
        (10, 5, 0, 10 * MOST_TRIES, False),
        (10, 5, 55, 3, False),
        (10, 5, 3600, 1, True),
        (59, None, 2, 3, True),
    ],
)
def test_a_request_is_given_up_for_the_role_and_not_for_its_own_bad_luck(
    monkeypatch: pytest.MonkeyPatch,
    *,
    failing_for: float,
    answered_ago: float | None,
    wanted: float,
    tries: int,
    late: bool,
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 10_000.0)
    retry = Retry(patience_seconds=60)
    client = Client("server", ["http://127.0.0.1:1"], Key(None), lambda _status, _body: None, retry=retry)
    client._patience._answered_at = None if answered_ago is None else 10_000.0 - answered_ago
    assert client._is_late(10_000.0 - failing_for, wanted, tries) is late


def test_what_waited_for_a_role_that_is_given_up_is_not_sent() -> None:
    async def main() -> None:
        patience = Patience("a role", 60.0)
        patience._given_up = "nobody answers"
        with pytest.raises(GivenUpError, match="nobody answers"):
            async with patience.call():
                raise AssertionError("a call was made")

    asyncio.run(main())
