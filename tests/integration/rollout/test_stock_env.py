"""Cells executed as DeepEyesV2's own environment would: what comes back otherwise, and what that is not asked of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects import by_name
from pipeline.dialects.observations import result_text
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json
from pipeline.records import StockDifference, StockEnv, Trajectory
from pipeline.rollout.stock_env import extracted, stock_env
from pipeline.rollout.stock_rules import by_rule
from pipeline.sandbox import Notebook, Policy, Pool, Sandbox, guest
from pipeline.sandbox.inside.policy import Limits
from pipeline.store import Store
from pipeline.tools.python import PythonTool
from tests.support.fakes import CountingSandbox
from tests.support.recording import RULE, SEED, record
from tests.support.runs import PIXELS

LOOP = "for i in range(3):\n    print(i)"


@dataclass
class Lost:
    """A sandbox that loses every session."""

    identity: str
    workers: int = 1
    capacity: int = 1
    open: int = 0

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """There is nothing to close."""

    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> AbstractContextManager[Notebook]:
        raise InfrastructureError(f"gone with {len(images)} images and seed {seed}")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(), workers=1) as pool:
        yield pool


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        store.blobs.put(PIXELS.getvalue())
        yield store


def measured(pool: Sandbox, store: Store, recorded: Trajectory) -> StockEnv:
    return asyncio.run(stock_env(recorded, PythonTool(pool, store.calls, store.blobs, RULE, SEED)))


def executed(recorded: Trajectory, differs: StockDifference | None = None, cell: int | None = None) -> StockEnv:
    """What is told of a transcript whose cells were executed: first what differs, then the rules."""
    label, reasons = ("same", ()) if differs is None else ("differs", (differs, *by_rule(recorded).reasons))
    return StockEnv(trajectory_id=recorded.id, label=label, by="execution", reasons=reasons, cell=cell)


DRAW = "import numpy as np\nfrom PIL import Image\nImage.fromarray(np.full(({}, 3), 90, dtype=np.uint8))"
CASES: list[tuple[str, Sequence[str], StockDifference | None, int | None]] = [
    ("flat cells share a session", ("x = image_1.size", "print(x)", LOOP), None, None),
    ("errors printed", ("import sys\nprint('e', file=sys.stderr)",), None, None),
    ("a picture as value", (DRAW.format("60, 40"),), None, None),
    ("None as value", ("{}.get('a')",), None, None),
    ("a block that takes in what is of no effect there", ("if 1:\n    x = 1\nprint(x)",), None, None),
    ("None compared, of no effect", ("a = None\nprint(a == None)",), None, None),
    ("statement after a block", ("print(1)", f"{LOOP}\nprint(9)"), "other_text", 1),
    ("letters of any plane", ("for i in range(2):\n    print('\U0001f642 é')",), None, None),
    ("letters of any plane, rewritten", ("for i in range(2):\n    print('\U0001f642 é')\nprint(9)",), "other_text", 0),
    ("call after a function", ("def f():\n    return 1\nprint(f())",), "other_text", 0),
    ("lines in a text", ('print("""a\n  b""")',), "other_text", 0),
    ("None compared by what defines it", ("import numpy as np\nprint(np.array([None, 1]) == None)",), "other_text", 0),
    ("a value", ("1 + 1",), "other_text", 0),
    ("a PNG in RGB", ("print(image_1.format, image_1.mode)",), None, None),
    ("names that it has and we have not", ("print(Image)",), "other_text", 0),
    ("picture as a file", ("from PIL import Image\nprint(Image.open('image_1.png').size)",), "other_text", 0),
    ("a traceback", ("1/0",), "other_text", 0),
    ("chance", ("import random\nprint(random.random())",), "other_text", 0),
    ("a tag printed", ("print('<' + 'image>')",), "other_text", 0),
    ("thin picture", (DRAW.format("20, 60"),), "other_pictures", 0),
    ("fences within a text", ("print('''\n```\n''')",), "other_text", 0),
]


@pytest.mark.parametrize(("codes", "differs", "cell"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_comes_back_is_compared_with_what_is_recorded(
    codes: Sequence[str], differs: StockDifference | None, cell: int | None, pool: Pool, store: Store
) -> None:
    recorded = record(pool, store.blobs, *codes)
    assert measured(pool, store, recorded) == executed(recorded, differs, cell)


def test_what_a_rule_is_certain_of_is_not_executed(pool: Pool, store: Store) -> None:
    recorded = record(pool, store.blobs, "print(1)").model_copy(update={"dialect": "tool_call"})
    assert measured(Lost(identity=pool.identity), store, recorded) == by_rule(recorded)
    assert by_rule(recorded).label == "differs"


def test_a_session_has_the_first_picture_alone_and_as_a_variable(pool: Pool, store: Store) -> None:
    code = "import os\nprint(os.listdir(), sorted(name for name in globals() if name[:2] != '__'))"
    names = "[] ['BytesIO', 'Image', '_img_base64', 'base64', 'display', 'image_1', 'os']\n"
    recorded = record(pool, store.blobs, code)
    turn = recorded.turns[0].model_copy(update={"observation": result_text(names, "", 0)})
    two = recorded.model_copy(update={"images": recorded.images * 2, "turns": (turn, recorded.turns[-1])})
    assert measured(pool, store, two) == executed(two)


def test_our_limits_say_nothing_of_an_environment_with_others(store: Store) -> None:
    guest.setup()
    code = f"import time\n{LOOP}\ntime.sleep(1)"  # which it moves into the loop
    with Pool(Policy(Limits(cell_seconds=2.0)), workers=1) as pool:
        recorded = record(pool, store.blobs, code)
        assert measured(pool, store, recorded) == by_rule(recorded)


def test_equal_transcripts_are_executed_once(pool: Pool, store: Store) -> None:
    recorded = record(pool, store.blobs, "print(2)")
    first = measured(pool, store, recorded)
    assert measured(CountingSandbox(identity=pool.identity), store, recorded) == first


def test_a_lost_session_is_no_label(pool: Pool, store: Store) -> None:
    recorded = record(pool, store.blobs, "print(2)")
    with pytest.raises(InfrastructureError, match="gone"):
        measured(Lost(identity=pool.identity), store, recorded)
    assert measured(pool, store, recorded) == executed(recorded)


MESSAGES: list[tuple[str, str | None]] = [
    ("<code>\n```python\na\n```\n</code>", "a"),
    ("<code>```python  \n\na\n\n```</code>", "a\n"),
    ("<code>\n```python\na\n```\n```python\nb\n```\n</code>", "b"),
    ("<code>\n```python\na\n```\n</code><code>\n```python\nb\n```\n</code>", "b"),
    ("<code>\n```python\nx = '''\n```\n'''\n```\n</code>", "x = '''"),
    ("<code>\n```py\na\n```\n</code>", None),
    ("<code>\n```python\n\n```\n</code>", None),
    ("<code>a</code>", None),
    ("a", None),
    ("<answer>4</answer><code>\n```python\na\n```\n</code>", None),
    ("<answer></answer><code>\n```python\na\n```\n</code>", "a"),
]


@pytest.mark.parametrize(("message", "code"), MESSAGES)
def test_code_is_read_as_the_environment_reads_it(message: str, code: str | None) -> None:
    assert extracted(message) == code


@given(st.text(st.sampled_from("a\n =`'"), min_size=1).filter(str.strip))
def test_of_our_messages_it_reads_the_code_or_less_of_it(code: str) -> None:
    message = by_name("deepeyesv2").render_turn("so", "python", canonical_json({"code": code}))
    read = extracted(message)
    assert read is None or "```" in code or read.strip() == code.strip()
