"""Which multiple-choice questions can be asked without their options, in every supported language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filters.screen.open_ended import to_open_ended
from filters.screen.option_order import about_options, option_order, stem_of
from filters.screen.questions import QuestionSettings
from pipeline.identity import parse_json
from tests.support.builders import question

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "support" / "cases" / "option_stems.jsonl").read_text("utf-8").splitlines()
]


def opened(text: str, choices: tuple[str, ...], gold: str) -> bool:
    asked, _ = to_open_ended(question(text, choices=choices, answers=(gold,), answer_type="choice"))
    return asked is not None and not asked.choices


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['text'][:30]}")
def test_a_stem_is_asked_without_its_options_only_where_it_can_be(case: dict[str, Any]) -> None:
    assert opened(case["text"], tuple(case["choices"]), case["gold"]) == case["open"]


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("What is written on the shop?", ("Baker", "Miller", "Smith")),
        ("商店的招牌上写着什么？", ("面包店", "书店", "花店")),
        ("看板には何と書いてありますか。", ("パン屋", "本屋", "花屋")),
        ("Was steht auf dem Schild?", ("Bäckerei", "Metzgerei", "Apotheke")),
        ("Qu'est-ce qui est écrit sur le panneau ?", ("Boulangerie", "Pharmacie", "Librairie")),
        ("¿Qué está escrito en el cartel?", ("Panadería", "Farmacia", "Librería")),
        ("O que está escrito na placa?", ("Padaria", "Farmácia", "Livraria")),
        ("बोर्ड पर क्या लिखा है?", ("बेकरी", "दवाखाना", "पुस्तकालय")),
        ("ماذا كتب على اللافتة؟", ("مخبز", "صيدلية", "مكتبة")),
        ("7 + 8 = ?", ("14", "15", "16")),
    ],
)
def test_what_can_be_read_is_asked_without_options(text: str, choices: tuple[str, ...]) -> None:
    assert opened(text, choices, "B")


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("Which animal is not in the picture?", ("cat", "dog", "cow")),
        ("图中没有出现的是哪种动物？", ("猫", "狗", "牛")),
        ("哪种动物不在图中？", ("猫", "狗", "牛")),
        ("図の中にいない動物はどれですか。正しいものを選んでください。", ("猫", "犬", "牛")),
        ("Welches Tier ist nicht im Bild?", ("Katze", "Hund", "Kuh")),
        ("Quel animal n'est pas dans l'image ?", ("chat", "chien", "vache")),
        ("¿Qué animal no está en la imagen?", ("gato", "perro", "vaca")),
        ("Qual animal não está na imagem?", ("gato", "cão", "vaca")),
        ("कौन सा जानवर चित्र में नहीं है?", ("बिल्ली", "कुत्ता", "गाय")),
        ("Wie viele Menschen sind es ungefähr?", ("10", "100", "1000")),
        ("Combien de personnes y a-t-il environ ?", ("10", "100", "1000")),
        ("¿Cuántas personas hay aproximadamente?", ("10", "100", "1000")),
        ("Quantas pessoas há aproximadamente?", ("10", "100", "1000")),
        ("およそ何人いますか。", ("10", "100", "1000")),
        ("लगभग कितने लोग हैं?", ("10", "100", "1000")),
        # Sentences, degrees, pictures.
        ("What is the man doing?", ("He is riding a horse", "He is reading", "He is asleep")),
        ("图中的人在做什么？", ("他正在骑马", "他正在看书", "他睡着了")),
        ("Was macht der Mann?", ("Er ist müde", "Der Mann reitet", "Er schläft")),
        ("How cold is the water?", ("very cold", "cold", "warm")),
        ("How far is the house from the tree?", ("near", "far", "touching")),
        ("Wie weit ist das Haus entfernt?", ("nah", "weit", "daneben")),
        ("¿Está lejos la casa?", ("cerca", "muy lejos", "lejos")),
        ("Which is the mirror image?", ("image_1.png", "image_2.png", "image_3.png")),
        # A language whose words no rule reads.
        ("Di che colore è la macchina?", ("rossa", "blu", "verde")),
        ("Какого цвета машина?", ("красная", "синяя", "зелёная")),
        ("자동차는 무슨 색입니까?", ("빨강", "파랑", "초록")),
    ],
)
def test_what_has_more_than_one_answer_keeps_its_options(text: str, choices: tuple[str, ...]) -> None:
    assert not opened(text, choices, "B")


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("图中的车是什么颜色？\nA. 红\nB. 蓝", "图中的车是什么颜色？"),
        ("图中的车是什么颜色？A、红 B、蓝\n请直接用选项字母回答。", "图中的车是什么颜色？"),
        ("車は何色ですか。\n選択肢：\nA. 红\nB. 蓝\n選択肢の記号で答えてください。", "車は何色ですか。"),
        (
            "Welche Farbe hat es?\nOptionen:\nA) 红\nB) 蓝\nAntworten Sie nur mit dem Buchstaben.",
            "Welche Farbe hat es?",
        ),
        ("De quelle couleur ? Choisissez la lettre de la bonne réponse.", "De quelle couleur ?"),
        ("¿De qué color es? Responde con la letra de la opción correcta.", "¿De qué color es?"),
        ("Qual é a cor? Responda apenas com a letra da alternativa.", "Qual é a cor?"),
        ("रंग क्या है? सही विकल्प का अक्षर चुनें।", "रंग क्या है?"),
    ],
)
def test_options_and_letters_are_taken_off_in_every_language(text: str, stem: str) -> None:
    assert stem_of(text, ("红", "蓝")) == stem


def test_instructions_are_told_or_not_as_the_recipe_says() -> None:
    told = question("What is it? Answer with a single word.", answers=("cup",))
    kept, _ = to_open_ended(told)
    assert kept == told
    remove = QuestionSettings(instructions="remove")
    asked, _ = to_open_ended(told, remove)
    assert asked is not None
    assert (asked.text, asked.answers) == ("What is it?", ("cup",))
    assert parse_json(asked.meta)["shortened_from"] == {"id": told.id, "text": told.text}
    assert to_open_ended(asked, remove)[0] == asked
    lettered = question("What is it? Answer briefly.", choices=("cup", "jug"), answers=("A",), answer_type="choice")
    stems = [to_open_ended(lettered, settings)[0] for settings in (QuestionSettings(), remove)]
    assert [stem and stem.text for stem in stems] == ["What is it? Answer briefly.", "What is it?"]


@pytest.mark.parametrize(
    "option",
    [
        *(
            "以上都对",
            "上記のすべて",
            "Alle oben genannten",
            "Keine der genannten Antworten",
            "Toutes ces réponses",
            "Aucune",
        ),
        *("Todas las anteriores", "Ninguna de las anteriores", "Todas as anteriores", "Nenhuma das alternativas"),
        *("उपरोक्त सभी", "इनमें से कोई नहीं", "جميع ما سبق", "A und C", "A et B", "A y C", "A和B", "AとB", "A और B"),
    ],
)
def test_an_option_about_the_others_keeps_its_place(option: str) -> None:
    assert about_options(option)
    assert option_order("q", "Which of these?", ("red", "blue", option)) is None


@pytest.mark.parametrize(
    "stem", ["点A在哪里？", "最后一个选项是什么？", "Ist die letzte Antwort richtig?", "¿Es la primera opción?"]
)
def test_a_stem_that_names_an_option_keeps_the_order(stem: str) -> None:
    assert option_order("q", stem, ("rot", "blau", "grün")) is None
