"""What is marked in a text is its answer, unless what stands beside it makes it another.

Each row: text, stored answer, type, and the first letters of the verdicts that are right.
"""

from __future__ import annotations

import pytest

from filters.answers import grade
from pipeline.records import AnswerType

ROWS: list[tuple[str, str, AnswerType, str]] = [
    ("\\boxed{5} million dollars in total", "5", "number", "wu"),
    ("There are $5$ million people in the city", "5", "number", "wu"),
    ("minus $5$ is what we get", "5", "number", "wu"),
    ("The answer is at least $5$", "5", "number", "wu"),
    ("It is more than $\\boxed{5}$", "5", "number", "wu"),
    ("So we get $\\boxed{5}$ percent of the total", "5", "number", "wur"),
    ("there are $\\boxed{2}$ distinct possible values for $B$", "2", "number", "ru"),
    ("The total is $\\boxed{5}$.", "5", "number", "r"),
    ("twice $\\boxed{5}$", "5", "number", "wu"),
    ("about \\boxed{5}", "5", "number", "wur"),
    ("$-5$", "5", "number", "w"),
    ("-$5", "5", "number", "w"),
    ("-$5$", "5", "number", "w"),
    ("$5$-$6$", "5", "number", "wu"),
    ("\\boxed{5}\\%", "5%", "number", "r"),
    ("\\boxed{5}^2", "5", "number", "wu"),
    ("2\\boxed{5}", "5", "number", "wu"),
    ("\\sqrt{\\boxed{5}}", "5", "number", "wu"),
    ("\\boxed{5}x", "5", "expression", "wu"),
    ("\\frac{\\boxed{5}}{2}", "5", "expression", "wu"),
    ("x \\ne \\boxed{5}", "5", "expression", "wu"),
    ("x > \\boxed{5}", "5", "expression", "wu"),
    ("x \\approx \\boxed{5}", "5", "expression", "wur"),
    ("-\\boxed{5}", "5", "expression", "w"),
    ("\\pm\\boxed{5}", "5", "expression", "w"),
    ("\\boxed{5}!", "5", "expression", "wur"),
    ("1/\\boxed{5}", "5", "expression", "wu"),
    ("\\boxed{5}\\text{ million}", "5", "expression", "wu"),
    ("The answer is \\boxed{5} million.", "5", "expression", "wu"),
    ("\\boxed{x}+1", "x", "expression", "wu"),
    ("Not \\boxed{5}", "5", "expression", "w"),
    ("\\boxed{5}?", "5", "number", "w"),
    ("\\boxed{5} is wrong", "5", "number", "wu"),
    ("\\boxed{5}. Wait, no.", "5", "number", "wu"),
    ("\\boxed{5}\n\nActually \\boxed{6}", "5", "number", "wu"),
    ("I think \\boxed{5}", "5", "number", "wur"),
    ("\\boxed{}", "5", "number", "wu"),
    ("\\boxed{5", "5", "number", "wu"),
]


@pytest.mark.parametrize(("said", "gold", "answer_type", "verdicts"), ROWS)
def test_marked_answers(said: str, gold: str, answer_type: AnswerType, verdicts: str) -> None:
    result = grade(said, [gold], answer_type)
    assert result.verdict[0] in verdicts, result
