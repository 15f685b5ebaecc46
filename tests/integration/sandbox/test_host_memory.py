"""A session that the kernel kills for somebody else's lack of memory is no outcome of its cell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError
from pipeline.sandbox import Limits, Policy, Pool, cgroup, guest

ABOVE = 250 << 20
"""Bytes for all sessions together, less than each of them may use: a host that is short of memory."""
LIMITS = Limits(memory=900 << 20, data=800 << 20)
CODE = "x = b'1' * (400 << 20)"


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    place = cgroup.find()
    if place is None:
        pytest.skip("no control group can be made here")
    guest.setup()
    name = f"coldforge-{os.getpid()}-above"
    above = {controller: parent / name for controller, parent in place.parents.items()}
    for path in set(above.values()):
        path.mkdir()
    limit = "memory.limit_in_bytes" if place.version == "v1" else "memory.max"
    Path(above["memory"], limit).write_text(str(ABOVE))
    if place.version == "v2":
        Path(above["memory"], "cgroup.subtree_control").write_text("+memory +pids")
    monkeypatch.setattr(cgroup, "find", lambda: cgroup.Place(place.version, above))
    yield
    for path in set(above.values()):
        path.rmdir()


@pytest.mark.parametrize("forked", [False, True], ids=["the session itself", "a child of it"])
@pytest.mark.usefixtures("crowded")
def test_a_kill_for_memory_above_the_session_is_infrastructure(forked: bool) -> None:
    code = f"import os\nif os.fork() == 0:\n    {CODE}\n    os._exit(0)\nos.wait()" if forked else CODE
    with Pool(Policy(LIMITS), workers=1) as pool:
        with pool.session() as session, pytest.raises(InfrastructureError, match="the host ran out of memory"):
            session.run(code)
        with pool.session() as session:
            assert session.run("6 * 7").value == "42"
