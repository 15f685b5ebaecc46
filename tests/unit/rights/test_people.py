"""Who is shown is one question; who made, owns or won something, or stands in a table, is another."""

from __future__ import annotations

import pytest

from filters.rights.people import asks_for_person
from tests.support.builders import image, question

ASKED = {
    "en": (
        "Who is this?",
        "Who is this person?",
        "Who are these two men in the photo?",
        "Who is the man wearing a red tie?",
        "Who is she?",
        "Who is in the picture?",
        "Who is shown on the left?",
        "Name the actor in this image.",
        "What is the name of the woman on the right?",
        "What is his name?",
        "What is this man's name?",
        "Identify the person holding the cup.",
        "Which politician is shown in the photo?",
        "When was the person in the picture born?",
        "Where was he born?",
        "What is the nationality of this athlete?",
        "Who is the wife of the man in the image?",
        "Answer the question using a single word or phrase. Who is the player standing in the middle?",
        "Can you tell me who the lady with the hat is?",
        "Which celebrity is this?",
        "Do you know who this is?",
        "Where did the person in the image go to college?",
    ),
    "de": (
        "Wer ist das?",
        "Wer ist diese Person?",
        "Wie heißt der Mann auf dem Foto?",
        "Wer ist auf dem Bild zu sehen? Nenne die Person.",
        "Wer ist die Frau links im Bild?",
        "Wie ist der Name dieses Schauspielers?",
        "Wann wurde die abgebildete Person geboren?",
        "Wie heißt sie?",
        "Welcher Schauspieler ist hier zu sehen?",
        "Um welche Person handelt es sich auf diesem Foto?",
    ),
    "fr": (
        "Qui est-ce ?",
        "Qui est cette personne ?",
        "Qui est l'homme sur la photo ?",
        "Quel est le nom de cette actrice ?",
        "Comment s'appelle la femme à gauche ?",
        "Où est née la personne sur l'image ?",
        "Qui est-elle ?",
        "Quelle actrice voit-on sur cette image ?",
    ),
    "es": (
        "¿Quién es?",
        "¿Quién es esta persona?",
        "¿Quién es el hombre de la foto?",
        "¿Cómo se llama la mujer de la izquierda?",
        "¿Cuál es el nombre de este actor?",
        "¿Quién aparece en la imagen?",
        "¿Dónde nació la persona de la imagen?",
        "¿Qué actor aparece en la foto?",
    ),
    "pt": (
        "Quem é este?",
        "Quem é esta pessoa?",
        "Quem é o homem na foto?",
        "Qual é o nome desta atriz?",
        "Como se chama a mulher à esquerda?",
        "Quem aparece na imagem?",
        "Onde nasceu a pessoa da imagem?",
    ),
    "hi": (
        "यह कौन है?",
        "यह व्यक्ति कौन है?",
        "तस्वीर में दिख रहा आदमी कौन है?",
        "इस अभिनेता का नाम क्या है?",
        "बाईं ओर बैठी महिला का नाम बताइए।",
        "इस व्यक्ति का जन्म कहाँ हुआ था?",
    ),
    "ar": (
        "من هذا؟",
        "من هو هذا الشخص؟",
        "من هو الرجل في الصورة؟",
        "ما اسم هذه الممثلة؟",
        "ما هو اسم المرأة على اليسار؟",
        "أين ولد الشخص الظاهر في الصورة؟",
    ),
    "zh": (
        "这是谁？",
        "图中的人是谁？",
        "这个男人是谁？",
        "照片中的女演员叫什么名字？",
        "左边的运动员是谁？",
        "他叫什么名字？",
        "图片中的人物出生在哪里？",
    ),
    "ja": (
        "これは誰ですか？",
        "この人は誰ですか？",
        "写真に写っている男性は誰ですか？",
        "この女優の名前は何ですか？",
        "左に立っている選手の名前を答えてください。",
        "写真の人物はどこで生まれましたか？",
    ),
}
OTHER = {
    "en": (
        "What landmark is this?",
        "Which brand made this shoe?",
        "Who wrote this book?",
        "Who is the author of this book?",
        "Who painted this?",
        "Who designed this building?",
        "Who won in 1998 according to the table?",
        "Who has the highest bar in the chart?",
        "Who is the founder of the company with this logo?",
        "Who directed the film whose poster is shown?",
        "Who is this cartoon character?",
        "Who does this statue show?",
        "What is the name of this painting?",
        "What is the name of the person in the letter?",
        "Who is the president of the country whose flag is shown?",
        "What is the man who is holding the bat wearing?",
        "Is the person who is sitting on the left a woman?",
        "How many people are in the picture?",
        "What is the person in the photo doing?",
        "What is the name of the river in the picture?",
        "Which car is on the left?",
        "What is the name of the airport shown on the map?",
        "Who is the manufacturer of the plane in the picture?",
        "Who owns the team shown in the image?",
        "In which year was this building built?",
        "What colour is the shirt of the man in the picture?",
        "What is the name of the dog breed in this photo?",
        "Which city is named after this person's statue?",
        "Who took this photo?",
        "What is the man wearing on his head called?",
        "What team does the player in this image play for?",
        "How old is the actor in the picture?",
        "What is the occupation of the person in this image?",
    ),
    "de": (
        "Welches Wahrzeichen ist das?",
        "Wer hat dieses Buch geschrieben?",
        "Wer malte dieses Bild?",
        "Wer gewann 1998 laut der Tabelle?",
        "Wer ist der Architekt dieses Gebäudes?",
        "Wie heißt der Berg auf dem Foto?",
        "Wie viele Personen sind auf dem Bild?",
        "Was trägt der Mann auf dem Foto?",
        "Welche Marke ist auf dem Bild zu sehen?",
    ),
    "fr": (
        "Quel est ce monument ?",
        "Qui a écrit ce livre ?",
        "Qui a peint ce tableau ?",
        "Qui a gagné en 1998 selon le tableau ?",
        "Que porte l'homme qui est assis à gauche ?",
        "Quel est le nom de cette montagne ?",
        "Combien de personnes sont sur l'image ?",
    ),
    "es": (
        "¿Qué monumento es este?",
        "¿Quién escribió este libro?",
        "¿Quién pintó este cuadro?",
        "¿Quién ganó en 1998 según la tabla?",
        "¿Cómo se llama la montaña de la foto?",
        "¿Cuántas personas hay en la imagen?",
        "¿Quién es el autor de este libro?",
    ),
    "pt": (
        "Que monumento é este?",
        "Quem escreveu este livro?",
        "Quem pintou este quadro?",
        "Quem venceu em 1998 segundo a tabela?",
        "Como se chama a montanha na foto?",
        "Quantas pessoas há na imagem?",
        "Quem é o autor deste livro?",
    ),
    "hi": (
        "यह कौन सा स्मारक है?",
        "इस किताब का लेखक कौन है?",
        "यह चित्र किसने बनाया?",
        "तालिका के अनुसार 1998 में कौन जीता?",
        "इस पहाड़ का नाम क्या है?",
        "तस्वीर में कितने लोग हैं?",
    ),
    "ar": (
        "ما هذا المعلم؟",
        "من كتب هذا الكتاب؟",
        "من رسم هذه اللوحة؟",
        "من فاز عام 1998 حسب الجدول؟",
        "ما اسم هذا الجبل؟",
        "كم عدد الأشخاص في الصورة؟",
    ),
    "zh": (
        "这是什么地标？",
        "这本书的作者是谁？",
        "这幅画是谁画的？",
        "根据表格，1998年谁赢了？",
        "谁设计了这座建筑？",
        "图中有多少人？",
        "这座山叫什么名字？",
        "图中的卡通角色是谁？",
    ),
    "ja": (
        "この建物は何ですか？",
        "この本の著者は誰ですか？",
        "この絵を描いたのは誰ですか？",
        "表によると1998年に優勝したのは誰ですか？",
        "この山の名前は何ですか？",
        "写真には何人写っていますか？",
        "このキャラクターは誰ですか？",
    ),
}


def told(text: str, *answers: str) -> bool:
    return asks_for_person(question(text, images=(image(),), answers=answers or ("Mira Okafor",)))


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in ASKED.items() for text in texts])
def test_who_is_shown_is_told(language: str, text: str) -> None:
    assert told(text), language


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in OTHER.items() for text in texts])
def test_another_question_is_none_of_people(language: str, text: str) -> None:
    assert not told(text), language


def test_without_a_picture_nobody_is_recognised() -> None:
    assert not asks_for_person(question("Who is this?"))


@pytest.mark.parametrize("answer", ["a woman", "the boy on the left", "player"])
def test_an_answer_that_describes_names_nobody(answer: str) -> None:
    assert not told("Who is the person holding the cup in the picture?", answer)
    assert told("Who is the person holding the cup in the picture?", answer, "Mira Okafor")


def test_an_unsupported_language_is_not_guessed_at() -> None:
    assert not told("Kim jest ten mężczyzna na zdjęciu?")
