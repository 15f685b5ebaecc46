"""The cells of `tests/support/cases/cells`, of kinds that notebooks are full of; their first lines say what must be."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from PIL import Image

from flows.cli.sandbox import split_cells
from pipeline.records import CellStatus
from pipeline.sandbox import CellResult, Policy, Pool, guest
from tests.support.command import ROOT

CASES = ROOT / "tests/support/cases/cells"
SIZE = (640, 480)


class Must(NamedTuple):
    """What comes out of one cell."""

    status: CellStatus = "ok"
    stdout: str = ""
    images: tuple[tuple[int, int], ...] = ()
    error: str = ""
    """The message holds it."""
    stderr: str = ""
    value: str | None = None
    """Its text begins so."""


ALIVE = Must(stdout="alive\n")
MUST = {
    "alarm_left_over": (Must(), Must(stdout="4950\n")),
    "await_cell": (Must(stdout="5\n"),),
    "bgr_last_value": (Must(value="array([[[ 30,  20, 220]"), Must(images=((64, 64),))),
    "builtins_rebound": (
        Must(),
        Must("exception", error="'NoneType' object is not callable"),
        Must(stdout="still here\n"),
    ),
    "cjk_labels": (Must(images=(SIZE,)),),
    "cv2_imshow": (Must(images=((200, 200),)),),
    "fstat_patched": (Must(), ALIVE),
    "image_overwrite": (Must(), Must(stdout=f"{SIZE} (10, 10)\n")),
    "ipython_display": (Must(images=(SIZE,)), Must(stdout="array([0, 1, 2])\n")),
    "long_exception_name": (Must("exception", error="x"), ALIVE),
    "magics": (
        Must("exception", error="Leave '%matplotlib inline' out"),
        Must("exception", error="run programs with subprocess.run"),
        Must(stdout="3\n"),
    ),
    "old_stream": (
        Must(stdout="one\n"),
        Must(stdout="two\ntwo\n"),
        Must(stdout="no newline"),
        Must(stdout="after\n"),
    ),
    "own_module": (Must(value="5"), Must(stdout="1\n")),
    "savefig_after_show": (Must(images=((640, 480),)),),
    "wide_picture": (Must(value="array("), ALIVE),
    "zombies": (Must(stdout="80 ok\n"), Must(stdout="hi\n")),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(), workers=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def image() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(SIZE, 60).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def outcomes(pool: Pool, image: bytes, cells: list[str], pause: float = 0.0) -> list[CellResult]:
    """Return what the cells of one session gave, a pause before each but the first."""
    results = []
    with pool.session([image]) as session:
        for number, code in enumerate(cells):
            time.sleep(pause if number else 0.0)
            results.append(session.run(code))
    return results


PAUSED = [(path.stem, 0.0) for path in sorted(CASES.glob("*.py"))] + [("alarm_left_over", 2.0)]


@pytest.mark.parametrize(("name", "pause"), PAUSED)
def test_every_case_comes_out_as_its_first_line_says(pool: Pool, image: bytes, name: str, pause: float) -> None:
    results = outcomes(pool, image, split_cells((CASES / f"{name}.py").read_text()), pause)
    for result, must in zip(results, MUST[name], strict=True):
        assert (result.status, result.ended) == (must.status, False), result
        assert (result.stdout, result.stderr) == (must.stdout, must.stderr)
        assert tuple((picture.width, picture.height) for picture in result.images) == must.images
        assert must.error in (result.error.message if result.error else ""), result
        assert (result.value is None) == (must.value is None), result
        assert (result.value or "").startswith(must.value or "")
        assert "coldforge" not in f"{result.stdout}{result.stderr}{result.error}{result.notes}"


def test_red_stays_red(pool: Pool, image: bytes) -> None:
    results = outcomes(pool, image, split_cells((CASES / "bgr_last_value.py").read_text()))
    assert results[1].images[0].pixels[:3] == bytes((220, 20, 30))


def test_a_long_name_is_cut(pool: Pool, image: bytes) -> None:
    error = outcomes(pool, image, split_cells((CASES / "long_exception_name.py").read_text()))[0].error
    assert error is not None
    assert error.type.startswith("EEEE")
    assert len(error.type) < 300
    assert len(error.traceback) < 9_000
