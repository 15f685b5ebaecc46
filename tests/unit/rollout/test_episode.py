"""An episode of training keeps its cells' state whatever becomes of its session, and no two wait for each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.dialects import DEEPEYESV2
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json
from pipeline.rollout.episode import Episode, Places
from tests.support.fakes import CountingSandbox
from tests.support.kits import FACTS


def cell(code: str) -> str:
    return DEEPEYESV2.render_turn("a", "python", canonical_json({"code": code}))


def printed(observation: str | None) -> str:
    assert observation is not None
    return observation.split("```\n")[1].strip()


def test_more_episodes_than_sessions_go_on_and_each_finds_its_state() -> None:
    sandbox = CountingSandbox()
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
    sandbox = CountingSandbox()
    with Episode(FACTS, Places(sandbox, 1), []) as episode:
        assert [printed(episode.step(cell(code)).observation) for code in ("a", "a", "lose", "a")] == list("1234")
    assert (sandbox.lost, sandbox.open) == (1, 0)


def test_a_sandbox_that_fails_twice_is_told_and_leaves_room_for_others() -> None:
    sandbox = CountingSandbox()
    places = Places(sandbox, 1)
    with pytest.raises(InfrastructureError), Episode(FACTS, places, []) as episode:
        episode.step(cell("fail"))
    with Episode(FACTS, places, []) as episode:
        assert printed(episode.step(cell("a")).observation) == "1"
    assert sandbox.open == 0


def test_after_a_cell_that_ended_its_session_the_next_one_starts_afresh() -> None:
    with Episode(FACTS, Places(CountingSandbox(), 1), []) as episode:
        step = episode.step(cell("die"))
        assert step.status == "died"
        assert "The notebook was restarted" in str(step.observation)
        assert printed(episode.step(cell("a")).observation) == "1"


def test_a_call_in_the_last_message_is_not_carried_out() -> None:
    sandbox = CountingSandbox()
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
    with Episode(FACTS.model_copy(update={"search": search}), Places(CountingSandbox(), 1), []) as episode:
        step = episode.step(message)
    assert (step.observation, step.status, step.finish) == (observation, "bad_call", None)
