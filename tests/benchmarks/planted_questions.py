"""Recall and precision of decontamination and of the question key on planted questions, per language.

    python -m tests.benchmarks.planted_questions

Each language has benchmark questions, and beside each another question that differs in one word, number or sign.
Planted are, of both: other spellings (forms of Unicode, case, white space, quotes, punctuation, instructions), the
question within a longer text, and, of a benchmark question that is longer, its second half. Whatever is made of a benchmark
question has to be found, nothing that is made of another one may be. The questions were written for this file.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from filters.dedup.contamination import (
    Benchmark,
    BenchmarkIndex,
    ContaminationSettings,
    benchmark_entry,
    index_benchmarks,
)
from filters.dedup.key import KEY_RECIPE, question_key
from tests.support.benchmarked import contaminated

LIMITS = ContaminationSettings()
HEADER = "language   respelled  within a text   excerpt  others found  recall  precision | one key  two keys"


class Language(NamedTuple):
    """Questions with their near neighbours, and what a longer text has around them."""

    before: str
    behind: str
    instruction: str
    pairs: tuple[tuple[str, str], ...]


LANGUAGES: Mapping[str, Language] = {
    "English": Language(
        "We walked along the shore until noon. The guide then asked us something.",
        "Nobody knew at first. Later we looked it up together.",
        "Answer the question using a single word or phrase.",
        (
            ("What is the capital of Peru?", "What is the capital of Chad?"),
            (
                "How many legs does a common garden spider have in total?",
                "How many eyes does a common garden spider have in total?",
            ),
            (
                "A train leaves at 9:15 and arrives at 11:40. How many minutes does it take?",
                "A train leaves at 9:15 and arrives at 11:45. How many minutes does it take?",
            ),
            (
                "Which of the rivers that cross the old town flows from north to south?",
                "Which of the rivers that cross the old town flows from south to north?",
            ),
            (
                "In which year did the builders finish the tower on the left bank of the river?",
                "In which year did the builders finish the tower on the right bank of the river?",
            ),
            (
                "If all bloops are razzies and no razzies are lazzies, can a bloop be a lazzie?",
                "If all bloops are razzies and all razzies are lazzies, can a bloop be a lazzie?",
            ),
            (
                "Tom has 12 apples, gives 5 to Ann and buys 7 more. How many apples does Tom have now?",
                "Tom has 12 apples, gives 5 to Ann and buys 8 more. How many apples does Tom have now?",
            ),
            (
                "Who was the first person to reach the summit without bottled oxygen?",
                "Who was the last person to reach the summit without bottled oxygen?",
            ),
        ),
    ),
    "Chinese": Language(
        "我们沿着海边一直走到中午。导游问了我们一个问题。",
        "起初没有人知道。后来我们一起查了资料。",
        "请用一个单词或短语回答问题。",
        (
            ("秘鲁的首都是哪里？", "乍得的首都是哪里？"),
            ("一只普通的花园蜘蛛一共有几条腿？", "一只普通的花园蜘蛛一共有几只眼？"),
            (
                "火车九点十五分出发，十一点四十分到达，一共用了多少分钟？",
                "火车九点十五分出发，十一点五十分到达，一共用了多少分钟？",
            ),
            ("穿过老城的几条河中，哪一条是从北向南流的？", "穿过老城的几条河中，哪一条是从南向北流的？"),
            ("河左岸的那座塔是在哪一年建成的？", "河右岸的那座塔是在哪一年建成的？"),
            (
                "小明有12个苹果，给了小红5个，又买了7个，现在有几个？",
                "小明有12个苹果，给了小红5个，又买了8个，现在有几个？",
            ),
            ("第一个不带氧气瓶登上山顶的人是谁？", "最后一个不带氧气瓶登上山顶的人是谁？"),
            (
                "一个水池有甲乙两个进水管，单开甲管6小时注满，单开乙管3小时注满，两管同开几小时注满？",
                "一个水池有甲乙两个进水管，单开甲管6小时注满，单开乙管4小时注满，两管同开几小时注满？",
            ),
        ),
    ),
    "Japanese": Language(
        "私たちは昼まで海岸を歩いた。そこでガイドが質問をした。",
        "最初は誰も知らなかった。あとで一緒に調べた。",
        "単語または短いフレーズで答えてください。",
        (
            ("ペルーの首都はどこですか。", "チャドの首都はどこですか。"),
            ("普通の庭のクモには脚が全部で何本ありますか。", "普通の庭のクモには目が全部で何個ありますか。"),
            (
                "電車は9時15分に出て11時40分に着きます。何分かかりますか。",
                "電車は9時15分に出て11時45分に着きます。何分かかりますか。",
            ),
            (
                "旧市街を流れる川のうち、北から南へ流れるのはどれですか。",
                "旧市街を流れる川のうち、南から北へ流れるのはどれですか。",
            ),
            ("川の左岸の塔は何年に完成しましたか。", "川の右岸の塔は何年に完成しましたか。"),
            (
                "太郎はリンゴを12個持っていて、5個あげて7個買いました。今いくつありますか。",
                "太郎はリンゴを12個持っていて、5個あげて8個買いました。今いくつありますか。",
            ),
            ("酸素ボンベなしで最初に山頂に立った人は誰ですか。", "酸素ボンベなしで最後に山頂に立った人は誰ですか。"),
            ("図の中にカキはいくつありますか。", "図の中にガキはいくついますか。"),
        ),
    ),
    "Hindi": Language(
        "हम दोपहर तक समुद्र के किनारे चलते रहे। फिर गाइड ने हमसे कुछ पूछा।",
        "पहले किसी को पता नहीं था। बाद में हमने मिलकर खोजा।",
        "प्रश्न का उत्तर एक शब्द या वाक्यांश में दें।",
        (
            ("पेरू की राजधानी क्या है?", "चाड की राजधानी क्या है?"),
            ("बगीचे की एक साधारण मकड़ी के कुल कितने पैर होते हैं?", "बगीचे की एक साधारण मकड़ी की कुल कितनी आँखें होती हैं?"),
            (
                "रेलगाड़ी 9:15 पर चलती है और 11:40 पर पहुँचती है। कितने मिनट लगते हैं?",
                "रेलगाड़ी 9:15 पर चलती है और 11:45 पर पहुँचती है। कितने मिनट लगते हैं?",
            ),
            (
                "पुराने शहर की नदियों में से कौन सी उत्तर से दक्षिण की ओर बहती है?",
                "पुराने शहर की नदियों में से कौन सी दक्षिण से उत्तर की ओर बहती है?",
            ),
            ("नदी के बाएँ किनारे की मीनार किस वर्ष में पूरी हुई थी?", "नदी के दाएँ किनारे की मीनार किस वर्ष में पूरी हुई थी?"),
            (
                "राम के पास 12 सेब हैं, वह 5 देता है और 7 खरीदता है। अब कितने सेब हैं?",
                "राम के पास 12 सेब हैं, वह 5 देता है और 8 खरीदता है। अब कितने सेब हैं?",
            ),
            (
                "बिना ऑक्सीजन के सबसे पहले शिखर पर पहुँचने वाला व्यक्ति कौन था?",
                "बिना ऑक्सीजन के सबसे अंत में शिखर पर पहुँचने वाला व्यक्ति कौन था?",
            ),
            ("चित्र में रखे हुए जाल के पास कितने लड़के खड़े हैं?", "चित्र में रखे हुए जेल के पास कितने लड़के खड़े हैं?"),
        ),
    ),
    "LaTeX": Language(
        "The lecture went on until noon. Then the teacher wrote on the board.",
        "Nobody could do it at first. We solved it at home.",
        "Please reason step by step, and put your final answer within \\boxed{}.",
        (
            ("Compute $5!$.", "Compute $5$."),
            ("Evaluate $\\frac{x^2}{3}$ at $x = 6$.", "Evaluate $\\frac{x^3}{3}$ at $x = 6$."),
            ("Find all real $x$ with $x^2 - 5x + 6 \\leq 0$.", "Find all real $x$ with $x^2 - 5x + 6 < 0$."),
            ("Let $f(x) = \\sin(2x)$. What is $f'(0)$?", "Let $f(x) = \\sin(2x)$. What is $f(0)$?"),
            (
                "If $A \\cup B$ has $9$ elements and $A$ has $4$, how many has $B \\setminus A$?",
                "If $A \\cap B$ has $9$ elements and $A$ has $4$, how many has $B \\setminus A$?",
            ),
            ("Solve $\\log_2 x + \\log_2 (x - 2) = 3$ for $x$.", "Solve $\\log_3 x + \\log_3 (x - 2) = 3$ for $x$."),
            (
                "What is the value of $\\int_0^1 (3t^2 + 2t)\\,dt$?",
                "What is the value of $\\int_0^2 (3t^2 + 2t)\\,dt$?",
            ),
            (
                "In $\\triangle ABC$, $AB = 7$ and $\\angle B = 90^\\circ$. If $BC = 24$, what is $AC$?",
                "In $\\triangle ABC$, $AB = 7$ and $\\angle B = 60^\\circ$. If $BC = 24$, what is $AC$?",
            ),
        ),
    ),
}


def spellings(text: str, language: Language) -> Iterator[str]:
    """Yield other spellings of one question."""
    yield unicodedata.normalize("NFD", text)
    yield "  " + text.replace(" ", "\u00a0 ") + "\n"
    yield text.rstrip("?？。.")
    yield f"{text} {language.instruction}"
    yield f"<image>\n{text}"
    yield f"“{text}”"
    if "$" in text:
        other = text.replace("\\frac", "\\dfrac").replace("\\leq", "\\le")
        yield other.replace("(", "\\left(").replace(")", "\\right)")
        parts = text.split("$")
        yield "".join(part if n % 2 == 0 else f"\\({part}\\)" for n, part in enumerate(parts))
    else:
        # Full width, as in East Asian typography.
        yield "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
        if text.isascii():
            yield text.upper()


def embedded(text: str, language: Language) -> Iterator[str]:
    """Yield longer texts that hold the question."""
    yield f"{language.before} {text} {language.behind}"
    yield f"{language.before}\n\n{text}\n\n{language.behind}"
    yield f"{text} {language.instruction} {language.behind}"


def index_of(*texts: str) -> BenchmarkIndex:
    """Return the index of a benchmark of these questions."""
    entries = tuple(benchmark_entry(text, None, None) for text in texts)
    return index_benchmarks([Benchmark(key="b", hash_recipe="none", text_key=KEY_RECIPE, entries=entries)])


def found(text: str, index: BenchmarkIndex) -> bool:
    """Return whether a question without pictures is refused."""
    return contaminated("q", text, [], index, LIMITS).outcome == "reject"


class Counts(NamedTuple):
    """Found of planted, by what was done to them."""

    spelled: tuple[int, int]
    within: tuple[int, int]
    excerpt: tuple[int, int]
    wrongly: tuple[int, int]
    """Of what was made of other questions."""
    keys_same: tuple[int, int]
    """Spellings of one question that have one key."""
    keys_other: tuple[int, int]
    """Pairs of other questions that have two."""


def measure(language: Language) -> Counts:
    """Return what is found of the planted questions of one language."""
    index = index_of(*(text for text, _ in language.pairs))
    longer = index_of(*(f"{language.before} {text}" for text, _ in language.pairs))
    spelled = [found(s, index) for text, _ in language.pairs for s in spellings(text, language)]
    within = [found(s, index) for text, _ in language.pairs for s in embedded(text, language)]
    excerpt = [found(text, longer) for text, _ in language.pairs]
    wrongly = [
        found(s, index)
        for _, other in language.pairs
        for s in (*spellings(other, language), *embedded(other, language))
    ]
    wrongly += [found(other, longer) for _, other in language.pairs]
    same = [question_key(s) == question_key(text) for text, _ in language.pairs for s in spellings(text, language)]
    other = [question_key(text) != question_key(another) for text, another in language.pairs]
    return Counts(*((sum(some), len(some)) for some in (spelled, within, excerpt, wrongly, same, other)))


def main() -> None:
    """Print the table."""
    print(HEADER)  # noqa: T201
    for name, language in LANGUAGES.items():
        counts = measure(language)
        hits = counts.spelled[0] + counts.within[0] + counts.excerpt[0]
        planted = counts.spelled[1] + counts.within[1] + counts.excerpt[1]
        recall, precision = hits / planted, hits / (hits + counts.wrongly[0])
        cells = [f"{found}/{of}" for found, of in counts]
        print(  # noqa: T201
            f"{name:<10} {cells[0]:>9}  {cells[1]:>13}  {cells[2]:>8}  {cells[3]:>12}  {recall:>6.1%}  {precision:>9.1%} |"
            f" {cells[4]:>7}  {cells[5]:>8}"
        )


if __name__ == "__main__":
    main()
