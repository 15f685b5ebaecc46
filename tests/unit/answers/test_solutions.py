"""Of a whole solution only its conclusion counts, and only where nothing before or behind it makes it another.

Found by readers who tried to have a wrong answer accepted. Rows: text, stored answer; all as number and as expression.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from filters.answers import grade
from filters.answers.mathematics.expressions import expression_pairs, settle
from pipeline.math_worker import MathWorker
from pipeline.records import AnswerType

LONG = "We look at the figure and add what both of its parts have, step by step, as the text asks us to do. " * 4
WIDE = "我们仔细观察图中的两个部分，并把它们相加。" * 18

NOT_RIGHT: dict[str, list[tuple[str, str]]] = {
    "said by others, doubted, supposed": [
        *((f"{LONG}{said} the answer is 12.", "12") for said in (
            "Some would say", "I doubt that", "It is false that", "Nobody could say", "If the height were 4,",
            "Assuming there is no hole,",
        )),
        (f"{LONG}Is the answer is 12?", "12"),
        (f"{LONG}Manche meinen, die Antwort ist 12.", "12"),
        (f"{LONG}Certains disent que la réponse est 12.", "12"),
        (f"{LONG}Algunos dicen que la respuesta es 12.", "12"),
        (f"{LONG}Alguns dizem que a resposta é 12.", "12"),
        (f"{WIDE}有人认为答案是12。", "12"),
        (f"{WIDE}谁说答案是12?", "12"),
        (f"{WIDE}很难说答案是12。", "12"),
        (f"{LONG}もし穴がなければ答えは12。", "12"),
        ("It is false that the answer is 12.", "12"),
        *((f"{LONG}{said} \\boxed{{12}}.", "12") for said in (
            "If n = 3, then the answer is", "Otherwise", "Nobody gets", "A common mistake gives",
            "Bob says the answer is", "Bob's answer is", "Wenn n = 3, dann", "Si n = 3, alors", "Peter sagt",
            "Pablo dice",
        )),
        *((f"{WIDE}{said}\\boxed{{12}}", "12") for said in ("大约", "可能是", "如果n=3，则", "小明说答案是")),
        *((f"{LONG}My {who} that the answer is 12.", "12") for who in ("friend says", "textbook claims")),
        *((f"{LONG}The {kind} answer is 12.", "12") for kind in ("naive", "old", "opposite", "student's", "other")),
        *((f"{LONG}The answer {more} is 12.", "12") for more in ("to part (b)", "squared", "before rounding")),
        (f"{LONG}Therefore, nobody knows whether the area is 12.", "12"),
    ],
    "called wrong, or one of several": [
        (f"{LONG}The intermediate answer is 12. Multiply by 3.", "12"),
        (f"{LONG}The first answer is 12, the second answer is 15.", "15"),
        (f"{WIDE}错误答案是12。", "12"),
        (f"{LONG}Die falsche Antwort ist 12.", "12"),
        (f"{LONG}La mauvaise réponse est 12.", "12"),
        (f"{LONG}誤った答えは12。", "12"),
        (f"{LONG}गलत उत्तर: 12", "12"),
        ("La respuesta incorrecta es 12.", "12"),
        (f"{LONG}x=\\boxed{{12}}, y=\\boxed{{13}}", "13"),
    ],
    "taken back or gone on with": [
        (f"{LONG}The answer is 12. Let me double check. 6*5/2 = 15. So it is 15.", "12"),
        (f"{LONG}The answer is 12. Oops, that is the perimeter.", "12"),
        (f"{LONG}The answer is 12. But I forgot to add 1.", "12"),
        (f"{LONG}The answer is 12. However, the question asks for the perimeter, which is 15.", "12"),
        (f"{LONG}Step 4: The answer is 12. Now multiply by 3 to get 36 in total.", "12"),
        (f"{WIDE}答案是12。等等,我算错了,应该是13。", "12"),
        (f"{WIDE}答案是12。但这是错的。", "12"),
        (f"{LONG}答えは12。いや、13だ。", "12"),
        (f"{LONG}Die Antwort ist 12. Das ist falsch.", "12"),
        (f"{LONG}La réponse est 12. Attendez, c'est 13.", "12"),
        (f"{LONG}La respuesta es 12. Es falso.", "12"),
        (f"{LONG}A resposta é 12. Está errado.", "12"),
        *((f"{LONG}\\boxed{{12}}{behind}", "12") for behind in (
            ". Second attempt: 15.", ". Correction: 15.", ", so x = 15", "; then we get 15", " if n=3", " unless n=3",
            " is Bob's answer", " : 15", "或15", " oder 15",
        )),
        (f"{LONG}The answer is 15. \\boxed{{12}}", "12"),
        ("\\boxed{12}. Wait, I halved twice, so the answer is 24.", "12"),
        ("\\boxed{12}, but the height is 5, so 15.", "12"),
        (f"{LONG}Therefore \\boxed{{12}} is ruled out, since only 9 fits.", "12"),
        (f"{WIDE}所以\\boxed{{12}}是错误的。", "12"),
    ],
    "of another thing than asked for": [
        *((f"{said} = 12", "12") for said in (
            "Therefore 2A", "A^2", "-A", "1/x", "\\sqrt{x}", "sin x", "x + 1", "x \\cdot 3", "y - x", "|x|", "2x",
        )),
        *((f"{before}{said}\\boxed{{12}}", "12") for before in ("", LONG) for said in ("2x = ", "x/2 = ", "x^3 = ")),
        *((f"{LONG}Therefore, {said}", "12") for said in (
            "there are 12 cases left to check.", "there are 12 ways if order matters.", "the upper bound is 12.",
            "the claimed value is 12.", "the number is 12 off.",
        )),
        ("Hence 1 - p = 12%", "12%"),
        (f"{LONG}Therefore 2A = 12.", "12"),
        (f"{LONG}したがって2x=12。", "12"),
        *((f"{before}{said} is 12.", "12") for before in ("", f"{LONG}Therefore, ") for said in (
            "twice the area", "the square of the side", "the reciprocal of the speed", "half of it",
        )),
        (f"{WIDE}因此面积的一半是12", "12"),
        (f"{WIDE}因此面积的两倍是12", "12"),
    ],
    "a number that a word behind it changes": [
        *((said, "12") for said in (
            "12 et demi", "12 cinquièmes", "12 quintos", "12 zum Quadrat", "12 einhalb", "12 units less", "12 fewer",
            "12 ppb", "12 promille", "12 octillion", "12 googol", "12 kilo", "12 doubled", "12 halved", "12 upwards",
            "12 nope", "12 lower", "12 off", "12 short",
        )),
        (f"{LONG}Therefore it is 12 units less.", "12"),
    ],
}  # fmt: skip
RIGHT = [
    *(f"{LONG}{said}" for said in (
        "So the area is 12.", "So the answer is 12.", "Final answer: 12", "The answer is \\boxed{12}.", "#### 12",
        "**Final Answer**\n\n12", "Consequently, the area is 12.", "The result is 12.", "Die Antwort ist 12.",
        "Also ist die Antwort 12.", "La réponse est donc 12.", "La respuesta es 12.", "A resposta é 12.",
        "答えは12です。", "よって答えは12である。", "सही उत्तर 12 है।", "Therefore, there are 12 of them.",
        "\\[6 + 6 = \\boxed{12}.\\]",
    )),
    f"{LONG}Therefore, x = 12.", f"{LONG}The answer is:\n12", f"{LONG}In conclusion, the answer is 12.",
    f"{LONG}12 is the answer.", f"{LONG}The answer is therefore 12.", f"{WIDE}答案就是12。",
    f"{WIDE}所以答案是\\boxed{{12}}。", "x = 12", "6*4/2 = 12", "Area = 12",
]  # fmt: skip


@pytest.fixture(scope="module")
def worker() -> Iterator[MathWorker]:
    with MathWorker() as worker:
        yield worker


def verdict(said: str, gold: str, kind: AnswerType, worker: MathWorker) -> str:
    result = grade(said, [gold], kind)
    if kind == "expression":
        result = settle(result, worker.equal(expression_pairs(said, [gold], result)))
    return result.verdict


KINDS: tuple[AnswerType, ...] = ("number", "expression")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NOT_RIGHT)
def test_what_a_solution_does_not_conclude_is_not_right(name: str, kind: AnswerType, worker: MathWorker) -> None:
    assert [said[-80:] for said, gold in NOT_RIGHT[name] if verdict(said, gold, kind, worker) == "right"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_solution_concludes_is_its_answer(kind: AnswerType, worker: MathWorker) -> None:
    assert [said[-60:] for said in RIGHT if verdict(said, "12", kind, worker) != "right"] == []
    assert [said[-60:] for said in RIGHT if verdict(said, "13", kind, worker) == "right"] == []


PIECES = (
    *(
        "the ",
        "$",
        "\\boxed{",
        "\\boxed{1}",
        "(",
        "So ",
        "The answer is ",
        "the a is ",
        "*",
        "1",
        "1,",
        "1 ",
        "x=",
        "{",
    ),
    *(
        "\\(",
        "。",
        "答案是",
        ". ",
        "Final answer ",
        "a\n",
        " ",
        "#",
        " is the answer",
        ". Note that ",
        "\\n",
        "B, not ",
    ),
    *("A, B or ", "I hope it is correct. ", "<|im_end|>", "Aではなく", "$a$ "),
)


@pytest.mark.parametrize("piece", PIECES)
def test_a_text_of_any_length_is_graded_at_once(piece: str) -> None:
    """What a model wrote has no bound, and a pattern that looks back from every place would not end."""
    long = piece * (50_000 // len(piece))
    for said in (long, f"{long} \\boxed{{5}}", f"Therefore, {long}", f"{long}a"):
        for kind in KINDS:
            grade(said, ["5"], kind)
