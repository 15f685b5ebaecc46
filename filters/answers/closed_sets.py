"""Closed sets of words in English, Chinese, Japanese, German, French, Spanish, Portuguese and Hindi.

Of Arabic yes and no are listed, and what denies them or leaves them open.

What is listed here is decided by rule whatever language it is in; what is not listed is left to a judge. Names of
months and weekdays follow the Unicode CLDR, with usual abbreviations; scales follow the long scale where a language
counts so (German Billion, Spanish billón: 10^12). Scale words of other languages are listed too, because a number with
one of them is not the number alone. Words are written as `filters.answers.text.tokens` gives them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain


def _table(lines: Mapping[int, str]) -> dict[str, int]:
    return {
        unicodedata.normalize("NFKC", word).casefold().replace("_", " "): value
        for value, words in lines.items()
        for word in words.split()
    }


MONTHS = _table(
    {
        1: "january jan januar jänner janvier janv enero ene janeiro जनवरी",
        2: "february feb februar février fevrier févr fevr febrero fevereiro fev फ़रवरी फरवरी",
        3: "march mar märz maerz mär mrz mars marzo março marco मार्च",
        4: "april apr avril avr abril abr अप्रैल",
        5: "may mai mayo maio मई",
        6: "june jun juni juin junio junho जून",
        7: "july jul juli juillet juil julio julho जुलाई",
        8: "august aug août aout agosto ago अगस्त",
        9: "september sep sept septembre septiembre setiembre setembro set सितंबर सितम्बर",
        10: "october oct oktober okt octobre octubre outubro out अक्टूबर अक्तूबर",
        11: "november nov novembre noviembre novembro नवंबर नवम्बर",
        12: "december dec dezember dez décembre decembre déc diciembre dic dezembro दिसंबर दिसम्बर",
    }
)
"""Month of the year by name."""

WEEKDAYS = _table(
    {
        1: "monday mon montag lundi lunes segunda-feira segunda 星期一 周一 礼拜一 月曜日 月曜 सोमवार",
        2: "tuesday tue tues dienstag mardi martes terça-feira terça 星期二 周二 礼拜二 火曜日 火曜 मंगलवार",
        3: "wednesday wed mittwoch mercredi miércoles miercoles quarta-feira quarta 星期三 周三 礼拜三 水曜日 水曜"
        " बुधवार",
        4: "thursday thu thur thurs donnerstag jeudi jueves quinta-feira quinta 星期四 周四 礼拜四 木曜日 木曜"
        " गुरुवार बृहस्पतिवार",
        5: "friday fri freitag vendredi viernes sexta-feira sexta 星期五 周五 礼拜五 金曜日 金曜 शुक्रवार",
        6: "saturday sat samstag sonnabend samedi sábado sabado 星期六 周六 礼拜六 土曜日 土曜 शनिवार",
        7: "sunday sun sonntag dimanche domingo 星期日 星期天 周日 周天 礼拜天 日曜日 日曜 रविवार",
    }
)
"""Day of the week by name, Monday 1 as in ISO 8601."""

_YES_OR_NO = _table(
    {
        1: "yes true correct right yeah yep y affirmative ja richtig wahr stimmt korrekt oui vrai exact sí si"
        " verdadero"
        " cierto correcto sim verdadeiro correto certo 是 是的 对 對 对的 正确 正確 真 はい ええ そうです 正しい"
        " हाँ हां जी_हाँ जी_हां सही सत्य सच"
        " نعم أجل صحيح صح صحيحة",
        0: "no false incorrect nope n not_true not_correct negative untrue wrong nein falsch unwahr non faux"
        " falso não nao"
        " 否 不 不是 不是的 不对 不對 错 錯 错误 錯誤 不正确 不正確 假 没有"
        " いいえ いや 違います ちがいます 偽 正しくない"
        " नहीं नही जी_नहीं गलत ग़लत असत्य झूठ"
        " لا كلا خطأ خاطئ خاطئة غير_صحيح ليس_صحيحا",
    }
)
YES_AND_NO: Mapping[str, bool] = {word: bool(value) for word, value in _YES_OR_NO.items()}
"""What affirms or denies, as a whole answer."""

COLOURS = _table(
    {
        0: "black schwarz noir negro preto 黑 黑色 黒 黒色 काला",
        1: "white weiß weiss blanc blanco branco 白 白色 सफ़ेद सफेद",
        2: "gray grey grau gris cinza 灰 灰色 स्लेटी",
        3: "red rot rouge rojo vermelho 红 紅 红色 紅色 赤 赤色 लाल",
        4: "green grün gruen vert verde 绿 綠 绿色 綠色 緑 緑色 हरा",
        5: "yellow gelb jaune amarillo amarelo 黄 黃 黄色 黃色 पीला",
        6: "blue blau bleu azul 蓝 藍 蓝色 藍色 青 青色 नीला",
        7: "brown braun marron marrón marrom 棕 棕色 褐色 茶色 भूरा",
        8: "orange naranja laranja 橙 橙色 橘色 オレンジ नारंगी",
        9: "pink rosa rosado 粉 粉色 粉红 粉红色 ピンク गुलाबी",
        10: "purple lila violett violet púrpura morado roxo 紫 紫色 बैंगनी",
    }
)
"""The basic colour terms (Berlin and Kay, 1969), of which two are two colours; finer ones may be words for one."""

_OPPOSITES = (
    "open offen ouvert abierto aberto | closed geschlossen fermé cerrado fechado",
    "on | off",
    "male | female",
    "up | down",
    "summer sommer été verano verão 夏天 夏 | winter hiver invierno inverno 冬天 冬",
    "spring frühling printemps primavera 春天 春 | autumn fall herbst automne otoño outono 秋天 秋",
    "day | night",
    "horizontal horizontally | vertical vertically",
    "clockwise | counterclockwise anticlockwise",
    "increasing increase increased rising | decreasing decrease decreased falling",
    "odd | even",
    "positive | negative",
    "indoor indoors | outdoor outdoors",
    "east | west | north | south",
)
_SIDES = tuple(
    {word: place for place, words in enumerate(line.split("|")) for word in words.split()} for line in _OPPOSITES
)

_AXES: tuple[tuple[str, str], ...] = (
    ("left", "left links gauche izquierda esquerda 左 左边 左侧 左邊 左側 बाएँ बाएं"),
    ("right", "right rechts droite derecha direita 右 右边 右侧 右邊 右側 दाएँ दाएं"),
    ("top", "top upper oben haut superior 上 上方 上边 上部"),
    ("bottom", "bottom lower unten bas inferior 下 下方 下边 下部"),
    ("north", "north northern norden nord norte 北 北方"),
    ("south", "south southern süden süd sud sur sul 南 南方"),
    ("east", "east eastern osten ost est este leste 东 東 东方"),
    ("west", "west western westen ouest oeste 西 西方"),
    ("northeast", "northeast ne nordosten nordost nord-est noreste nordeste 东北 北東"),
    ("northwest", "northwest nw nordwesten nordwest nord-ouest noroeste 西北 北西"),
    ("southeast", "southeast se südosten südost sud-est sureste sudeste 东南 南東"),
    ("southwest", "southwest sw südwesten südwest sud-ouest suroeste sudoeste 西南 南西"),
    ("above", "above"),
    ("below", "below under underneath beneath"),
    ("front", "front"),
    ("behind", "behind back rear"),
    ("inside", "inside"),
    ("outside", "outside"),
)
_DIRECTION = {word: name for name, words in _AXES for word in words.split()}
_OPPOSED = ({"left", "right"}, {"top", "bottom"}, {"above", "below"}, {"front", "behind"}, {"inside", "outside"})
_COMPASS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
}
_AROUND = frozenset(
    [
        "the",
        "a",
        "on",
        "to",
        "at",
        "in",
        "of",
        "from",
        "side",
        "corner",
        "hand",
        "part",
        "its",
        "it",
        "is",
        "edge",
        "end",
        "towards",
        "toward",
        "facing",
        "and",
        "auf",
        "der",
        "die",
        "das",
        "an",
        "im",
        "in",
        "seite",
        "ecke",
        "à",
        "la",
        "le",
        "de",
        "du",
        "el",
        "en",
        "lado",
        "canto",
        "do",
        "da",
        "no",
        "na",
    ]
)


@lru_cache(maxsize=4096)
def direction(words: tuple[str, ...]) -> frozenset[str] | None:
    """Return the directions that a whole text names ("the upper left corner"); None if it says anything else."""
    found = [_DIRECTION.get(word) for word in words if word not in _AROUND]
    named = frozenset(name for name in found if name is not None)
    return named if named and None not in found else None


def directions_agree(said: frozenset[str], gold: frozenset[str]) -> bool | None:
    """Return whether two directions are one; None where one says more than the other, as "top left" and "left" do."""
    if said == gold:
        return True
    points = said & _COMPASS.keys(), gold & _COMPASS.keys()
    if points[0] and points[1]:
        merged = tuple("".join(sorted("".join(_COMPASS[point] for point in side))) for side in points)
        return merged[0] == merged[1] and None
    opposed = any(len(pair & said) == len(pair & gold) == 1 and pair & said != pair & gold for pair in _OPPOSED)
    return False if opposed else None


_MEMBERS = frozenset(chain(COLOURS, WEEKDAYS, MONTHS, YES_AND_NO, *_SIDES))


@lru_cache(maxsize=4096)  # the rollouts of a question share its gold and many of their answers
def contradict(said: tuple[str, ...], gold: tuple[str, ...]) -> bool | None:
    """Return whether two texts are two members of one closed set (True), or one member (False); None if of none."""
    a, b = " ".join(said), " ".join(gold)
    if a not in _MEMBERS and direction(said) is None:
        return None
    for members in (COLOURS, WEEKDAYS, MONTHS, YES_AND_NO, *_SIDES):
        if a in members and b in members:
            return bool(members[a] != members[b])
    towards, wanted = direction(said), direction(gold)
    if towards is None or wanted is None:
        return None
    agree = directions_agree(towards, wanted)
    return None if agree is None else not agree


SCALES: dict[str, int] = _table(
    {
        12: "dozen dozens दर्जन",
        144: "gross",
        10**2: "hundred hundreds सौ 百",
        10**3: "thousand thousands k grand tausend tsd mille mil हज़ार हजार 千",
        10**4: "万 萬",
        10**5: "lakh lakhs lac lacs लाख 十万 十萬",
        10**6: "million millions mn mio mln mill millionen millón millones milhão milhões 百万 百萬",
        10**7: "crore crores cr करोड़ 千万 千萬",
        10**8: "亿 億",
        10**9: "billion billions bn bln milliarde milliarden mrd milliard milliards bilhão bilhões arab अरब 十亿 十億",
        10**10: "百亿 百億",
        10**11: "kharab खरब 千亿 千億",
        10**12: "trillion trillions tn trn billionen billón billones trilhão trilhões 兆 万亿 萬億",
        10**15: "quadrillion quadrillions billiarde billiarden",
        10**18: "quintillion quintillions trillionen trillón trillones",
    }
)
"""Factor of a word behind a number."""

_FOREIGN_SCALES = (
    # Russian, Ukrainian, Korean, Arabic, Italian, Dutch, Polish, Turkish, Vietnamese, Indonesian, Thai, Bengali, Tamil,
    # Telugu, Persian, Swedish, Danish, Greek, Hebrew, Czech, Hungarian, Romanian, Swahili.
    "тыс тысяч тысячи тысяча млн миллион миллиона миллионов млрд миллиард миллиарда миллиардов трлн сто дюжина"
    " тисяч мільйон мільйонів мільярд мільярдів 백 천 만 억 조 십만 백만 천만 ألف آلاف مليون ملايين مليار مئة"
    " mila milione milioni miliardo miliardi cento centinaia migliaia duizend honderd miljoen miljard tysiąc tysiące"
    " tysięcy miliony milionów miliard miliardów bin yüz milyon milyar nghìn ngàn trăm triệu tỷ tỉ ribu ratus"
    " juta miliar"
    " triliun พัน หมื่น แสน ล้าน ร้อย হাজার লাখ কোটি শত ஆயிரம் லட்சம் கோடி వేల లక్ష లక్షల కోట్లు هزار میلیون میلیارد"
    " tusen hundra miljoner miljarder millioner milliarder εκατομμύρια χιλιάδες δισεκατομμύρια אלף מיליון מיליארד"
    " tisíc milion milionů ezer millió milliárd mii milioane elfu milioni docena docenas dutzend douzaine"
    " douzaines dúzia"
    " dúzias centaines milliers ciento cientos cem centena hundert hunderte myriad myriads"
)
_CHANGING_NOUNS = (
    # Parts, multiples and operations: the number counts them, and is not the value.
    "north south east west latitude longitude"
    " half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh sevenths"
    " eighth eighths"
    " ninth ninths tenth tenths twelfth twelfths sixteenth sixteenths twentieth twentieths hundredth hundredths"
    " thousandth"
    " thousandths millionth millionths pair pairs couple couples tens score scores squared cubed factorial pi"
    " tau double"
    " triple root roots power powers exponent plus minus squareroot modulo mod percentile quartile quartiles"
    " less more fewer lower higher off short extra demi demie einhalb quadrat kubik"
    " doubled halved tripled quadrupled negated inverted divided multiplied upwards upward onwards exclusive nope"
    " unlikely doubtful ppb ppm bp promille octillion nonillion decillion vigintillion zillion gazillion googol"
    " kilo mega giga tera milli micro nano fold"
    " sechstel siebtel achtel neuntel cinquième cinquièmes sixième sixièmes septième septièmes huitième huitièmes"
    " dixième dixièmes quinto quintos sexto sextos séptimo séptimos octavo octavos noveno novenos décimo décimos"
    " oitavos"
    " drittel viertel fünftel zehntel hälfte hälften tiers quarts moitié moitiés tercio tercios cuarto cuartos"
    " mitad terço"
    " terços metade hoch fakultät carré cube cubo cuadrado quadrado paar paare paires pares par"
)
CHANGING = frozenset(
    unicodedata.normalize("NFKC", word).casefold() for word in (*_FOREIGN_SCALES.split(), *_CHANGING_NOUNS.split())
)
"""Words behind a number that make it another one, or one that is not read."""

PART_OF = re.compile(
    r"\b(?:half|third|quarter|\w+th|square|cube|root|power|reciprocal|inverse|negative|opposite|logarithm|multiple)s?"
    r" of\b|\b(?:half|twice|thrice|double|triple|times|hälfte|doppelte|dreifache|quadrat|wurzel|kehrwert"
    r"|moitié|carré|inverse|racine|mitad|doble|cuadrado|inverso|raíz|metade|dobro|quadrado|raiz)\b"
    r"|一半|[两兩二三]倍|倍|平方|立方|倒数|倒數|半分|[二三]乗|逆数|平方根|आधा|दोगुना|वर्ग\b",
    re.IGNORECASE,
)
"""Words before a value that make it that of a part or a multiple of what was asked for."""

NUMBER_WORDS = _table(
    {
        0: "null zéro cero 零 शून्य",
        1: "eins ein eine un une uno una um uma 一 एक",
        2: "zwei deux dos dois duas 二 两 兩 दो",
        3: "drei trois tres três 三 तीन",
        4: "vier quatre cuatro quatro 四 चार",
        5: "fünf cinq cinco 五 पाँच पांच",
        6: "sechs six seis 六 छह छः",
        7: "sieben sept siete sete 七 सात",
        8: "acht huit ocho oito 八 आठ",
        9: "neun neuf nueve nove 九 नौ",
        10: "zehn dix diez dez 十 दस",
        11: "elf onze once 十一",
        12: "zwölf douze doce doze 十二",
    }
)
"""Numbers in words, beside those of English; larger ones are left to a judge."""

NEGATING = re.compile(
    r"\b(?:nicht|kein|keine|keinen|pas|ne|n'|jamais|aucun|nunca|jamás|não|nao|ningún|nenhum)\b"
    r"|\b[وف]?(?:لا|لم|لن|ليس|ليست|غير|كلا|ما|بدون)\b"
    r"|[\u4e0d\u6ca1\u6c92\u975e\u7121\u65e0\u5426]|\u306a\u3044|\u307e\u305b\u3093|\u0928\u0939\u0940\u0902|\u092e\u0924",
    re.IGNORECASE,
)
"""Denials in languages other than English."""

SUPPOSED = re.compile(
    # A condition,
    r"\b(?:if|when(?! \w+ing\b)|unless|provided|assuming|suppose|supposing|otherwise|hypothetically"
    r"|as long as|in some cases|sort of|wenn|falls|sofern|außer|si|sauf|salvo|excepto|se|exceto)\b|s'il\b"
    r"|如果|若|假如|除非|もし|なら|यदि|अगर|\b[وف]?(?:إذا|اذا|لو|إن|ما لم)\b"
    # what somebody else says,
    r"|\b(?:says?|said|claims?|claimed|thinks?|guess(?:es|ed)?|wrote|writes|assumes?|assumed|believes?|students?|friend"
    r"|textbook|naive|tempting|mistake|attempt|nobody|sagt|meint|glaubt|behauptet|wäre|dit|disent|pense"
    r"|dice|dicen|piensa|cree|diz|dizem|acha)\b|['\u2019]s (?:answer|result)\b|[说說]|认为|認為|と答え|と言|कहत"
    r"|\b(?:يقول|قال|قالت|يعتقد|يظن)\b"
    # or a bound.
    r"|\b(?:etwa|ungefähr|mindestens|höchstens|environ|aproximadamente|cerca de)\b"
    r"|[约約]|至少|至多|可能|以上|以下|लगभग"
    r"|\b(?:ربما|حوالي|تقريبا|على الأقل)\b",
    re.IGNORECASE,
)
"""Words with which a sentence does not claim what it says."""

THEREFORE = (
    "(?:so|thus|therefore|hence|consequently|in conclusion|also|daher|donc|ainsi|por lo tanto|portanto"
    "|所以|因此|故|よって|したがって|इसलिए)"
)
"""Pattern of the words with which a conclusion begins."""


def _announced(answer: dict[str, str]) -> str:
    """Return the pattern of the words that announce an answer, by what it is called in each language."""
    return (
        r"(?:"
        rf"(?:(?:the|my)\s+)?(?:(?:final|correct|right|best)\s+)?{answer['en']}"
        r"\s*(?:[:\uff1a=]|(?:is|would be|should be)\b(?:\s+(?:therefore|thus|then|exactly|simply)\b)?)"
        rf"|(?:(?:die|das|meine)\s+)?(?:(?:richtige|endgültige|korrekte)\s+)?{answer['de']}"
        r"\s*(?:[:=]|(?:ist|lautet|beträgt|wäre)\b)"
        rf"|(?:ist|lautet|beträgt)\s+(?:die|das)\s+{answer['de']}\s*:?"
        rf"|(?:(?:la|le|ma)\s+)?(?:(?:bonne|bon)\s+)?{answer['fr']}(?:\s+(?:finale|correcte))?\s*(?:[:=]|est\b(?:\s+donc\b)?)"
        rf"|(?:(?:la|el|mi)\s+)?{answer['es']}(?:\s+(?:final|correcta))?\s*(?:[:=]|es\b)"
        r"(?:\s+la(?=\s+\(?[A-Za-z]\)?\.?$))?"
        rf"|(?:(?:a|o|minha)\s+)?{answer['pt']}(?:\s+(?:final|correta|certa))?\s*(?:[:=]|é\b)"
        r"(?:\s+a(?=\s+\(?[A-Za-z]\)?\.?$))?"
        rf"|(?:最终|最後|最后|正确|正確)?的?{answer['zh']}\s*(?:应该|就)?[是为為:\uff1a=]"
        rf"|(?:最終的な|正しい)?{answer['ja']}\s*[は:\uff1a=]"
        rf"|(?:सही|अंतिम|मेरा)?\s*{answer['hi']}\s*(?:है\s*:?|[:=]|(?=\S+\s+है\.?$))"
        r")"
    )


_ANSWERS = {
    "en": "answer",
    "de": "antwort",
    "fr": "r[ée]ponse",
    "es": "respuesta",
    "pt": "resposta",
    "zh": "答案",
    "ja": "(?:答え|答|正解|解答|回答)",
    "hi": "(?:उत्तर|जवाब)",
}
_RESULTS = {
    "en": "(?:result|option|choice|number|value)",
    "de": "(?:lösung|ergebnis)",
    "fr": "(?:résultat|solution)",
    "es": "(?:resultado|solución)",
    "pt": "(?:resultado|solução)",
    "zh": "(?:结果|結果)",
    "ja": "結果",
    "hi": "परिणाम",
}
ANSWER_IS = _announced(_ANSWERS)
RESULT_IS = _announced(_RESULTS)
"""Patterns of the words with which an answer is announced, in the supported languages."""

_LEAD = re.compile(
    rf"(?:{THEREFORE},?\s*)?"
    r"(?:"
    rf"{ANSWER_IS}|{RESULT_IS}"
    r"|(?:it|this|that|they|there|these|he|she)(?:'s|\s+is|\s+are|\s+was|\s+were)\b"
    r"|i (?:see|choose|pick|select)\b"
    # "No. 3" is no denial.
    r"|(?:no\.|nr\.|n[\u00b0\u00ba]|#)\s?(?=[0-9]+\.?$)"
    r"|es (?:ist|sind|gibt)\b|c'est\b|ce sont\b|il y (?:en )?a\b|hay\b"
    r"|(?:应该|应|故|我)?(?:选择|選擇|选|選)(?:项|項)?\s*(?:是|:)?"
    r")\s*:?\s*",
    re.IGNORECASE,
)
_TAIL = re.compile(r"(?:です|である|でした|だ|になります|\s+है|\s+हैं)[.!\u3002\u0964]?$")


_NO_LEAD = frozenset("0123456789-+$")
"""What most numbers begin with, and no opening."""


def without_lead(text: str) -> str:
    """Return cleaned text without an opening such as "The answer is"; the text itself if nothing else is left.

    A copula that ends a sentence in Japanese or Hindi goes with it.
    """
    if text[:1] in _NO_LEAD:
        return text
    rest = text
    while match := _LEAD.match(rest):
        if match.end() == match.start():
            break
        rest = rest[match.end() :]
    return without_copula(rest).strip() or text


def without_copula(text: str) -> str:
    """Return a text without a copula of Japanese or Hindi at its end."""
    return text if text.isascii() else _TAIL.sub("", text) or text
