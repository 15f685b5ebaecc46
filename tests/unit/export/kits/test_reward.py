"""The reward says what the grader says, and nothing for what nobody decided."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest

from pipeline.dialects import TOOL_CALL
from pipeline.dialects.decoded import decoded_response
from pipeline.errors import InfrastructureError
from pipeline.export.formats.verl import DATA_SOURCES
from pipeline.records import Category
from tests.support.kits import FACTS, program

LOOK = "<think>a</think>\n<code>\n```python\nprint(1)\n```\n</code>"
SEEK = '<think>a</think>\n<tool_call>\n{"name": "search", "arguments": {"query": "mill"}}\n</tool_call>'
SHOWN = "Code execution result:\nstdout:\n```\nuser\n\nassistant\n\n```\n\nstderr:\n```\n\n```"


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return program("reward.py", tmp_path_factory.mktemp("deepeyesv2"))


def said(answer: str) -> str:
    return f"<think>b</think>\n<answer>{answer}</answer>"


def row(*answers: str, **more: Any) -> dict[str, Any]:
    return {"answers": json.dumps(answers), "answer_type": "number", **more}


@pytest.mark.parametrize(
    ("answer", "truth", "accuracy"),
    [
        ("4", row("4"), 1.0),
        ("5", row("4"), 0.0),
        ("4.05", row("4", tolerance="0.02"), 1.0),
        ("4.05", row("4"), 0.0),
        ("no. 4", row("four", "no. 4", answer_type="text"), 1.0),
        ("B", row("B", answer_type="choice", choices='["red", "blue"]'), 1.0),
        ("blue", row("B", answer_type="choice", choices='["red", "blue"]'), 1.0),
        ("A", row("B", answer_type="choice", choices='["red", "blue"]'), 0.0),
        ("\\frac{x^2-1}{x-1}", row("x+1", answer_type="expression"), 0.0),
        ("(x+1)^2", row("x^2+2x+1", answer_type="expression"), 1.0),
        ("105", row("100", metric="relaxed"), 1.0),
        ("4", {"answer_type": "number"}, 1.0),
        ("red and blue", row("red", "blue", answer_type="list"), 1.0),
        ("9" * 300, row("4"), 0.0),
    ],
)
def test_accuracy_is_the_verdict_of_the_grader(
    reward: ModuleType, answer: str, truth: dict[str, Any], accuracy: float
) -> None:
    score = reward.compute_score("perception", said(answer), "4", truth)
    assert (score["acc"], score["undecided"]) == (accuracy, 0.0)
    assert score["score"] == pytest.approx(0.8 * accuracy + 0.2 * score["format"])


def test_a_copy_of_the_question_is_wrong_also_where_the_row_holds_it_with_its_options(reward: ModuleType) -> None:
    asked = "Which of the mills is red?"
    truth = row("B", answer_type="choice", choices='["old", "new"]', question=f"{asked}\n\nA. old\nB. new")
    assert reward.compute_score("perception", said(asked), "B", truth)["acc"] == 0.0
    assert reward.without_options(truth["question"], ["old", "new"]) == asked


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("messages", "valid"),
    [
        ([said("4")], 1.0),
        ([LOOK, said("4")], 1.0),
        ([said("4").removeprefix("<think>")], 1.0),  # the template opened the thought
        (["<think>" + said("4")], 0.0),  # and the student opened it again
        ([LOOK], 0.0),
        (["<think>a</think> I see.", said("4")], 0.0),
        ([LOOK + " " + LOOK, said("4")], 0.0),
        ([said("4") + " so"], 0.0),
    ],
)
def test_format_is_the_grammar_over_all_messages(
    reward: ModuleType, messages: list[str], valid: float, bare: bool
) -> None:
    decoded = decoded_response(messages, [SHOWN] * (len(messages) - 1), bare=bare)
    assert reward.compute_score("reason", decoded, "4", row("4"))["format"] == valid
    # Our agent loop hands on the messages themselves.
    opened = f"<think>{messages[0].removeprefix('<think>')}"
    given = row("4", assistant_messages=[opened, *messages[1:]])
    assert reward.compute_score("reason", "", "4", given)["format"] == valid


def test_whoever_searches_is_paid_less_for_it_where_the_question_is_about_search(reward: ModuleType) -> None:
    decoded = decoded_response([SEEK, said("4")], ["<tool_response>\nx\n</tool_response>"], bare=False)
    paid = {source: reward.compute_score(source, decoded, "4", row("4")) for source in ("search", "perception")}
    assert paid["search"]["score"] == pytest.approx(0.8 * 0.9 + 0.2)
    assert (paid["search"]["penalty"], paid["perception"]["score"]) == (0.1, 1.0)


def test_what_no_rule_decides_earns_its_form_alone_and_is_flagged(reward: ModuleType) -> None:
    score = reward.compute_score("search", said("a sofa"), "couch", row("couch", answer_type="text"))
    assert score == {"score": 0.2, "acc": 0.0, "format": 1.0, "penalty": 0.0, "undecided": 1.0}


@pytest.mark.parametrize("kind", [json.dumps, list, np.array])
def test_answers_and_options_may_be_lists_arrays_or_json(reward: ModuleType, kind: Callable[[list[str]], Any]) -> None:
    truth = {"answers": kind(["B", "b"]), "answer_type": "choice", "choices": kind(["red", "blue"])}
    assert reward.compute_score("perception", said("blue"), "B", truth)["acc"] == 1.0
    assert reward.compute_score("perception", said("4"), "4", {"answers": None, "choices": kind([])})["acc"] == 1.0


def test_a_question_is_paid_the_same_by_its_category_as_by_verls_word_for_it(reward: ModuleType) -> None:
    named = [reward.compute_score(DATA_SOURCES[one], said("4"), "4", row("4")) for one in get_args(Category)]
    assert named == [reward.compute_score(one, said("4"), "4", row("4")) for one in get_args(Category)]
    assert {*DATA_SOURCES.values(), *get_args(Category)} == reward.SOURCES


def test_a_row_of_another_data_set_is_refused(reward: ModuleType) -> None:
    with pytest.raises(ValueError, match="'openai/gsm8k' is not coldforge's"):
        reward.compute_score("openai/gsm8k", said("4"), "4", {})


def test_each_dialect_is_read_by_its_own_grammar(tmp_path: Path) -> None:
    other = program("reward.py", tmp_path, FACTS.model_copy(update={"dialect": "tool_call"}))
    call = TOOL_CALL.render_turn("a", "python", '{"code":"1"}')
    decoded = decoded_response([call, said("4")], ["<tool_response>\nx\n</tool_response>"], bare=True)
    assert other.compute_score("reason", decoded, "4", row("4"))["format"] == 1.0
    assert (
        other.compute_score("reason", decoded_response([LOOK, said("4")], [SHOWN], bare=True), "4", row("4"))["format"]
        == 0.0
    )


@pytest.mark.parametrize("source", ["search", "perception"])
@pytest.mark.parametrize("truth", [row("4"), row("couch", answer_type="text"), row("x", answer_type="expression"), {}])
def test_no_response_is_scored_as_an_empty_message(reward: ModuleType, source: str, truth: dict[str, Any]) -> None:
    scores = [reward.compute_score(source, said, "4", truth) for said in (None, "")]
    assert scores[0] == scores[1] == {"score": 0.0, "acc": 0.0, "format": 0.0, "penalty": 0.0, "undecided": 0.0}
    # Whoever hands on the messages has no text beside them.
    handed = {**truth, "assistant_messages": [said("4")]}
    assert reward.compute_score(source, None, "4", handed)["format"] == 1.0


class _Judge(BaseHTTPRequestHandler):
    votes: tuple[str, ...] = ()
    reply: bytes | None = None
    """In place of the votes."""
    status = 200
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        said = [{"message": {"content": json.dumps({"reason": "", "verdict": vote})}} for vote in self.votes]
        content = json.dumps({"choices": said}).encode() if self.reply is None else self.reply
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def judge(reward: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Judge]]:
    handler = type("Judge", (_Judge,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(reward, "JUDGE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setattr(reward, "JUDGE_MODEL", "wren")
        yield handler
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("votes", "accuracy", "undecided"),
    [
        (("right", "right", "wrong"), 1.0, 0.0),
        (("wrong", "wrong", "right"), 0.0, 0.0),
        (("right", "wrong", "cannot_tell"), 0.0, 1.0),
    ],
)
def test_a_judge_decides_what_no_rule_does_and_nothing_else(
    reward: ModuleType, judge: type[_Judge], votes: tuple[str, ...], accuracy: float, undecided: float
) -> None:
    judge.votes = votes
    score = reward.compute_score("search", said("a sofa"), "couch", row("couch", answer_type="text"))
    assert (score["acc"], score["undecided"]) == (accuracy, undecided)
    assert judge.asked[0]["model"] == "wren"
    reward.compute_score("search", said("couch"), "couch", row("couch", answer_type="text"))
    assert len(judge.asked) == 1


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_a_judge_that_is_down_stops_with_the_variable_and_the_fix(
    reward: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reward, "JUDGE_URL", f"http://127.0.0.1:{_free_port()}/v1")
    with pytest.raises(InfrastructureError, match=r"COLDFORGE_JUDGE_URL \(http://127.*not set.*unset"):
        reward.compute_score("search", said("a sofa"), "couch", row("couch", answer_type="text"))
    # What a rule decides asks nobody.
    assert reward.compute_score("search", said("couch"), "couch", row("couch", answer_type="text"))["acc"] == 1.0


NO_VOTES = (b"", b"<html>", b"[]", b"{}", b'{"choices": null}', b'{"choices": [{}]}', b"\xff")
TOO_MANY = json.dumps({"choices": [{"message": {"content": "right"}}] * 9}).encode()


@pytest.mark.parametrize("reply", [*NO_VOTES, TOO_MANY])
def test_a_judge_that_answers_no_votes_stops_and_becomes_no_score(
    reward: ModuleType, judge: type[_Judge], reply: bytes
) -> None:
    judge.reply = reply
    with pytest.raises(InfrastructureError, match="COLDFORGE_JUDGE_URL"):
        reward.compute_score("search", said("a sofa"), "couch", row("couch", answer_type="text"))


def test_a_judge_that_refuses_stops_and_becomes_no_score(reward: ModuleType, judge: type[_Judge]) -> None:
    judge.status = 404
    with pytest.raises(InfrastructureError, match=r"HTTP Error 404.*COLDFORGE_JUDGE_MODEL \(wren\)"):
        reward.compute_score("search", said("a sofa"), "couch", row("couch", answer_type="text"))
