"""Replay of recorded trajectories: what each verdict means, and that it is told by command and ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.identity import canonical_json
from pipeline.images import decode, encode_png, put_image
from pipeline.records import ReplayResult, Trajectory, Turn
from pipeline.rollout.replay import executed_cells, replay_trajectory
from pipeline.sandbox import Pool, guest
from pipeline.store.blobs import BlobStore
from tests.support.recording import RULE, SEED, record
from tests.support.runs import PIXELS

DRAW = "from PIL import Image\nimport numpy as np\nImage.fromarray(np.full((60, 40, 3), 90, dtype=np.uint8))"


@pytest.fixture(scope="module")
def pools() -> Iterator[tuple[Pool, Pool]]:
    """One that records and one that replays: other zygotes, as in a run."""
    guest.setup()
    with Pool(workers=1) as first, Pool(workers=1) as second:
        yield first, second


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    store = BlobStore(tmp_path / "blobs")
    store.put(PIXELS.getvalue())
    return store


def changed(recorded: Trajectory, number: int, **update: object) -> Trajectory:
    """The trajectory, as if something else had been recorded in one of its turns."""
    turns: list[Turn] = list(recorded.turns)
    turns[number] = turns[number].model_copy(update=update)
    return recorded.model_copy(update={"turns": tuple(turns)})


def drawn(blobs: BlobStore, recorded: Trajectory, *, off_by: int) -> Trajectory:
    """The trajectory, as if its picture had come out brighter by so much in one place."""
    pixels = np.asarray(decode(blobs.get(recorded.turns[0].images[0].sha256))).copy()
    pixels[5, 5, 0] += off_by
    return changed(recorded, 0, images=(put_image(blobs, encode_png(Image.fromarray(pixels))),))


def verdict(pools: tuple[Pool, Pool], blobs: BlobStore, recorded: Trajectory) -> ReplayResult:
    result = replay_trajectory(recorded, pools[1], blobs, RULE, SEED)
    assert result.trajectory_id == recorded.id
    assert result.cells == len(executed_cells(recorded))
    return result


@pytest.mark.parametrize(
    "codes",
    [
        ("x = image_1.size", "print(x)", "1 / 0", "import sys\nprint('e', file=sys.stderr)\nx[0] + 1"),
        ("print(object(), image_1)\nobject()", "raise ValueError(object())"),
        ("import random\nimport numpy as np\nrandom.random(), np.random.rand()", "hash('x'), {'b', 'a'}"),
        (DRAW, "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"),
        (),
    ],
    ids=["state and errors", "addresses", "seeded chance", "pictures", "no cell"],
)
def test_what_repeats_is_identical(codes: Sequence[str], pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    recorded = record(pools[0], blobs, *codes)
    result = verdict(pools, blobs, recorded)
    assert (result.verdict, result.detail) == ("identical", "")


def test_after_a_cell_that_ended_its_session_replay_goes_on_in_a_fresh_one(
    pools: tuple[Pool, Pool], blobs: BlobStore
) -> None:
    recorded = record(pools[0], blobs, "x = 1", "import os\nos._exit(3)", "'x' in globals()", "y = 5", "y")
    assert [turn.status for turn in recorded.turns[:-1]] == ["ok", "died", "ok", "ok", "ok"]
    assert "False" in (recorded.turns[2].observation or "")
    assert verdict(pools, blobs, recorded).verdict == "identical"
    # What comes after the end is compared as well.
    assert verdict(pools, blobs, changed(recorded, 4, observation="6")).verdict == "nondeterministic"


def test_another_text_is_nondeterministic(pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    recorded = record(pools[0], blobs, "print('seen')", "2")
    text = (recorded.turns[0].observation or "").replace("seen", "unseen")
    result = verdict(pools, blobs, changed(recorded, 0, observation=text))
    assert (result.verdict, result.detail) == ("nondeterministic", "another text came back")


@pytest.mark.parametrize(
    "code", ["import os\nos.urandom(8).hex()", "import time\ntime.time_ns()", "import uuid\nuuid.uuid4()"]
)
def test_chance_without_a_seed_is_nondeterministic(code: str, pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    assert verdict(pools, blobs, record(pools[0], blobs, code)).verdict == "nondeterministic"


def test_what_ran_and_no_longer_does_has_failed(pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    recorded = record(pools[0], blobs, "1 + 1", "2 + 2")
    broken = changed(recorded, 1, arguments=canonical_json({"code": "1 / 0"}))
    result = verdict(pools, blobs, broken)
    assert (result.verdict, result.detail) == ("failed", "status exception, recorded ok")


def test_what_failed_and_now_runs_only_differs(pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    recorded = record(pools[0], blobs, "1 / 0")
    mended = changed(recorded, 0, arguments=canonical_json({"code": "1"}))
    assert verdict(pools, blobs, mended).verdict == "nondeterministic"


@pytest.mark.parametrize(("off_by", "expected"), [(1, "soft"), (2, "soft"), (3, "nondeterministic")])
def test_a_picture_may_differ_by_rounding(
    off_by: int, expected: str, pools: tuple[Pool, Pool], blobs: BlobStore
) -> None:
    result = verdict(pools, blobs, drawn(blobs, record(pools[0], blobs, DRAW), off_by=off_by))
    assert (result.verdict, result.detail) == (expected, f"an image differs by up to {off_by} of 255")


def test_a_picture_of_another_size_or_none_is_nondeterministic(pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    recorded = record(pools[0], blobs, DRAW)
    larger = put_image(blobs, encode_png(Image.new("RGB", (41, 60))))
    assert verdict(pools, blobs, changed(recorded, 0, images=(larger,))).verdict == "nondeterministic"
    assert verdict(pools, blobs, changed(recorded, 0, images=())).verdict == "nondeterministic"


def test_a_difference_that_matters_outweighs_one_that_does_not(pools: tuple[Pool, Pool], blobs: BlobStore) -> None:
    recorded = drawn(blobs, record(pools[0], blobs, DRAW, "3"), off_by=1)
    assert verdict(pools, blobs, recorded).verdict == "soft"
    assert verdict(pools, blobs, changed(recorded, 1, observation="4")).verdict == "nondeterministic"
