"""An episode of training keeps its cells' state whatever becomes of its session, and no two wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pipeline.dialects import DEEPEYESV2
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json
from pipeline.rollout.episode import Episode, Places
from pipeline.sandbox import CellError, CellResult
from pipeline.sandbox.usage import Usage
from tests.support.kits import FACTS


@dataclass
class Counting:
    """A sandbox whose cells count themselves: `lose` fails once at a cell, `die` ends its session."""

    identity: str = "counting"
    workers: int = 2
    capacity: int = 2
    open: int = 0
    most: int = 0
    lost: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def facts(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        pass

    @contextmanager
    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> Iterator[Count]:
        del images, seed
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            yield Count(self)
        finally:
            with self.lock:
                self.open -= 1


@dataclass
class Count:
    sandbox: Counting
    cells: int = 0

    def run(self, code: str, seconds: float | None = None) -> CellResult:
        del seconds
        if code == "lose" and self.sandbox.lost == 0:
            self.sandbox.lost += 1
            raise InfrastructureError("gone")
        if code == "fail":
            raise InfrastructureError("gone")
        self.cells += 1
        died = code == "die"
        error = CellError("ProcessError", "ended", "ProcessError: ended") if died else None
        usage = Usage(0.0, 0.0, 0)
        return CellResult("died" if died else "ok", f"{self.cells}", "", None, (), error, (), died, usage)


def cell(code: str) -> str:
    return DEEPEYESV2.render_turn("a", "python", canonical_json({"code": code}))


def printed(observation: str | None) -> str:
    assert observation is not None
    return observation.split("```\n")[1].strip()


def test_more_episodes_than_sessions_go_on_and_each_finds_its_state() -> None:
    sandbox = Counting()
    places = Places(sandbox, 2)
    episodes = [Episode(FACTS, places, []) for _ in range(12)]
    with ThreadPoolExecutor(6) as threads:
        for number in range(1, 5):
            steps = list(threads.map(lambda episode: episode.step(cell("a")), episodes))
            assert [printed(step.observation) for step in steps] == [str(number)] * 12
    for episode in episodes:
        episode.close()
        episode.close()
    assert (sandbox.most, sandbox.open) == (2, 0)


def test_a_session_that_is_lost_is_brought_back_by_its_cells() -> None:
    sandbox = Counting()
    with Episode(FACTS, Places(sandbox, 1), []) as episode:
        assert [printed(episode.step(cell(code)).observation) for code in ("a", "a", "lose", "a")] == list("1234")
    assert (sandbox.lost, sandbox.open) == (1, 0)


def test_a_sandbox_that_fails_twice_is_told_and_leaves_room_for_others() -> None:
    sandbox = Counting()
    places = Places(sandbox, 1)
    with pytest.raises(InfrastructureError), Episode(FACTS, places, []) as episode:
        episode.step(cell("fail"))
    with Episode(FACTS, places, []) as episode:
        assert printed(episode.step(cell("a")).observation) == "1"
    assert sandbox.open == 0


def test_after_a_cell_that_ended_its_session_the_next_one_starts_afresh() -> None:
    with Episode(FACTS, Places(Counting(), 1), []) as episode:
        step = episode.step(cell("die"))
        assert step.status == "died"
        assert "The notebook was restarted" in str(step.observation)
        assert printed(episode.step(cell("a")).observation) == "1"


def test_a_call_in_the_last_message_is_not_carried_out() -> None:
    sandbox = Counting()
    with Episode(FACTS.model_copy(update={"max_turns": 2}), Places(sandbox, 1), []) as episode:
        assert episode.step(cell("a")).finish is None
        last = episode.step(cell("a"))
    assert (last.observation, last.finish) == (None, "max_turns")


@pytest.mark.parametrize(
    ("message", "search", "observation"),
    [
        ("<answer>4</answer>", True, "Error: Invalid message: it does not start with a think block."),
        (
            DEEPEYESV2.render_turn("a", "search", '{"query":"mill"}'),
            True,
            "Error: Search is not available for this query; try another, or do without.",
        ),
        (DEEPEYESV2.render_turn("a", "search", '{"query":"mill"}'), False, "Error: Invalid tool call name: search."),
        (
            DEEPEYESV2.render_turn("a", "image_search", "{}"),
            True,
            "Error: Invalid message: the question has no image to search for.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_words_of_the_grammar(
    message: str, search: bool, observation: str
) -> None:
    with Episode(FACTS.model_copy(update={"search": search}), Places(Counting(), 1), []) as episode:
        step = episode.step(message)
    assert (step.observation, step.status, step.finish) == (observation, "bad_call", None)
