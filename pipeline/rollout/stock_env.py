"""Whether DeepEyesV2's own environment would show what a transcript says: by rule, else by executing its cells there.

Rules: Visual-Agent/DeepEyesV2 at 0373e6e, `envs/deepeyesv2/deepeyesv2.py` under `reinforcement_learning/verl`, and the
data set that hands it the picture (`utils/dataset`). They are written anew here; autopep8, which they call, is itself.
It needs exponential time for some code, so it runs in the sandbox as well. What its own sandbox does with code is not
published: ours stands in its place, and where our limits stop or cut a cell nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import version
from inspect import getsource
from typing import NamedTuple

from pipeline.dialects import by_name
from pipeline.dialects.observations import result_text, stacked
from pipeline.identity import parse_json
from pipeline.records import StockDifference, StockEnv, Trajectory, Turn
from pipeline.rollout.replay import SOFT_DIFFERENCE, executed_cells, image_difference
from pipeline.rollout.stock_rules import by_rule, is_resized, left_open, reindented
from pipeline.store.blobs import BlobStore
from pipeline.tools.python import Cell, PythonTool, normalise

_STYLE = ("pycodestyle", "autopep8")
_BLOCK = re.compile(r"<code>(.*?)</code>", re.DOTALL)
_FENCE = re.compile(r"```python\s*\n(.*?)\n```", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_RESET = """\
import base64
from io import BytesIO
from PIL import Image

def _reset():
    import os
    png = BytesIO()
    with Image.open("image_1.png") as file:
        file.convert("RGB").save(png, "PNG", compress_level=1)
    for name in ("image_1", "image_1.png", "image_1.jpg"):
        os.remove(name)
    return base64.b64encode(png.getvalue()).decode()

_img_base64 = _reset()
del _reset
image_1 = Image.open(BytesIO(base64.b64decode(_img_base64)))
"""
"""What `reset` leaves behind in a session over the first picture: these names, and no file."""


def stock_revision() -> str:
    """Return what decides the label beside our sandbox: the edition of our rules, and of the packages executed."""
    return ", ".join(["1", *(f"{name} {version(name)}" for name in _STYLE)])


async def stock_env(trajectory: Trajectory, tool: PythonTool) -> StockEnv:
    """Return whether every observation of a transcript would come back as it is recorded.

    Where rules leave that open, its cells are executed as the stock environment would, up to what differs; where that
    could not be done, the rules stand.

    Raises:
        InfrastructureError: the sandbox failed.
    """
    ruled = by_rule(trajectory)
    executed = await _executed(trajectory, tool) if left_open(trajectory, ruled) else None
    if executed is None:
        return ruled
    reasons = () if executed.differs is None else (executed.differs, *ruled.reasons)
    label = "differs" if reasons else "same"
    return StockEnv(trajectory_id=trajectory.id, label=label, by="execution", reasons=reasons, cell=executed.cell)


class _Executed(NamedTuple):
    """What the cells of a transcript gave."""

    differs: StockDifference | None = None
    cell: int | None = None
    """The one that gave something else, from 0."""


async def _executed(trajectory: Trajectory, tool: PythonTool) -> _Executed | None:
    """Execute the cells of a transcript of dialect `deepeyesv2`, up to what differs.

    Sessions there have no seed, so this one has another than that of the rollout. Cells are cached as those of
    rollouts. None: our limits stopped a cell or autopep8, which says nothing of an environment with others.
    """
    turns, dialect = executed_cells(trajectory), by_name(trajectory.dialect)
    codes = list[str]()
    for number, turn in enumerate(turns):
        code = extracted(dialect.render_turn(turn.think, turn.action, turn.arguments))
        if code is None:
            return _Executed("other_message", number)
        codes.append(code)
    fixed = await _restyled(codes, tool)
    if fixed is None:
        return None
    async with tool.session(trajectory.images[:1], tool.seed + 1) as session:
        if (await session.run(_RESET)).cell.status != "ok":
            return None
        for number, (turn, code) in enumerate(zip(turns, fixed, strict=True)):
            cell = (await session.run(code)).cell
            if cell.status not in {"ok", "exception"}:
                return None
            difference = _difference(turn, cell, dialect.frame(_worded(cell)), tool.blobs)
            if difference is not None:
                return _Executed(difference, number)
    return _Executed()


def extracted(message: str) -> str | None:
    """Return the code that `execute` takes from a message, None where it ends the episode instead.

    An answer that is not empty comes first; of blocks and of fences within the last block the last one counts.
    """
    answers, blocks = _ANSWER.findall(message), _BLOCK.findall(message)
    if (answers and answers[-1]) or not blocks:
        return None
    fenced: list[str] = _FENCE.findall(blocks[-1])
    return (fenced[-1] or None) if fenced else None


async def _restyled(codes: Iterable[str], tool: PythonTool) -> Sequence[str] | None:
    """Return each code as `fix_python_indentation` rewrites it, None where autopep8 does more than a cell may."""
    fixed = list[str]()
    async with tool.session(()) as session:
        await session.run("\n".join(f"open({name + '.py'!r}, 'w').write({_source(name)!r})" for name in _STYLE))
        for code in codes:
            cell = (await session.run(_style(reindented(code), code))).cell
            if cell.status != "ok" or cell.notes:
                return None
            try:
                again = parse_json(cell.stdout)
            except ValueError:
                return None
            if not isinstance(again, str):
                return None
            fixed.append(again)
    return fixed


def _source(module: str) -> str:
    return getsource(import_module(module))


def _style(code: str, otherwise: str) -> str:
    """Return a cell that prints code in another style, as JSON; where that cannot be done, the code as it was."""
    return (
        "import autopep8, json\n"
        f"try:\n    fixed = autopep8.fix_code({code!r}, options={{'aggressive': 2}})\n"
        f"except Exception:\n    fixed = {otherwise!r}\n"
        "print(json.dumps(fixed))"
    )


def _worded(cell: Cell) -> str:
    """Return a result as it is shown there: no value, nothing defused or cut, and none of our sandbox's notes."""
    return result_text(cell.stdout, stacked(cell.stderr, cell.error), len(cell.images))


def _difference(turn: Turn, cell: Cell, text: str, blobs: BlobStore) -> StockDifference | None:
    if normalise(text) != normalise(turn.observation or ""):
        return "other_text"
    if len(cell.images) != len(turn.images):
        return "other_pictures"
    for new, recorded in zip(cell.images, turn.images, strict=True):
        if is_resized(new) or image_difference(new, recorded, blobs) > SOFT_DIFFERENCE:
            return "other_pictures"
    return None
