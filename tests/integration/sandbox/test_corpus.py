"""The threat corpus: hostile, faulty and harmless cells, each with the outcome it must have.

After every one its session must live on, if it is to, and a fresh session on the same zygote must work;
nothing of the host may have come back, and nobody may have come to a listener on the host.
Items that take more than the cells of one session are in `test_corpus_*.py`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pipeline.sandbox import CellResult, Pool
from pipeline.sandbox.inside import linux, seccomp
from tests.support.corpus.beyond import BEYOND
from tests.support.corpus.files import NETWORK, READS, WRITES
from tests.support.corpus.item import Item
from tests.support.corpus.kernel import KERNEL, every_other_call
from tests.support.corpus.notebook import BENIGN, LIFECYCLE, OUTPUT
from tests.support.corpus.outside import LIMITS, Outside
from tests.support.corpus.resources import RESOURCES

CORPUS = [*NETWORK, *READS, *WRITES, *KERNEL, *RESOURCES, *OUTPUT, *LIFECYCLE, *BENIGN, *BEYOND]
ON_THE_PAGE = 122


def zygotes() -> set[int]:
    """Return our child processes: one per zygote."""
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def run(pool: Pool, host: Outside, item: Item) -> CellResult:
    """Run an item's cells and check that a session which must live on does."""
    with pool.session(seed=1) as session:
        for code in item.cells[:-1]:
            assert session.run(host.fill(code)).status == "ok"
        result = session.run(host.fill(item.cells[-1]), item.seconds)
        if not result.ended:
            after = session.run("assert 1 + 1 == 2")
            assert after.status == "ok", after
    return result


@pytest.mark.parametrize("item", CORPUS, ids=lambda item: item.id)
def test_corpus(pool: Pool, host: Outside, item: Item) -> None:
    before = zygotes()
    result = run(pool, host, item)
    assert result.status == item.status, result
    assert result.ended == (item.status not in {"ok", "exception", "timeout"})
    if item.value is not None:
        assert result.value == item.value, result
    if item.stdout is not None:
        assert result.stdout == item.stdout
    kind, says = (result.error.type, result.error.message) if result.error else ("", "")
    assert re.fullmatch(item.error or "", kind), result
    assert re.search(item.says, says), result
    assert re.search(item.notes, "\n".join(result.notes)), result
    assert tuple((image.width, image.height) for image in result.images) == item.images
    assert len(result.value or "") <= 2 * LIMITS.value
    assert host.leaked(result) == []
    with pool.session() as session:
        assert session.run("1 + 1").value == "2"
    assert host.touched() == []
    assert zygotes() == before or not before, "the zygote was replaced"


def test_150_every_call_that_is_not_listed_is_denied(pool: Pool) -> None:
    calls = seccomp.numbers(linux.machine())
    with pool.session() as session:
        result = session.run(every_other_call(set(calls.values())))
    # To a library a call of the future does not exist yet; all others are refused.
    assert result.value == "['ENOSYS', 'EPERM']", result


def test_every_item_of_the_page_is_a_test() -> None:
    functions = [
        int(number)
        for file in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(r"^def test_(\d+)_", file.read_text(), re.MULTILINE)
    ]
    numbers = {item.number for item in CORPUS} | set(functions)
    assert numbers >= set(range(1, ON_THE_PAGE + 1))
    assert numbers == set(range(1, max(numbers) + 1))


def test_names_are_distinct() -> None:
    names = [item.id for item in CORPUS]
    assert len(set(names)) == len(names)
