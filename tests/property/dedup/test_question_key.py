"""Laws of a question's key, over the blocks of Unicode: what is one question, and what never is."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.dedup.key import key_tokens, question_key
from filters.instructions import is_instruction, split_instructions

CASES = Path(__file__).parents[2] / "support" / "cases" / "question_pairs.jsonl"
PAIRS = [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]
ASSIGNED = [char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char) not in {"Cn", "Cs"}]
PLAIN = {char for char in ASSIGNED if unicodedata.normalize("NFKC", char) == char}


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if "answers" not in pair], ids=lambda pair: pair["kind"])
def test_two_spellings_are_one_question_and_two_questions_are_not(pair: Mapping[str, Any]) -> None:
    assert (question_key(pair["a"]) == question_key(pair["b"])) == pair["same"]


@pytest.mark.parametrize(
    "same",
    [
        ("x²", "x^2", "$x^{2}$", "\\(x^2\\)", "𝑥²"),
        ("x₁", "x_1", "$x_{1}$"),
        ("10²³", "10^{23}", "10^23"),
        ("½ of 8", "1/2 of 8", "1⁄2 of 8"),
        ("3½ cups", "3 1/2 cups"),
        ("Find $\\dfrac{1}{2}$ of 8.", "Find \\(\\frac{1}{2}\\) of 8"),
        ("Is $a \\leq b$?", "Is a ≤ b?", "Is \\[a \\le b\\]?"),
        ("An angle of $90^\\circ$", "An angle of 90°"),
        ("$\\alpha + \\left( 1 \\right)$", "α + (1)"),
        ("WHO PAINTED THE STARRY NIGHT?", "Who Painted the Starry Night?", "who painted the starry night"),
        ("A dog or a cat?", "a dog or a cat", "A DOG OR A CAT?"),
        ("What can I see?", "what can i see"),
        ("A T-shirt, or a shirt?", "a t shirt or a shirt"),
        ("f(1,2)", "f( 1 , 2 )"),
        ("☀\ufe0f days", "☀ days"),
        ("ｶﾞﾗｽは何枚", "ガラスは何枚"),
        ("３人", "3人"),
        ("٣ كتب", "3 كتب", "3 كتـــب"),
        ("𝗪𝗵𝗮𝘁 is it", "What is it"),
        ("What’s “up”?", "what's up"),
        ("图中，有几把椅子", "图中有几把椅子。"),
        ("¿Dónde está?", "Dónde está"),
        ("Où est-ce ?", "Où est-ce?"),
        ("क्ष\u200dक", "क्षक"),
        ("<image>\nWhat is it?", "What is it? <image>", "Question: What is it?\nAnswer:"),
    ],
)
def test_notations_of_one_text_have_one_key(same: tuple[str, ...]) -> None:
    assert len(set(map(question_key, same))) == 1, list(map(question_key, same))


@pytest.mark.parametrize(
    "others",
    [
        ("x²", "x2", "x₂", "x"),
        ("5!", "5", "5!!"),
        ("n!", "n"),
        ("Is $AB$ even?", "Is $ab$ even?"),
        ("What is AB?", "What is ab?"),
        ("What is Co?", "What is CO?"),
        ("What is 5 MW?", "What is 5 mW?"),
        ("It costs $5.", "It costs 5.", "It costs €5."),
        ("What does `print` do?", "What does `Print` do?"),
        ("What is getValue?", "What is getvalue?"),
        ("Find f'(x).", "Find f(x)."),
        ("Is it ℝ?", "Is it R?"),
        ("①", "1", "❶"),
        ("👨‍👩‍👧", "👨👩👧"),
        ("左、右", "左右"),
        ("1,5", "15", "1 5", "1.5"),
        ("a ∈ B", "a ∉ B"),
        ("$\\sin x$", "$\\cos x$"),
        ("What is σ?", "What is Σ?"),
        ("Find Δx.", "Find δx."),
        ("שָׁלוֹם", "שלום"),
        ("বল কোথায়?", "বাল কোথায়?"),
        ("a[0]", "a(0)", "a{0}"),
        ("x -> y", "x <- y"),
        ("What is NaCl?", "What is nacl?"),
        ("How many ●?", "How many ○?"),
        ("$\\{1,2\\}$", "$(1,2)$", "$[1,2]$"),
        ("p → q", "p ↔ q", "p ← q"),
        ("¬p", "p", "~p", "!p"),
        ("a != b", "a = b"),
        ("3 + ? = 5", "3 + = 5"),
        ("Masse", "Maße"),
        ("x^{n+1}", "x^n+1"),
        ("|A|", "A"),
        ("50%", "50", "50‰"),
        ("its", "it's"),
        ("10:30", "1030", "10.30"),
        ("Compare <image 1> with it", "Compare <image 2> with it"),
    ],
)
def test_signs_that_carry_meaning_are_kept(others: tuple[str, ...]) -> None:
    assert len(set(map(question_key, others))) == len(others), list(map(question_key, others))


def _blocks() -> Mapping[int, list[str]]:
    """Assigned characters by their 256 code points."""
    blocks: dict[int, list[str]] = {}
    for char in ASSIGNED:
        blocks.setdefault(ord(char) >> 8, []).append(char)
    return blocks


def test_no_symbol_and_no_mark_of_any_script_is_lost() -> None:
    # Emoji, arrows, operators, brackets, currency; and the marks of every script that has any.
    ignorable = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x180B, 0x1810), 0x034F, 0x17B4, 0x17B5}
    lost = []
    for chars in _blocks().values():
        for char in chars:
            kind = unicodedata.category(char)
            if char not in PLAIN or ord(char) in ignorable or char in "`´\u00a8":
                continue
            if kind in {"Sm", "So", "Sc", "Ps", "Pe"} and not char.isspace():
                a, b = f"where is the {char} sign", "where is the sign"
            elif kind in {"Mn", "Mc"}:
                a, b = f"where is क{char} now", "where is क now"
            else:
                continue
            if question_key(a) == question_key(b):
                lost.append(f"U+{ord(char):04X} {unicodedata.name(char, '')}")
    # Brackets that are quotation marks of Chinese and Japanese and of typography, and the sign that is a colon.
    assert [
        name
        for name in lost
        if "QUOTATION" not in name and "ANGLE BRACKET" not in name and "CORNER" not in name and "RATIO" not in name
    ] == []


def test_letters_of_every_block_are_told_apart() -> None:
    for block, chars in _blocks().items():
        letters = [
            c
            for c in chars
            if c in PLAIN
            and c.isalpha()
            and c.lower() == c
            and c not in "\u0640\u3164\u115f\u1160"
            # All of the small blocks; of the ideographs and syllables, which have no rule of their own, one in 16.
            and (ord(c) < 0x3400 or ord(c) % 16 == 0)
        ]
        keys = {question_key(f"the word {c}{c} here"): c for c in letters}
        assert len(keys) == len(letters), f"block {block:02X}"


TEXT = st.text(st.sampled_from(ASSIGNED) | st.characters(), max_size=60)
ORDINARY = st.lists(
    st.sampled_from(
        (
            "what",
            "Bär",
            "кот",
            "図の中",
            "चित्र",
            "ماذا",
            "한국",
            "2.5",
            "x",
            "+",
            "★",
            "(",
            ")",
            "≤",
            "ä",
            "ﬁn",
            "ｗｉｄｅ",
        )
    ),
    min_size=1,
    max_size=8,
).map(" ".join)


@given(TEXT)
@settings(max_examples=300, deadline=None)
def test_every_text_has_a_key_and_only_an_empty_one_an_empty_key(text: str) -> None:
    key = question_key(text)
    assert question_key(text) == key
    assert key == " ".join(key.split())
    key.encode()
    if any(char.isalnum() for char in text):
        assert key


@given(ORDINARY)
@settings(max_examples=200, deadline=None)
def test_normal_forms_and_white_space_do_not_count(text: str) -> None:
    key = question_key(text)
    for form in ("NFC", "NFD"):
        assert question_key(unicodedata.normalize(form, text)) == key
    assert question_key("  " + text.replace(" ", "\u00a0\n ") + "\t") == key
    assert question_key(text.replace(" ", "\u3000")) == key


@given(ORDINARY, st.sampled_from((".", "?", " ?", "。", "？", "؟", "।", "…", "...", "!?", ":", '?"')))
@settings(max_examples=200, deadline=None)
def test_final_punctuation_does_not_count(text: str, end: str) -> None:
    assert question_key(f"{text} ok{end}") == question_key(f"{text} ok")


def test_scripts_without_spaces_are_split_by_characters() -> None:
    assert [token.text for token in key_tokens("图中3只猫")] == ["图", "中", "3", "只", "猫"]
    assert [token.text for token in key_tokens("ปู่อยู่ที่ไหน")] == ["ปู่", "อ", "ยู่", "ที่", "ไ", "ห", "น"]
    assert [token.text for token in key_tokens("चित्र में कहाँ")] == ["चित्र", "में", "कहाँ"]


@pytest.mark.parametrize(
    "text",
    ["$" * 40_000, "`" * 40_001, "\\(" * 20_000, "!" * 40_000, "a, " * 20_000, "<image>" * 9_000, "\\text{" * 9_000],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    began = time.process_time()
    question_key(text)
    assert time.process_time() - began < 5


BARE = {
    "en": "What colour is the door?",
    "zh": "图中的门是什么颜色？",
    "ja": "ドアは何色ですか？",
    "de": "Welche Farbe hat die Tür?",
    "fr": "De quelle couleur est la porte ?",
    "es": "¿De qué color es la puerta?",
    "pt": "Qual é a cor da porta?",
    "hi": "दरवाज़े का रंग क्या है?",
    "ar": "ما لون الباب؟",
}
INSTRUCTIONS = {
    "en": (
        "Answer the question using a single word or phrase.",
        "Answer with the option's letter from the given choices directly.",
        "Please answer briefly.",
        "Answer with A, B, C, or D.",
        "Be concise.",
        "Please select the correct answer from the options above.",
        "Please reason step by step, and put your final answer within \\boxed{}.",
        "When the provided information is insufficient, respond with 'Unanswerable'.",
    ),
    "zh": ("请用一个单词或短语回答问题。", "请直接用给定选项中的字母回答。", "请简短回答。", "请回答是或否。"),
    "ja": (
        "単語または短いフレーズで答えてください。",
        "選択肢の記号で答えてください。",
        "簡潔に答えなさい。",
        "はいかいいえで答えてください。",
    ),
    "de": (
        "Beantworte die Frage mit einem einzigen Wort oder einer kurzen Phrase.",
        "Antworten Sie nur mit dem Buchstaben der richtigen Option.",
        "Bitte kurz antworten.",
        "Antworte mit Ja oder Nein.",
    ),
    "fr": (
        "Répondez à la question en utilisant un seul mot ou une courte phrase.",
        "Répondez directement par la lettre de l'option parmi les choix proposés.",
        "Réponds brièvement.",
        "Répondez par oui ou par non.",
    ),
    "es": (
        "Responde la pregunta con una sola palabra o frase.",
        "Responda directamente con la letra de la opción correcta.",
        "Por favor, responde brevemente.",
        "Contesta sí o no.",
    ),
    "pt": (
        "Responda à pergunta usando uma única palavra ou frase.",
        "Responda apenas com a letra da alternativa correta.",
        "Responda de forma breve.",
        "Responda sim ou não.",
    ),
    "hi": (
        "प्रश्न का उत्तर एक शब्द या वाक्यांश में दें।",
        "कृपया सही विकल्प का अक्षर चुनें।",
        "संक्षेप में उत्तर दीजिए।",
        "हाँ या नहीं में उत्तर दें।",
    ),
    "ar": ("أجب عن السؤال بكلمة واحدة أو عبارة قصيرة.", "اختر حرف الخيار الصحيح.", "أجب باختصار.", "أجب بنعم أو لا."),
}


@pytest.mark.parametrize(
    ("language", "instruction"), [(language, text) for language, texts in INSTRUCTIONS.items() for text in texts]
)
def test_what_is_said_of_the_answer_is_no_part_of_a_question(language: str, instruction: str) -> None:
    question = BARE[language]
    for text in (f"{question} {instruction}", f"{question}\n{instruction}", f"{instruction}\n{question}"):
        assert split_instructions(text).question == question
        assert question_key(text) == question_key(question)
    assert split_instructions(instruction).question == instruction


@pytest.mark.parametrize(
    "text",
    [
        "How long is the bar? Answer in cm.",
        "How long is the bar? Round to one decimal.",
        "What does it say? Answer in French.",
        "Read the page. Answer question 3.",
        "What do both say? Answer for the first question only.",
        "Which are shown? Choose two options.",
        "哪些在图中？请选出错的选项。",
        "What is next? Give the number as a fraction.",
        "Look at the map. Select the option that shows the capital of France.",
        "这是多少？请用厘米回答。",
        "Wie lang ist er? Antworte in Zentimetern.",
        "Combien ? Répondez en mètres.",
        "¿Cuánto mide? Responde en metros.",
        "Quanto mede? Responda em metros.",
        "長さは？センチメートルで答えてください。",
        "कितना लंबा है? मीटर में उत्तर दें।",
        "Hint: the bar is red.\nHow long is it?",
    ],
)
def test_what_carries_content_is_part_of_a_question(text: str) -> None:
    assert split_instructions(text).question == text


@pytest.mark.parametrize(
    "text",
    [
        "Give a short answer.",
        "Keep your answer short.",
        "Respond with one word.",
        "Your answer should be a single number.",
        "Provide a one-word answer.",
        "One word answer.",
        "One-word answer only.",
        "Reply in a few words.",
        "Answer in one sentence.",
        "Only output the final answer.",
        "Answer with Yes or No.",
        "Please answer yes or no.",
        "Please answer directly with only the letter of the correct option and nothing else.",
        "Answer the question with a short phrase.",
        "Answer the following question.",
        "Please provide your answer as a single letter.",
        "Choose the correct answer from the given options.",
        "Respond only with the letter (A, B, C or D).",
        "Let's think step by step.",
        "Do not include any explanation.",
        "Be brief.",
        "Answer the question based on the picture.",
        "Please give the answer directly.",
        "Answer as briefly as possible.",
        "Give your final answer in a box.",
        "Output only the answer.",
        "Antworten Sie kurz.",
        "Antworte in einem Wort.",
        "Bitte antworte mit einem Wort.",
        "Wählen Sie die richtige Antwort.",
        "Nenne nur den Buchstaben.",
        "Beantworte die Frage kurz und knapp.",
        "Réponse courte.",
        "Répondez en un mot.",
        "Répondez par un seul mot.",
        "Réponds en un seul mot.",
        "Choisissez la bonne réponse.",
        "Donnez uniquement la lettre.",
        "Veuillez répondre brièvement.",
        "Responde en una palabra.",
        "Responde con una palabra.",
        "Responde solo con la letra.",
        "Elige la respuesta correcta.",
        "Contesta brevemente.",
        "Responda em uma palavra.",
        "Responda em poucas palavras.",
        "Escolha a resposta correta.",
        "Responda somente com a letra da opção.",
        "Dê uma resposta curta.",
        "एक शब्द में उत्तर दें।",
        "केवल एक शब्द में जवाब दीजिए।",
        "उत्तर केवल एक शब्द में दें।",
        "सही उत्तर चुनें।",
        "请简短作答。",
        "请用一个词回答。",
        "用一句话回答。",
        "请直接给出答案。",
        "只回答选项字母。",
        "请选择正确答案。",
        "请回答“是”或“否”。",
        "请仅用一个单词或短语回答。",
        "请先思考，再给出答案。",
        "一言で答えてください。",
        "一単語で答えて。",
        "短く答えてください。",
        "正しい選択肢を選んでください。",
        "数字だけで答えてください。",
        "「はい」か「いいえ」で答えてください。",
        "أجب بكلمة واحدة.",
        "أجب بنعم أو لا.",
        "اختر الإجابة الصحيحة.",
    ],
)
def test_a_sentence_about_the_form_of_an_answer_is_an_instruction(text: str) -> None:
    assert is_instruction(text)


@pytest.mark.parametrize(
    "text",
    [
        "Answer in metres.",
        "Round to two decimals.",
        "Answer in Spanish.",
        "Answer in euros.",
        "Use the metric system.",
        "Give the answer in degrees.",
        "Answer for the red car only.",
        "Ignore the blue boxes.",
        "Answer with the year.",
        "Answer in percent.",
        "Answer as a fraction.",
        "Express your answer in terms of x.",
        "Answer in hours.",
        "Give the name of the city.",
        "Choose the largest number.",
        "Antworte auf Englisch.",
        "Antworte in Prozent.",
        "Répondez en anglais.",
        "Responde en inglés.",
        "Responda em reais.",
        "请用英文回答。",
        "请用米回答。",
        "保留两位小数。",
        "英語で答えてください。",
        "ドルで答えてください。",
        "小数第一位まで答えてください。",
        "हिंदी में उत्तर दें।",
        "रुपये में उत्तर दें।",
        "Select the incorrect option.",
        "选出错误的选项。",
        "正しくないものを選んでください。",
        "Wähle die falsche Antwort.",
        "Write the letter in the image.",
        "Explain the picture.",
        "写出图中的字母。",
        "Schreibe den Buchstaben auf dem Bild.",
        # Known not to be recognised: no word of them is about answering.
        "Use one word.",
        "Gib nur die Zahl an.",
    ],
)
def test_a_sentence_that_says_more_is_none(text: str) -> None:
    assert not is_instruction(text)
