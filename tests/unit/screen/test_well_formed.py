"""Rows that make no sense are told by what they hold, each with a reason of its own."""

from __future__ import annotations

from typing import Any

import pytest

from filters.screen.well_formed import well_formed
from tests.support.builders import image, question

SHOWN = (image(), image("b" * 64))


def reason(tokens: int = 9, **fields: Any) -> str:
    return well_formed(question(**{"images": SHOWN[:1]} | fields), tokens, 100).reason


def test_a_text_longer_than_the_cutoff_is_too_long() -> None:
    assert reason(tokens=100) == ""
    assert reason(tokens=101) == "text_too_long"


@pytest.mark.parametrize("category", ["perception", "reasoning", "search"])
def test_perception_needs_a_picture(category: str) -> None:
    assert reason(category=category) == ""
    assert reason(category=category, images=()) == ("perception_without_image" if category == "perception" else "")


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("How many dots are in the picture of card four?", True),
        ("What is written on the left photo shown above?", True),
        ("From the figure, what is x?", True),
        ("Wie viele Punkte sind auf dem Bild?", True),
        ("Combien de points voit-on sur l'image ?", True),
        ("¿Cuántos puntos hay en la imagen?", True),
        ("Quantos pontos há na figura?", True),
        ("图中有几个点?", True),
        ("如图,求x。", True),
        ("画像の中に点はいくつありますか", True),
        ("चित्र में कितने बिंदु हैं?", True),
        ("Who wrote The Picture of Dorian Gray?", False),
        ("How does a photograph fade?", False),
        ("What is 17 * 23?", False),
        ("地図の凡例とは何ですか", False),
        ("Was ist ein Bild?", False),
        ("图灵是谁?", False),
    ],
)
def test_a_question_that_speaks_of_a_picture_needs_one(text: str, speaks: bool) -> None:
    assert reason(category="reasoning", text=text, images=()) == ("perception_without_image" if speaks else "")
    assert reason(category="reasoning", text=text) == ""


@pytest.mark.parametrize(
    "options",
    [
        ("<image>", "<image>"),
        ("<image 1>", "<image 2>"),
        ("<image_1>", "none of them"),
        ("<|image_1|>", "<|image_2|>"),
        ("<img src='a'>", "a circle"),
        ("![](a.png)", "![](b.png)"),
        ("[Image]", "[Image]"),
        ("[image 1]", "a circle"),
        ("【图片】", "【图片】"),
        ("image 1", "image 2"),
        ("Image A", "Image B"),
        ("(picture 3)", "(picture 4)"),
        ("img_1", "img_2"),
        ("Photo #1", "Photo #2"),
        ("Bild 1", "Bild 2"),
        ("Imagen 1", "Imagen 2"),
        ("图片1", "图片2"),
        ("画像1", "画像2"),
        ("चित्र 1", "चित्र 2"),
        ("image", "image"),
        ("a.png", "b.png"),
        ("images/1.JPG", "images/2.JPG"),
        ("https://example.org/a.webp?size=2", "a circle"),
        ("my cat.png", "my dog.png"),
        ("C:\\my pictures\\a.bmp", "a circle"),
        ("data:image/png;base64,iVBORw0KGgo", "a circle"),
        ("/9j/4AAQSkZJRg", "/9j/4AAQSkZJRh"),
        ("A. <image 1>", "B. <image 2>"),
    ],
)
def test_options_that_stand_for_pictures_are_no_options(options: tuple[str, ...]) -> None:
    assert reason(choices=options, answers=("A",), answer_type="choice") == "options_are_images"


@pytest.mark.parametrize(
    "options",
    [
        ("picture", "clock", "lamp"),
        ("photo", "painting"),
        ("a photo of a cat", "an image of a dog"),
        ("cat (photo)", "dog (photo)"),
        ("Figure 1", "Figure 2"),
        ("Save as a.png", "Close it"),
        ("1", "2"),
        ("x < image", "y"),
        ("The Imaginary", "imagery"),
        ("5.jp", "pngs"),
    ],
)
def test_options_in_words_are_options(options: tuple[str, ...]) -> None:
    assert reason(choices=options, answers=("A",), answer_type="choice") == ""


def test_a_numbered_picture_may_be_one_of_several_that_are_shown() -> None:
    of_two: dict[str, Any] = {"images": SHOWN, "answers": ("A",), "answer_type": "choice"}
    assert reason(choices=("Image 1", "Image 2"), **of_two) == ""
    assert reason(choices=("Image A", "Image B"), **of_two) == ""
    assert reason(choices=("Image 2", "Image 3"), **of_two) == "options_are_images"


@pytest.mark.parametrize(
    "answer",
    [
        "['a', 'b']",
        '["x"]',
        "['x']",
        " ['a','b'] ",
        "['a' 'b']",
        "['it\\'s', \"7\"]",
        "[['a'], ['b']]",
        "[('a', 0.5)]",
        "('a', 'b')",
        "('a',)",
        "{'answer': 'a'}",
        '{"a": 1, "b": null}',
        "array(['a'], dtype=object)",
        "['红色', '蓝色']",
        "['a',\n 'b']",
        "[]",
        "[None, 'a']",
    ],
)
@pytest.mark.parametrize("answer_type", ["text", "list", "choice", "expression"])
def test_an_answer_that_is_a_printed_list_is_none(answer: str, answer_type: str) -> None:
    assert reason(answers=("a", answer), answer_type=answer_type) == "answer_is_printed_list"


@pytest.mark.parametrize(
    ("answer", "answer_type"),
    [
        ("a, b", "list"),
        ("[1, 2]", "list"),
        ("[0, 10)", "expression"),
        ("[3, 4]", "text"),
        ("(3, 4)", "text"),
        ("[B]", "choice"),
        ("('Help!')", "text"),
        ('"Stop"', "text"),
        ("[sic]", "text"),
        ("it's 5 o'clock", "text"),
        ("{1, 2}", "expression"),
        ("f['a']", "text"),
        ("[" * 100_000, "text"),
        ("['" * 50_000, "text"),
    ],
)
def test_brackets_and_quotes_of_other_answers_are_their_own(answer: str, answer_type: str) -> None:
    assert reason(answers=(answer,), answer_type=answer_type) == ""


@pytest.mark.parametrize("answer_type", ["number", "boolean", "date"])
def test_a_list_of_one_number_is_no_number(answer_type: str) -> None:
    assert reason(answers=("[12]",), answer_type=answer_type) == "answer_is_printed_list"
