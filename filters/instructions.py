"""Instructions that data sets put around every question: how to answer, not what is asked.

"Answer the question using a single word or phrase." says nothing of the question. It is recognised here, for every
rule: a sentence of its own whose words are all those of such instructions in one language, one of them about answering.
A word more and it may carry content: "Answer in inches.", "Round to one decimal.", "Select the option that shows a
capital."

Languages: English, Chinese, Japanese, German, French, Spanish, Portuguese, Hindi, Arabic. In others every sentence is
taken for a part of the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

VERSION = 1
"""Rises whenever a text may be split otherwise."""


class Split(NamedTuple):
    """A text and what stood around it."""

    question: str
    before: tuple[str, ...] = ()
    """Instructions and labels ("Hint:", "Question:") in front of it."""
    behind: tuple[str, ...] = ()


class _Words(NamedTuple):
    """The closed vocabulary of one language."""

    core: frozenset[str]
    """Words about answering, one of which makes an instruction."""
    option: frozenset[str]
    """Those of them that are about options and their letters."""
    others: frozenset[str]

    @property
    def every(self) -> frozenset[str]:
        return self.core | self.option | self.others


def _words(core: str, option: str, others: str) -> _Words:
    return _Words(*(frozenset(words.split()) for words in (core, option, others)))


_SPACED: Mapping[str, _Words] = {
    "en": _words(
        "answer answers answering respond reply response responses brief briefly concise concisely step reason"
        " explanation explanations boxed reasoning short unanswerable",
        "letter letters option options choice choices alternative alternatives",
        "please select choose pick give provide output write put state indicate respond with by using use in of"
        " from among to as and or the a an one this these your you it be should must can only just"
        " directly single correct right best appropriate corresponding given provided available following above"
        " below question questions capital uppercase word words phrase phrases sentence sentences possible number"
        " numbers numerical numeric integer value final yes no true false e g eg for example at end think"
        " carefully then within inside box simply keep few explain include on based image picture photo figure look do"
        " not any without text nothing else full complete detailed when if information is insufficient cannot"
        " determined s let don t us step me its that requiring using more than format form",
    ),
    "de": _words(
        "antworte antworten antwortet beantworte beantworten antwort antworten erklärung begründung knapp"
        " stichwort stichworten schritt",
        "buchstabe buchstaben option optionen antwortmöglichkeit antwortmöglichkeiten auswahlmöglichkeit"
        " auswahlmöglichkeiten antwortoption antwortoptionen",
        "sie bitte die der das den dem des frage fragen mit einem einer eines einen eine ein einzelnen einzigen"
        " einzelnes wort worten wörtern satz oder kurz kurzen kurze kurzer phrase ausdruck nur aus gegebenen"
        " vorgegebenen angegebenen gib geben an direkt richtige richtigen korrekte korrekten passenden"
        " entsprechenden zugehörigen ja nein zahl ziffer als so wie möglich in einfach deine ihre ihrer deiner"
        " und ohne für denke nach anhand bildes bild zum zur auf ganz endgültige wähle wählen nenne nennen"
        " schreibe schreiben lediglich ausschließlich bei folgenden obigen unten oben beste",
    ),
    "fr": _words(
        "répondez réponds répondre réponse réponses explication explications brièvement concise concis étape",
        "lettre lettres option options choix proposition propositions",
        "veuillez à a la le les l en un une d du de des seul seule mot mots ou courte court phrase expression oui"
        " non uniquement seulement simplement directement parmi proposés proposées données donnés avec par"
        " question choisissez choisis sélectionnez sélectionne indiquez indique donnez donne correspondante"
        " correspondant correcte bonne votre ta chiffre nombre aussi que possible et s il vous plaît te ci dessus"
        " dessous suivantes suivants sans être manière façon brève écrivez utilisant l'image image partir finale"
        " vrai faux",
    ),
    "es": _words(
        "responde responda respondan responder conteste contesta contestar respuesta respuestas explicación"
        " explicaciones brevemente concisa paso",
        "letra letras opción opciones alternativa alternativas",
        "por favor a la el los las lo pregunta con usando utilizando en una un uno sola solo sólo única único"
        " palabra palabras o frase corta breve sí si no únicamente solamente directamente de del dadas dados"
        " proporcionadas elige elija selecciona seleccione escoge escoja indica indique da dé proporciona"
        " proporcione escribe escriba correcta correspondiente número entre tu su forma manera y sin final piensa"
        " imagen según basándote siguiente siguientes anteriores verdadero falso posible más",
    ),
    "pt": _words(
        "responda responde respondam responder resposta respostas explicação explicações brevemente concisa passo",
        "letra letras opção opções alternativa alternativas",
        "por favor à a o as os pergunta questão com usando utilizando em na no uma um única único só palavra"
        " palavras ou frase poucas poucos curta curto breve sim não apenas somente diretamente de da do das dos dadas"
        " fornecidas escolha selecione indique dê forneça escreva correta certa correspondente número entre sua"
        " seu forma e sem final pense imagem seguintes acima abaixo verdadeiro falso possível mais",
    ),
    "hi": _words(
        "उत्तर जवाब संक्षेप संक्षिप्त",
        "विकल्प विकल्पों अक्षर",
        "कृपया प्रश्न सवाल का के की को एक शब्द शब्दों या वाक्यांश वाक्य में दें दीजिए दीजिये दो केवल सिर्फ सिर्फ़"
        " मात्र से सही चुनें चुनिए चुनकर हाँ हां ना नहीं संख्या सीधे दिए गए दिये गये ही और लिखें लिखिए द्वारा"
        " छोटे छोटा छोटी इस चित्र छवि आधार पर देखकर करके उपयोग अपना तौर रूप",
    ),
    "ar": _words(
        "أجب أجيب أجيبي اجب الإجابة إجابة إجابتك الجواب باختصار بإيجاز",
        "حرف الحرف بحرف الخيار الخيارات خيار",
        "عن على السؤال هذا التالي بكلمة واحدة كلمة واحد أو عبارة بعبارة قصيرة بنعم لا نعم فقط اختر الصحيح الصحيحة"
        " من المعطاة المتاحة يرجى الرجاء مباشرة رقم برقم استخدام باستخدام إلى في",
    ),
}
# Longest first, as an alternation takes the first that fits.
_UNSPACED: Mapping[str, tuple[str, str, str]] = {
    "zh": (
        "回答|作答|答案|答复",
        "选项|字母|选择",
        (
            "请您?|直接|使用|用|以|一个|单个|几个|单词|词语|词组|短语|句子|一句话|一|词|字|或者|或|和|问题|这个|该|此|下列|以下|上述|给出|提供|只需?|仅|需要?|要|简短|简洁|简要|简单"
            "|简明|尽量|地|从|给定|所给|给|的|中|里|选出|正确|最佳|对应|相应|输出|写出|写|数字|整数|是|否|对或错|对还是错|正确或错误|即可|就行|先|再|一步步|一步一步|思考|根据|基于|图片|图像|图|来|进行|在|不要"
            "|无需|解释|最终|括号|内|看|您|你"
        ),
    ),
    "ja": (
        "答え|回答|解答|お答え",
        "選択肢|アルファベット|記号|選んで|選び|選択",
        (
            "質問|問題|問い|次|以下|与えられた|単語|一語|一言|ひとこと|1語|1単語|一単語|一つ|ひとつ|1つ|フレーズ|語句|語|文字|番号|数字|数値|短い|短く|簡潔|簡単|直接|のみ|だけ|正しい|適切|最も"
            "|もの|または|あるいは|もしくは|はい|いいえ|画像|写真|図|見て|もとに|基づいて|使って|用いて|ください|下さい|なさい|て|し|する|に|を|は|で|が|の|と|から|な|も|か|よ|う|ます"
        ),
    ),
}
_GAPS = r"[\s,.:;!()\"'“”„‘’「」『』，。、：；！（）…-]*"
_CHARACTERS = {
    language: (
        re.compile(f"{_GAPS}(?:(?:{core}|{option}|{others}|[A-Ja-jＡ-Ｊ]){_GAPS})+"),
        re.compile(f"{core}|{option}"),
        re.compile(option),
    )
    for language, (core, option, others) in _UNSPACED.items()
}
_BETWEEN_WORDS = re.compile(r"[\s.,;:!'\"“”„‘’«»()\[\]{}<>…।॥،؛。、，！：；（）*_\\/-]+")
_LETTERS = frozenset("abcdefghij")
_OF_LETTERS = frozenset(
    [
        "letter",
        "letters",
        "buchstabe",
        "buchstaben",
        "lettre",
        "lettres",
        "letra",
        "letras",
        "अक्षर",
        "حرف",
        "الحرف",
        "بحرف",
    ]
)
_OF_CHOOSING = _words(
    "correct right corresponding best appropriate only just directly richtigen korrekten entsprechenden nur correcte"
    " correspondante bonne uniquement seulement correcta correspondiente solo sólo solamente correta correspondente"
    " apenas somente सही केवल सिर्फ الصحيح فقط",
    "",
    "",
).core
"""Beside a letter: "Write the letter in the image" asks for what is seen, "Write only the letter" for an option."""
# As `_OF_CHOOSING`: what is written in the picture.
_SEEN_LETTER = re.compile("图(?:片|像)?(?:里|中)?的?字母")
_LABEL = (
    r"(?:hint|question|q|frage|hinweis|pregunta|pista|pergunta|dica|indice|प्रश्न|संकेत|问题|问|提示|質問|問題|問|ヒント|السؤال|سؤال)"
    r"\s?[:：]"
)
_ANSWER_LABEL = (
    r"(?:(?:short |final |the )?answer|a|antwort|réponse|respuesta|resposta|उत्तर|जवाब|答案|回答|答え|答|الإجابة|الجواب)"
    r"\s?[:：]"
)
_OPENING = re.compile(rf"\s*{_LABEL}\s*", re.IGNORECASE)
_CLOSING = re.compile(rf"(?:^|(?<=[\s.?!。？！।؟])){_ANSWER_LABEL}\s*$", re.IGNORECASE)
# The dots of abbreviations end no sentence: e.g., z.B., p.ex.
_BOUNDARY = re.compile(r"(?<!e\.g)(?<!z\.B)(?<!p\.ex)(?<!p\. ex)[.!?؟।]+[)\"”']*(?=\s)|[。？！]+|\n+|[.?!؟।](?=\s*\()")
_LONGEST = 400
"""Characters at either end of a text in which instructions are looked for; bounds the search in hostile text."""
_MOST = 6
"""Sentences of them at either end."""


def split_instructions(text: str) -> Split:
    """Return the question of a text, and the instructions that stand before and behind it.

    A text that is nothing but instructions is its own question. Total and linear.
    """
    question = text.strip()
    before: list[str] = []
    behind: list[str] = []
    for _ in range(_MOST):
        taken, rest = _from_end(question)
        if not taken:
            break
        behind.insert(0, taken)
        question = rest
    for _ in range(_MOST):
        taken, rest = _from_start(question)
        if not taken:
            break
        before.append(taken)
        question = rest
    return Split(question, tuple(before), tuple(behind)) if question else Split(text.strip())


def is_instruction(sentence: str) -> bool:
    """Return whether a sentence says how to answer, and nothing else."""
    return _languages(sentence) is not None


def asks_for_option(sentence: str) -> bool:
    """Return whether a sentence that is no question speaks of options or their letters, whatever else it says."""
    if sentence.rstrip().endswith(("?", "？", "؟")):
        return False
    words = frozenset(_split(sentence))
    return any(words & language.option for language in _SPACED.values()) or any(
        option.search(sentence) for _, _, option in _CHARACTERS.values()
    )


def last_sentence(text: str) -> tuple[str, str]:
    """Return the last sentence or line of a text and what stands before it, both without white space around them."""
    start = max(0, len(text) - _LONGEST)
    ends = [match.end() for match in _BOUNDARY.finditer(text, start) if match.end() < len(text)]
    cut = next((end for end in reversed(ends) if text[end:].strip()), 0)
    return text[cut:].strip(), text[:cut].rstrip()


def _from_end(text: str) -> tuple[str, str]:
    """Return what is taken off the end and what is left; nothing is taken that would leave nothing."""
    label = _CLOSING.search(text, max(0, len(text) - _LONGEST))
    if label is not None and text[: label.start()].strip():
        return label[0].strip(), text[: label.start()].rstrip()
    sentence, rest = last_sentence(text)
    return (sentence, rest) if rest and is_instruction(sentence) else ("", text)


def _from_start(text: str) -> tuple[str, str]:
    label = _OPENING.match(text[:_LONGEST])
    head = text if label is None else text[label.end() :]
    end = _BOUNDARY.search(head[:_LONGEST])
    colon = re.match(r"[^\n.?!。？！:：]{1,120}[:：]", head)
    for cut in (colon and colon.end(), end and end.end()):
        if cut and head[cut:].strip() and is_instruction(head[:cut]):
            return text[: len(text) - len(head) + cut].strip(), head[cut:].lstrip()
    # A hint that says more than how to answer is a part of the question, and so is the word for it.
    if (
        label is not None
        and head.strip()
        and not re.match(r"\s*(?:hint|hinweis|pista|dica|indice|提示|ヒント|संकेत)", text, re.IGNORECASE)
    ):
        return label[0].strip(), head.lstrip()
    return "", text


def _split(sentence: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(sentence.lower()) if word]


def _languages(sentence: str) -> str | None:
    """Return the language in which a sentence is an instruction."""
    if len(sentence) > _LONGEST or sentence.rstrip().endswith(("?", "？", "؟")):
        return None
    words = _split(sentence)
    for language, known in _SPACED.items():
        rest = {word for word in words if word not in known.every}
        options = known.option.intersection(words)
        if options <= _OF_LETTERS and _OF_CHOOSING.isdisjoint(words) and not {"a", "b"} <= set(words):
            options = frozenset()
        if options or not known.core.isdisjoint(words):
            listing = not known.option.isdisjoint(words) or {"a", "b"} <= set(words) or {"e", "g"} <= set(words)
            if not rest or (listing and all(word in _LETTERS or _counts(word, words) for word in rest)):
                return language
    bare = "".join(sentence.split())
    for language, (every, core, _) in _CHARACTERS.items():
        if every.fullmatch(bare) and core.search(_SEEN_LETTER.sub("", bare)):
            return language
    return None


def _counts(word: str, words: list[str]) -> bool:
    """Return whether a number is an example of how to answer: "e.g., 1, 2, 3"."""
    return word.isdecimal() and {"e", "g"} <= set(words)
