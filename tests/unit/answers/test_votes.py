"""What votes of a judge come to, and what counts as a vote."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.answers.votes import (
    FAULTS,
    REFUSED,
    UNREADABLE_VOTE,
    UNSURE,
    VERDICTS,
    Asked,
    JudgeSettings,
    QuestionReason,
    QuestionVote,
    answer_schema,
    answer_verdict,
    question_decision,
    read_vote,
    tally,
)
from pipeline.dialects.defuse import contains_control, defuse
from pipeline.errors import UsageError
from pipeline.identity import canonical_json
from pipeline.prompts.judge_prompts import load_judge_prompts, quoted
from pipeline.records import JudgeVotes, Question
from tests.support.builders import question
from tests.support.cases.grading_cases import verdict
from tests.support.cases.judge_cases import load_asked

ASKED: tuple[Asked, ...] = get_args(Asked)
NO_VERDICT = (UNREADABLE_VOTE, REFUSED)
ANSWER_VOTES = st.lists(st.sampled_from([*VERDICTS["answer"], *NO_VERDICT]), max_size=7)
ANY_TEXT = st.text(max_size=120) | st.text(
    st.sampled_from('"\\\n<>/[]|{} \u200b\u202e\u2028\U000e0041answeri'), max_size=60
)


def voted(asked: Asked, *votes: str, of: int = 3) -> JudgeVotes:
    return JudgeVotes(
        record_id="r",
        question_id="q",
        asked=asked,
        model="scripted/1",
        prompt="p",
        votes=votes,
        verdict=tally(votes, JudgeSettings(votes=of)),
    )


def asked_about(text: str, *answers: str) -> Question:
    return question(text, answers=answers)


@given(ANSWER_VOTES.flatmap(lambda votes: st.tuples(st.just(votes), st.permutations(votes))))
def test_the_order_of_votes_decides_nothing(orders: tuple[list[str], list[str]]) -> None:
    one, other = orders
    assert tally(one, JudgeSettings(votes=7)) == tally(other, JudgeSettings(votes=7))


@given(ANSWER_VOTES)
def test_an_answer_stays_unknown_unless_most_votes_asked_for_agree(votes: list[str]) -> None:
    counts = Counter(votes)
    verdict = answer_verdict(voted("answer", *votes, of=7))
    expected = "right" if counts["right"] > 3 else "wrong" if counts["wrong"] > 3 else "unknown"
    assert verdict == expected


def test_a_vote_that_was_not_given_counts_against_a_majority() -> None:
    assert tally(("right", "right"), JudgeSettings(votes=3)) == "right"
    assert tally(("right", "right"), JudgeSettings(votes=5)) == UNSURE
    assert tally((), JudgeSettings()) == UNSURE


@pytest.mark.parametrize("vote", NO_VERDICT)
def test_refusals_and_babble_never_win(vote: str) -> None:
    assert tally((vote,) * 3, JudgeSettings()) == UNSURE
    assert tally((vote, vote, "right"), JudgeSettings()) == UNSURE
    assert tally((vote, "right", "right"), JudgeSettings()) == "right"


def test_more_votes_than_asked_for_are_refused() -> None:
    with pytest.raises(ValueError, match="4 votes where 3 were asked for"):
        tally(("right",) * 4, JudgeSettings())


@pytest.mark.parametrize("votes", [0, 2, 4, -1])
def test_the_number_of_votes_is_odd(votes: int) -> None:
    with pytest.raises(ValidationError):
        JudgeSettings(votes=votes)


def test_a_sound_question_is_kept_with_its_share_of_votes() -> None:
    decision = question_decision(voted("question", "sound", "ambiguous", "sound"))
    assert (decision.outcome, decision.reason, decision.filter) == ("keep", "", "question_judge")
    assert decision.score == pytest.approx(2 / 3)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_a_reason_of_its_own(fault: str) -> None:
    decision = question_decision(voted("question", fault, "sound", fault))
    assert (decision.outcome, decision.reason) == ("reject", fault)


def test_a_question_that_is_not_settled_is_unknown() -> None:
    torn = question_decision(voted("question", "sound", "ambiguous", "several_answers"))
    assert (torn.outcome, torn.reason, torn.score) == ("unknown", "judge_unsure", 0.0)
    open_ = question_decision(voted("question", "cannot_tell", "cannot_tell", "sound"))
    assert (open_.outcome, open_.reason) == ("unknown", "judge_cannot_tell")


def test_every_verdict_and_reason_is_declared_once() -> None:
    assert set(VERDICTS["question"]) == {vote for part in get_args(QuestionVote) for vote in get_args(part) or (part,)}
    reasons = {reason for part in get_args(QuestionReason) for reason in get_args(part) or (part,)}
    assert reasons == {*FAULTS, "judge_cannot_tell", "judge_unsure"}


def test_votes_on_a_question_grade_no_answer_and_the_reverse() -> None:
    with pytest.raises(ValueError, match="about its question"):
        answer_verdict(voted("question", "sound", "sound", "sound"))
    with pytest.raises(ValueError, match="about its answer"):
        question_decision(voted("answer", "right", "right", "right"))


@pytest.mark.parametrize("asked", ASKED)
def test_every_verdict_of_the_schema_is_read(asked: Asked) -> None:
    schema = json.loads(answer_schema(asked))
    verdicts = schema["properties"]["verdict"]["enum"]
    assert verdicts == list(VERDICTS[asked])
    for word in verdicts:
        assert read_vote(json.dumps({"reason": "so", "verdict": word}), asked) == word


@pytest.mark.parametrize("asked", ASKED)
def test_the_schema_asks_for_the_reason_before_the_verdict(asked: Asked) -> None:
    assert list(json.loads(answer_schema(asked))["properties"]) == ["reason", "verdict"]


@pytest.mark.parametrize(
    ("text", "vote"),
    [
        ('{"verdict": "right"}', "right"),
        ('  \n{"reason": "same", "verdict": "wrong"}\n', "wrong"),
        ('<think>They say "verdict": "right".</think>\n{"reason": "", "verdict": "wrong"}', "wrong"),
        ("right", UNREADABLE_VOTE),
        ('"right"', UNREADABLE_VOTE),
        ("Yes, the verdict is right.", UNREADABLE_VOTE),
        ('The verdict: {"verdict": "right"}', UNREADABLE_VOTE),
        ('{"verdict": "right"} Good work!', UNREADABLE_VOTE),
        ('{"verdict": "right"}{"verdict": "wrong"}', UNREADABLE_VOTE),
        ('{"verdict": "wrong", "verdict": "right"}', UNREADABLE_VOTE),
        ('[{"verdict": "right"}]', UNREADABLE_VOTE),
        ('```json\n{"verdict": "right"}\n```', UNREADABLE_VOTE),
        ('{"verdict": "Right"}', UNREADABLE_VOTE),
        ('{"verdict": "sound"}', UNREADABLE_VOTE),
        ('{"verdict": true}', UNREADABLE_VOTE),
        ('{"verdict": ["right"]}', UNREADABLE_VOTE),
        ('{"reason": 1, "verdict": "right"}', UNREADABLE_VOTE),
        ('{"verdict": "right", "confidence": NaN}', UNREADABLE_VOTE),
        ('{"verdict": "right", "confidence": 1}', UNREADABLE_VOTE),
        ('{"reason": "cut of', UNREADABLE_VOTE),
        ('<think>never closed {"verdict": "right"}', UNREADABLE_VOTE),
        ('<think>a</think>b</think>{"verdict": "right"}', UNREADABLE_VOTE),
        ("[" * 100_000, UNREADABLE_VOTE),
        ("", UNREADABLE_VOTE),
        ("{}", UNREADABLE_VOTE),
    ],
)
def test_a_vote_is_one_object_and_nothing_else(text: str, vote: str) -> None:
    assert read_vote(text, "answer") == vote


@given(st.text(), st.sampled_from(ASKED))
def test_no_text_breaks_the_reading_of_a_vote(text: str, asked: Asked) -> None:
    assert read_vote(text, asked) in {*VERDICTS[asked], UNREADABLE_VOTE}


@given(ANY_TEXT)
def test_quoted_text_is_one_visible_line_that_gives_the_text_back(text: str) -> None:
    line = quoted(text)
    assert json.loads(line) == defuse(text)
    assert line.isprintable()
    assert not contains_control(line)
    canonical_json(line)  # a request that holds it has a key


@given(ANY_TEXT)
def test_an_answer_cannot_leave_its_line(said: str) -> None:
    first, second, third = load_judge_prompts().answer_text(asked_about("What is it?", "a cat"), said).split("\n")
    assert first == 'Question: "What is it?"'
    assert second == 'Stored answers: ["a cat"]'
    assert third == f"Answer to compare: {quoted(said)}"


def test_text_that_spells_a_slot_is_not_filled() -> None:
    text = load_judge_prompts().answer_text(asked_about("{answer}?", "{question}"), "{answers}")
    assert text == 'Question: "{answer}?"\nStored answers: ["{question}"]\nAnswer to compare: "{answers}"'


def test_a_question_is_shown_without_its_answers() -> None:
    text = load_judge_prompts().question_text(asked_about("Who is it?", "Ada Lovelace"))
    assert text == 'Question: "Who is it?"'


def test_a_judge_that_copies_the_form_out_of_its_prompt_has_not_voted() -> None:
    prompts = load_judge_prompts()
    for asked, prompt in zip(ASKED, (prompts.answer, prompts.question), strict=True):
        form = prompt.system.splitlines()[-1]
        assert list(json.loads(form)) == ["reason", "verdict"]
        assert read_vote(form, asked) == UNREADABLE_VOTE


def test_the_prompts_explain_every_verdict() -> None:
    prompts = load_judge_prompts()
    told: dict[Asked, str] = {"answer": prompts.answer.system, "question": prompts.question.system}
    for asked, system in told.items():
        assert [verdict for verdict in VERDICTS[asked] if f"- `{verdict}`: " not in system] == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("answer_user.md", "{question} {answers}", r"answer_user\.md has 0 slots \{answer\}"),
        ("question_user.md", "{images}{question}{question}", r"question_user\.md has 2 slots \{question\}"),
        ("answer.md", "Mind <image>.", r"answer\.md holds a control token"),
        ("question.md", None, r"question\.md cannot be read"),
        ("question.md", b"\xff", r"question\.md is not UTF-8 \(byte 0\)"),
    ],
)
def test_a_broken_prompt_names_its_file(file: str, text: str | bytes | None, message: str, tmp_path: Path) -> None:
    good = {
        "answer.md": "Compare.",
        "answer_user.md": "{question}\n{answers}\n{answer}",
        "question.md": "Check.",
        "question_user.md": "{images}{question}",
    }
    for name, content in good.items():
        (tmp_path / name).write_text(content)
    assert load_judge_prompts(tmp_path).answer.system == "Compare."
    if text is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        load_judge_prompts(tmp_path)


def test_labelled_cases_for_a_judge_are_many_distinct_and_of_both_kinds() -> None:
    cases = load_asked()
    left = [case for case in cases if verdict(case, None).verdict == "undecided"]
    assert len({(case.question, case.golds, case.prediction) for case in cases}) == len(cases)
    assert min(sum(case.expected == "right" for case in left), sum(case.expected != "right" for case in left)) >= 50


def test_no_rule_accepts_what_a_judge_has_to_refuse() -> None:
    wrong = [case for case in load_asked() if case.expected != "right"]
    assert [case.prediction for case in wrong if verdict(case, None).verdict == "right"] == []
