"""What the files of the threat corpus share; other tests bring their own pools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.sandbox import Policy, Pool, guest
from tests.support.corpus.outside import LIMITS, Outside, outside


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("outside")) as host:
        yield host


@pytest.fixture(scope="module")
def pool(host: Outside) -> Iterator[Pool]:
    """Return a pool whose zygote was started with the canaries in place."""
    assert host.canaries
    guest.setup()
    with Pool(Policy(LIMITS), workers=1) as pool:
        with pool.session() as session:
            session.run("1")  # its zygote is there before the first item looks for it: other pools may have theirs
        yield pool
