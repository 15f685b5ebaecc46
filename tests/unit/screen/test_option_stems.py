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


ABOUT = """
About how many birds are in the picture?
Approximately how many birds are in the picture?
How many birds are there, roughly?
Around how many people are in the hall?
What is the approximate number of birds?
How many people would you estimate are in the hall?
What is your best estimate of the number of birds?
Estimate the number of birds.
How many birds are there, give or take?
Which number is closest to the number of birds?
Roughly what number of birds is there?
How many birds are there, more or less?
What is the rough number of birds?
How many birds are there approx.?
大约有多少只鸟？
图中大概有几只鸟？
鸟的数量约为多少？
请估计鸟的数量。
图中的鸟最接近多少只？
差不多有多少人？
图中有多少人左右？
图中有近多少人？
人数大致是多少？
図にはおよそ何羽の鳥がいますか。
約何羽の鳥がいますか。
鳥は何羽くらいいますか。
鳥の数はおおよそいくつですか。
だいたい何人いますか。
人数を見積もると何人ですか。
推定で何人ですか。
人数の概数はいくつですか。
Ungefähr wie viele Vögel sind im Bild?
Wie viele Vögel sind es etwa?
Wie viele Vögel sind es schätzungsweise?
Schätzen Sie die Zahl der Vögel.
Wie groß ist die Zahl der Vögel circa?
Rund wie viele Vögel sind im Bild?
Wie viele Vögel sind ca. im Bild?
Wie viele Menschen sind das in etwa?
Wie hoch ist die ungefähre Zahl der Vögel?
Wie viele Vögel sind es annähernd?
Wie viele Vögel sind es grob?
Environ combien d'oiseaux y a-t-il ?
Combien d'oiseaux y a-t-il approximativement ?
Combien d'oiseaux y a-t-il à peu près ?
Combien d'oiseaux y a-t-il à peu de chose près ?
Quel est le nombre approximatif d'oiseaux ?
Estimez le nombre d'oiseaux.
Combien d'oiseaux y a-t-il plus ou moins ?
Dans les combien d'oiseaux y a-t-il ?
Combien d'oiseaux y a-t-il grosso modo ?
¿Aproximadamente cuántos pájaros hay?
¿Cuántos pájaros hay más o menos?
¿Alrededor de cuántos pájaros hay?
¿Cerca de cuántos pájaros hay?
¿Unos cuántos pájaros hay?
¿Cuál es el número aproximado de pájaros?
Estima el número de pájaros.
¿Como cuántas personas hay?
¿Cuántas personas calculas que hay?
Aproximadamente quantos pássaros há?
Cerca de quantos pássaros há?
Quantos pássaros há mais ou menos?
Quantos pássaros há por volta de?
Qual é o número aproximado de pássaros?
Estime o número de pássaros.
Em torno de quantas pessoas há?
Uns quantos pássaros há?
लगभग कितने पक्षी हैं?
करीब कितने लोग हैं?
क़रीब कितने लोग हैं?
तकरीबन कितने लोग हैं?
पक्षियों की अनुमानित संख्या क्या है?
पक्षियों की संख्या का अंदाज़ा लगाइए।
मोटे तौर पर कितने लोग हैं?
तक़रीबन कितने लोग हैं?
كم عدد الطيور تقريبًا؟
حوالي كم طائرًا في الصورة؟
ما العدد التقريبي للطيور؟
قدّر عدد الطيور.
نحو كم شخصًا في الصورة؟
كم شخصًا يوجد على وجه التقريب؟
زهاء كم شخصا في الصورة؟
"""


@pytest.mark.parametrize("text", ABOUT.strip().splitlines())
def test_about_how_many_keeps_its_options(text: str) -> None:
    assert not any(opened(text, ("10", "100", "1000", "500"), letter) for letter in "ABCD")


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("How many birds are there?", ("fewer than 5", "5 to 10", "more than 10", "more than 50")),
        ("How many birds are there?", ("about 5", "about 10", "about 20", "about 40")),
        ("How many birds are there?", ("0-10", "10-20", "20-30", "30-40")),
        ("How many birds are there?", ("~5", "~10", "~20", "~40")),
        ("图中有多少只鸟？", ("少于5只", "5到10只", "10到20只", "多于20只")),
        ("图中有多少只鸟？", ("约5只", "约10只", "约20只", "约40只")),
        ("鳥は何羽いますか。", ("5羽未満", "5〜10羽", "10羽以上", "50羽以上")),
        ("鳥は何羽いますか。", ("約5羽", "約10羽", "約20羽", "約40羽")),
        ("Wie viele Vögel sind im Bild?", ("weniger als 5", "5 bis 10", "mehr als 10", "etwa 50")),
        ("Combien d'oiseaux y a-t-il dans l'image ?", ("moins de 5", "de 5 à 10", "plus de 10", "environ 50")),
        ("¿Cuántos pájaros hay en la imagen?", ("menos de 5", "de 5 a 10", "más de 10", "unos 50")),
        ("Quantos pássaros há na imagem?", ("menos de 5", "de 5 a 10", "mais de 10", "cerca de 50")),
        ("चित्र में कितने पक्षी हैं?", ("5 से कम", "5 से 10", "10 से अधिक", "लगभग 50")),
        ("كم عدد الطيور في الصورة؟", ("أقل من 5", "من 5 إلى 10", "أكثر من 10", "حوالي 50")),
    ],
)
def test_bounds_and_ranges_keep_their_options(text: str, choices: tuple[str, ...]) -> None:
    assert not any(opened(text, choices, letter) for letter in "ABCD")


ANIMALS = {
    "en": ("cat", "dog", "cow", "hen"),
    "zh": ("猫", "狗", "牛", "鸡"),
    "ja": ("猫", "犬", "牛", "鶏"),
    "de": ("Katze", "Hund", "Kuh", "Huhn"),
    "fr": ("chat", "chien", "vache", "poule"),
    "es": ("gato", "perro", "vaca", "gallina"),
    "pt": ("gato", "cão", "vaca", "galinha"),
    "hi": ("बिल्ली", "कुत्ता", "गाय", "मुर्गी"),
    "ar": ("قط", "كلب", "بقرة", "دجاجة"),
}
NEEDS = {
    "en": """
Which of the following animals is shown?
Which one of these is in the picture?
Which statement about the picture is true?
All of these are in the picture except
Which animal isn't in the picture?
What can be concluded from the picture?
Choose the animal that fits best.
Which option is right?
What is most likely the animal's name?
""",
    "zh": """
下列哪种动物在图中？
以下哪个是正确的？
图中没有哪种动物？
哪个选项正确？
根据图片可以推断出什么？
除了哪种动物，其他都在图中？
最有可能是哪种动物？
請選擇正確的動物。
下列何者正確？
何者不在圖中？
""",
    "ja": """
次のうち、図にある動物はどれですか。
以下の動物のうち正しいものはどれですか。
図にない動物はどれですか。
正しい選択肢を選んでください。
図から推測できることは何ですか。
最も可能性が高いのはどれですか。
当てはまらないものはどれですか。
""",
    "de": """
Welches der folgenden Tiere ist zu sehen?
Welche Aussage stimmt?
Welches Tier fehlt im Bild?
Welches Tier ist nicht zu sehen?
Welche Option ist richtig?
Was lässt sich aus dem Bild schließen?
Welches dieser Tiere ist zu sehen?
Wählen Sie das richtige Tier aus.
Alle Tiere sind zu sehen außer
""",
    "fr": """
Lequel des animaux suivants est visible ?
Quelle affirmation est vraie ?
Quel animal n'est pas visible ?
Choisissez le bon animal.
Que peut-on conclure de l'image ?
Parmi ces animaux, lequel est visible ?
Tous les animaux sont visibles sauf
Quel animal manque dans l'image ?
""",
    "es": """
¿Cuál de los siguientes animales se ve?
¿Qué afirmación es verdadera?
¿Qué animal no se ve en la imagen?
Elige el animal correcto.
¿Qué se puede deducir de la imagen?
Todos los animales se ven excepto
¿Cuál de estos animales se ve?
¿Qué animal falta en la imagen?
""",
    "pt": """
Qual dos seguintes animais é visível?
Qual afirmação é verdadeira?
Qual animal não está na imagem?
Escolha o animal correto.
O que se pode concluir da imagem?
Todos os animais estão na imagem, exceto
Qual destes animais está na imagem?
Que animal falta na imagem?
""",
    "hi": """
निम्नलिखित में से कौन सा जानवर दिख रहा है?
इनमें से कौन सा जानवर चित्र में है?
कौन सा जानवर चित्र में नहीं है?
सही विकल्प चुनें।
चित्र से क्या निष्कर्ष निकलता है?
कौन सा कथन सही है?
किसको छोड़कर सभी जानवर चित्र में हैं?
""",
    "ar": """
أي من الحيوانات التالية في الصورة؟
أي عبارة صحيحة؟
ما الحيوان غير الموجود في الصورة؟
اختر الحيوان الصحيح.
ماذا نستنتج من الصورة؟
كل الحيوانات في الصورة ما عدا
أي من هذه الحيوانات في الصورة؟
ما الحيوان الذي لا يظهر في الصورة؟
""",
}


@pytest.mark.parametrize(
    ("language", "text"), [(name, text) for name, texts in NEEDS.items() for text in texts.strip().splitlines()]
)
def test_a_stem_about_its_options_or_about_what_is_not_so_keeps_them(language: str, text: str) -> None:
    choices = ANIMALS[language]
    assert not any(opened(text, choices, letter) for letter in "ABCD")


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("How many birds are there?", ("4", "5", "7", "9")),
        ("How many people stand around the table?", ("4", "5", "7", "9")),
        ("How many stars are above the door?", ("4", "5", "7", "9")),
        ("What is written above the door?", ("Baker", "Miller", "Smith", "Cook")),
        ("What is the score on the board?", ("3-1", "2-1", "3-2", "1-1")),
        ("What is the phone number on the sign?", ("555-0134", "555-0143", "555-0314", "555-0431")),
        ("In which season was it played?", ("1998-99", "2001-02", "2005-06", "2010-11")),
        ("What is the date on the poster?", ("2021-03-04", "2021-04-03", "2022-03-04", "2020-03-04")),
        ("What are the opening hours?", ("9-17", "8-18", "10-20", "9-18")),
        ("Which bus goes there?", ("12A", "14B", "7C", "9D")),
        ("纽约有多少个区？", ("4", "5", "7", "9")),
        ("图中有几只鸟？", ("4", "5", "7", "9")),
        ("预约几点开始？", ("8点", "9点", "10点", "11点")),
        ("合约有几页？", ("4", "5", "7", "9")),
        ("左右两边一共有多少个箱子？", ("4", "5", "7", "9")),
        ("桌子上面是什么？", ("书", "灯", "杯子", "花")),
        ("鳥は何羽いますか。", ("4", "5", "7", "9")),
        ("契約は何年ですか。", ("2年", "3年", "4年", "5年")),
        ("前後に車は何台ありますか。", ("4", "5", "7", "9")),
        ("Wie viele Vögel sind im Bild?", ("4", "5", "7", "9")),
        ("Was steht über der Tür?", ("Baum", "Haus", "Hund", "Tisch")),
        ("Wo ist die Lampe?", ("über dem Tisch", "unter dem Bett", "neben der Tür", "zwischen den Stühlen")),
        ("Combien d'oiseaux y a-t-il ?", ("4", "5", "7", "9")),
        ("Où est la lampe ?", ("sur la table", "entre les chaises", "sous le lit", "derrière la porte")),
        ("¿Cuántos pájaros hay?", ("4", "5", "7", "9")),
        ("¿Dónde está la lámpara?", ("entre las sillas", "sobre la mesa", "bajo la cama", "tras la puerta")),
        ("¿Cómo se llama la calle?", ("Sol", "Luna", "Mar", "Paz")),
        ("Quantos pássaros há?", ("4", "5", "7", "9")),
        ("Onde está a lâmpada?", ("entre as cadeiras", "sobre a mesa", "sob a cama", "atrás da porta")),
        ("चित्र में कितने पक्षी हैं?", ("4", "5", "7", "9")),
        ("मेज़ पर क्या है?", ("किताब", "दीपक", "प्याला", "फूल")),
        ("كم عدد الطيور في الصورة؟", ("4", "5", "7", "9")),
        ("ماذا فوق الطاولة؟", ("كتاب", "مصباح", "كوب", "زهرة")),
        ("What is the ratio of red to blue?", ("3:1", "2:1", "3:2", "1:1")),
        ("What is the temperature on the display?", ("-3", "5", "12", "20")),
        ("What is 12 - 7?", ("5", "4", "3", "6")),
    ],
)
def test_words_that_only_look_like_a_bound_or_a_doubt_keep_nothing(text: str, choices: tuple[str, ...]) -> None:
    assert opened(text, choices, "B")
