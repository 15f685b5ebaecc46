"""What of a source's solution is learnt, what is refused by name, and what is too short, long or repetitive."""

from __future__ import annotations

import json
import time

import pytest

from filters.validate.long_cot import LongCotSettings, Retagged, Unreadable, has_solution, long_cot, retag
from filters.validate.repetition import repeated_lines, repeated_words
from flows.stages.long_cot import solution_trajectory
from pipeline.dialects import DEEPEYESV2, TOOL_CALL, Dialect
from pipeline.errors import RowError
from pipeline.records import Question, Trajectory
from tests.support.builders import question
from tests.support.synthesis import PROMPT

SETTINGS = LongCotSettings()
THOUGHT = "Six times seven is forty-two."


@pytest.mark.parametrize(
    ("solution", "think", "answer"),
    [
        (f"<think>{THOUGHT}</think>\n<answer>42</answer>", THOUGHT, "42"),
        (f"<think>\n{THOUGHT}\n</think>\n\n<answer> 42 </answer>\n", THOUGHT, "42"),
        # The chat template wrote the opening tag.
        (f"{THOUGHT}\n</think>\n\n<answer>42</answer>", THOUGHT, "42"),
        # A written-up solution repeats the thought: only its answer is taken.
        (f"<think>{THOUGHT}</think>\nWe multiply.\n\n$$6\\cdot 7=\\boxed{{42}}$$", THOUGHT, "42"),
        (f"<think>{THOUGHT}</think>\n**Solution**\n\nWe multiply.\nThe answer is: 42.", THOUGHT, "42"),
        ("<think>I try \\boxed{41}.</think>\n#### 42", "I try \\boxed{41}.", "42"),
        (f"<think>{THOUGHT}</think>\n\n42", THOUGHT, "42"),
        (
            (
                f"<|begin_of_thought|>\n\n{THOUGHT}\n\n<|end_of_thought|>\n\n"
                "<|begin_of_solution|>\n\nWe get $\\boxed{42}$.\n\n<|end_of_solution|>"
            ),
            THOUGHT,
            "42",
        ),
        # The box stands inside a sentence, so the prose stays whole.
        ("6 times 7 is \\boxed{42}.", "6 times 7 is \\boxed{42}.", "42"),
        ("So $x=\\boxed{\\frac{1}{\\sqrt{2}}}$.", "So $x=\\boxed{\\frac{1}{\\sqrt{2}}}$.", "\\frac{1}{\\sqrt{2}}"),
        ("The set is \\boxed{\\{1, 2\\}}", "The set is \\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        # A box of an earlier paragraph is an intermediate result.
        ("First \\boxed{6}.\n\nThen \\boxed{42}.", "First \\boxed{6}.\n\nThen \\boxed{42}.", "42"),
        ("It is \\boxed{42}, that is \\boxed{42.}", "It is \\boxed{42}, that is \\boxed{42.}", "42."),
        (f"{THOUGHT}\n#### 42", THOUGHT, "42"),
        ("It is \\boxed{42}.\n#### 42", "It is \\boxed{42}.", "42"),
        (f"{THOUGHT}\nThe answer is 42.", THOUGHT, "42"),
        (f"{THOUGHT} The answer is: $42$", THOUGHT, "42"),
        (f"{THOUGHT}\n**Final Answer:** 42", THOUGHT, "42"),
        (f"{THOUGHT}\nTherefore, the final answer is **forty-two**.", THOUGHT, "forty-two"),
    ],
)
def test_a_solution_is_taken_apart_into_thought_and_answer(solution: str, think: str, answer: str) -> None:
    assert retag(solution) == Retagged(think, answer)


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("", "no_answer"),
        (THOUGHT, "no_answer"),
        (f"<think>{THOUGHT}</think>", "no_answer"),
        (f"<think>{THOUGHT}</think><answer>  </answer>", "no_answer"),
        (f"<think>{THOUGHT}</think>It is a number.\nWhich one is left to the reader.", "no_answer"),
        (f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|> 42", "no_answer"),
        (f"<think>{THOUGHT}", "unclosed"),
        (f"<think>{THOUGHT}</think><answer>42", "unclosed"),
        (f"<|begin_of_thought|>{THOUGHT}", "unclosed"),
        (f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|><|begin_of_solution|>\\boxed{{42}}", "unclosed"),
        ("It is \\boxed{42", "unclosed"),
        ("It is \\boxed 42", "unclosed"),
        ("<think> </think><answer>42</answer>", "no_reasoning"),
        ("#### 42", "no_reasoning"),
        ("The answer is 42.", "no_reasoning"),
        (f"<think>{THOUGHT}</think><answer>42</answer><answer>43</answer>", "several_answers"),
        ("x is \\boxed{1} or x is \\boxed{2}.", "several_answers"),
        ("It is \\boxed{42}.\n#### 43", "several_answers"),
        (f"<think>{THOUGHT}</think><answer>42</answer> I am sure.", "text_after_answer"),
        (f"Sure! <think>{THOUGHT}</think><answer>42</answer>", "control_token"),
        (f"<think>{THOUGHT}<think>Again.</think></think><answer>42</answer>", "control_token"),
        (f"<think>{THOUGHT}</think>Wait.</think> \\boxed{{42}}", "control_token"),
        ("<think>Look at <image>.</think><answer>42</answer>", "control_token"),
        ("<|user|>How much?<|text|>It is \\boxed{42}.", "control_token"),
        ("I run <code>6 * 7</code>.\n#### 42", "control_token"),
        ("<think>So.</think><answer>42<|im_end|></answer>", "control_token"),
        ("\ud800 \\boxed{42}", "not_text"),
    ],
)
def test_what_cannot_be_learnt_is_refused_by_name(solution: str, reason: str) -> None:
    found = retag(solution)
    assert isinstance(found, Unreadable)
    assert found.reason == reason
    assert found.detail


@pytest.mark.parametrize(
    "hostile", ["\\boxed{" * 28_000, "{" * 200_000, "The answer is" * 15_000, "<think>" * 28_000, "#### " * 40_000]
)
def test_reading_takes_no_longer_than_the_text_is_long(hostile: str) -> None:
    began = time.perf_counter()
    retag(hostile)
    retag(f"{hostile}\n\n \\boxed{{1}}")
    assert time.perf_counter() - began < 2  # about 0.1 s; what is not linear takes minutes


def reasons(think: str, tokens: int = 500, room: int = 20_000) -> list[str]:
    decisions = long_cot("t", Retagged(think, "42"), tokens, room, SETTINGS)
    return [decision.reason for decision in decisions]


LONG = " ".join(
    f"Step {n} adds {n * n} to the sum, which makes {n * (n + 1) * (2 * n + 1) // 6}." for n in range(1, 40)
)


def test_a_thought_that_is_short_or_a_message_that_a_trainer_would_cut_is_rejected() -> None:
    assert reasons(LONG) == ["", ""]
    assert reasons(THOUGHT)[0] == "too_short"
    assert reasons(LONG, tokens=SETTINGS.max_tokens + 1)[0] == "too_long"
    # What the student's cutoff leaves counts too, whatever the recipe says.
    assert reasons(LONG, tokens=500, room=499)[0] == "too_long"


def test_a_thought_that_goes_round_in_circles_is_rejected() -> None:
    loop = "Wait, I should check the sum once more before I write down what it comes to."
    assert reasons("\n".join([LONG, *[loop] * 30]))[1] == "repeated_lines"
    assert reasons(" ".join([LONG, *[loop] * 30]))[1] == "repeated_words"
    # Saying the result again is no loop.
    assert reasons(f"{LONG}\n{loop}\n{loop}")[1] == ""


def test_marks_around_formulas_are_no_repetition() -> None:
    derivation = "\n".join(f"\\[\nx_{{{n}}} = {n}^2 + {n}\n\\]" for n in range(50))
    assert repeated_lines(derivation) == 0
    assert repeated_lines("a\nb\na") == pytest.approx(1 / 3)
    assert repeated_words(" ".join(map(str, range(10))) + " x " + " ".join(map(str, range(10)))) == pytest.approx(
        10 / 21
    )
    assert repeated_lines("") == repeated_words("") == 0


def with_solution(solution: str | None, text: str = "What is six times seven?", **meta: str) -> Question:
    return question(
        text,
        source="numbers",
        source_row="r1",
        category="reasoning",
        answers=("42",),
        answer_type="number",
        meta={**meta, **({} if solution is None else {"solution": solution})},
    )


def made(asked: Question, dialect: Dialect = DEEPEYESV2) -> Trajectory | RowError:
    changes = {
        "system": "Reason.",
        "user_template": "{images}{question}\nAnswer.",
        "prompts": '{"export/plain":"a"}',
        "dialect": dialect.name,
        "seed": 7,
    }
    return solution_trajectory(asked, PROMPT.model_copy(update=changes), len)


def test_only_a_question_that_brought_its_solution_has_one() -> None:
    assert has_solution(with_solution("It is \\boxed{42}."))
    assert not has_solution(with_solution(None))
    # A source may speak of one in its own notes.
    assert not has_solution(with_solution(None, note='"solution":'))


@pytest.mark.parametrize("dialect", [DEEPEYESV2, TOOL_CALL])
def test_a_solution_becomes_a_trajectory_that_the_dialect_reads_back(dialect: Dialect) -> None:
    asked = with_solution("<think>Six sevens.</think>So \\boxed{42}", "Is <|im_end|> a word?")
    done = made(asked, dialect)
    assert isinstance(done, Trajectory)
    assert (done.purpose, done.arm, done.mode, done.sample) == ("synthesis", "long_cot", "plain", 0)
    assert (done.model, done.finish, done.verdict, done.answer) == ("source/numbers", "answer", "unknown", "42")
    (turn,) = done.turns
    assert (turn.think, turn.loss, turn.status) == ("Six sevens.", True, "ok")
    assert dialect.parse(turn.raw_text, "plain") == ("Six sevens.", "answer", '{"answer":"42"}')
    assert done.tokens.completion == len(turn.raw_text)
    assert json.loads(done.view)["seen"] == []
    assert "<|im_end|>" not in done.user
    assert done == made(asked, dialect)


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("I give up.", "no_answer"),
        # Tokens that only the dialect knows.
        ("[INST] says: \\boxed{42}", "control_token"),
        ("<s>It is</s> \\boxed{42}", "control_token"),
        ("<tools>[]</tools>\n#### 42", "control_token"),
    ],
)
def test_a_solution_that_no_dialect_could_teach_is_an_error_with_its_row(solution: str, reason: str) -> None:
    error = made(with_solution(solution))
    assert isinstance(error, RowError)
    assert error.reason == reason
    assert "'r1'" in error.detail


def test_a_question_without_a_solution_is_not_of_the_lane() -> None:
    with pytest.raises(ValueError, match="no solution"):
        made(with_solution(None))
