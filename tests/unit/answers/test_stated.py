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


SOLUTION = "We add what both of them have. " * 15
SOLUTIONS: list[tuple[str, str, AnswerType, str]] = [
    (SOLUTION + "So $2 + 3 = \\boxed{5}$.", "5", "number", "r"),
    (SOLUTION + "So $2 + 3 = \\boxed{5}$.", "6", "number", "w"),
    ("First \\boxed{4}. " + SOLUTION + "Then \\boxed{5}.", "5", "expression", "r"),
    ("First \\boxed{4}. " + SOLUTION + "Then \\boxed{5}.", "4", "expression", "w"),
    (SOLUTION + "The roots are \\boxed{-2} and \\boxed{1}.", "1, -2", "expression", "r"),
    (SOLUTION + "The answer is \\boxed{4} or \\boxed{5}.", "5", "expression", "wu"),
    (SOLUTION + "Then $3^4 \\equiv \\boxed{9} \\pmod{12}$.", "9", "expression", "r"),
    (SOLUTION + "Final Answer: The final answer is $x^2$. I hope it is correct.", "x^2", "expression", "r"),
    (SOLUTION + "**Final Answer**\n\\boxed{x^2}", "x^2", "expression", "r"),
    (SOLUTION + "Here \\boxed{4} is half. Final Answer: 8", "8", "number", "r"),
    (SOLUTION + "Here \\boxed{4} is half. Final Answer: 8", "4", "number", "w"),
    (SOLUTION + "Therefore, the ordered pair $(x, y)$ that solves it is $(7, 6)$.", "(7,6)", "expression", "r"),
    (SOLUTION + "So the largest n is 2/3", "2/3", "expression", "r"),
    (SOLUTION + "So half of it is 5.", "5", "expression", "wu"),
    (SOLUTION + "I do not think the answer is 5.", "5", "number", "wu"),
    (SOLUTION + "The answer is 5. Wait, actually it is 7.", "5", "number", "wu"),
    (SOLUTION + "\\boxed{5}. Wait, no, it is 7", "5", "number", "wu"),
    (SOLUTION + "\\boxed{5}. " + SOLUTION + "That is wrong.", "5", "number", "wu"),
    (SOLUTION + "Therefore it is not 5.", "5", "number", "wu"),
    (SOLUTION + "Therefore x is less than 5.", "5", "expression", "wu"),
    (SOLUTION + "Therefore it is 5. " + SOLUTION, "5", "number", "wu"),
    (SOLUTION + "5", "5", "number", "wu"),
    # Of other languages only what announces an answer is read.
    (SOLUTION + "Daher ist das Gewicht 192.", "192", "number", "wu"),
    (SOLUTION + "Donc, la réponse est 192 kg", "192 kg", "number", "r"),
    (SOLUTION + "Die Antwort ist $x^2$.", "x^2", "expression", "r"),
    (SOLUTION + "Die Antwort ist nicht $x^2$.", "x^2", "expression", "wu"),
    (SOLUTION + "La réponse est \\boxed{5}.", "5", "number", "r"),
    (SOLUTION + "La respuesta es $x^2$.", "x^2", "expression", "r"),
    (SOLUTION + "A resposta é $x^2$.", "x^2", "expression", "r"),
    (SOLUTION + "因此，答案是192公斤。", "192", "number", "r"),
    (SOLUTION + "因此，她的体重不是192公斤。", "192", "number", "wu"),
    (SOLUTION + "答案：192", "192", "number", "r"),
    (SOLUTION + "答えは192", "192", "number", "r"),
    (SOLUTION + "उत्तर: 192", "192", "number", "r"),
    (SOLUTION + "因此，答案是**192美元**。", "192", "number", "r"),
    (SOLUTION + "The answer is 4. " + SOLUTION + "The answer is 5.", "5", "number", "wu"),
    (SOLUTION + "The answer is 5. " + SOLUTION + "The answer is 5.", "5", "number", "r"),
    (SOLUTION + "it says so, which is 5", "5", "number", "wu"),
    (SOLUTION + "Here is the correct solution: 5", "5", "number", "wu"),
    # In perception and search the reward of DeepEyesV2 gives nothing for an answer so long.
    (SOLUTION + "The answer is \\boxed{red}.", "red", "text", "w"),
    (SOLUTION + "The answer is \\boxed{A}.", "A", "choice", "w"),
]
SUBJECTS: list[tuple[str, str, AnswerType, str]] = [
    ("Final Answer: The largest $n$ is 34.", "34", "expression", "r"),
    ("The volume of $ABCDEFGH$ is 120.", "120", "expression", "r"),
    ("The sum of the years between 2000 and 3000 is \\boxed{143}", "143", "number", "r"),
    ("Half of the number is 5", "5", "expression", "wu"),
    ("The square root of the number is 5", "5", "expression", "wu"),
    ("A third of n is 5", "5", "expression", "wu"),
    ("The number that it is not is 5", "5", "expression", "wu"),
    ("The lengths are 5 and \\boxed{6}", "6", "number", "wu"),
    ("\\boxed{(3, 3)} \\text{ for part (a) and } \\boxed{(1, 1)}", "(3, 3), (1, 1)", "expression", "r"),
    ("\\boxed{(3, 3)} \\text{ not for part (a) and } \\boxed{(1, 1)}", "(3, 3), (1, 1)", "expression", "wu"),
    ("\\(a = \\boxed{5}\\) and \\(b = \\boxed{6}\\)", "a = 5, b = 6", "expression", "r"),
    ("\\($a = 5 \\) and \\( b = 6 \\)", "a = 5, b = 6", "expression", "r"),
    ("\\n\\n\\[ \\boxed{x^2} \\]", "x^2", "expression", "r"),
]


@pytest.mark.parametrize(("said", "gold", "answer_type", "verdicts"), [*ROWS, *SOLUTIONS, *SUBJECTS])
def test_marked_answers(said: str, gold: str, answer_type: AnswerType, verdicts: str) -> None:
    result = grade(said, [gold], answer_type)
    assert result.verdict[0] in verdicts, result
