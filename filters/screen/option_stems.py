"""Whether a multiple-choice question can be asked without its options: what its stem and its options say, by language.

Stems that speak of their options ("which of the following"), that ask for what is *not* so, for what follows, for what
fits best, or for about how much, have more than one right answer without them. So have options that are sentences, a
matter of degree, ranges, bounds, or pictures. In doubt options are kept: a question with options can be guessed, one without sense
cannot be answered.

A stem in none of the languages of `filters.languages` keeps its options; one that holds no word (a formula) needs no
language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise

from filters.answers.numbers.quantities import read_number
from filters.answers.text import clean
from filters.languages import Language, language_of

_NEEDS: Mapping[Language, str] = {
    "en": r"\bwhich (?:(?:one|two|three|ones) )?(?:of|among|from)\b|\bwhat of the\b|\bthe following\b"
    r"|\b(?:one|all|none|any|each|both|either|neither) of (?:the|these|those|them)\b"
    r"|\b(?:options?|choices?|alternatives?)\b"
    r"|\b(?:listed|shown|given|mentioned|stated|described|provided) (?:above|below)\b"
    r"|\b(?:above|below) (?:statements?|answers?)\b"
    r"|\bwhich (?:\w+ ){0,2}(?:statements?|sentences?|descriptions?|captions?|claims?)\b"
    r"|\b(?:correct|incorrect|true|false|right|wrong|best|accurate) (?:\w+ )?"
    r"(?:statements?|descriptions?|captions?|answers?)\b"
    r"|\b(?:is|are) (?:\w+ )?(?:true|false|correct|incorrect|not true|not correct)\b"
    r"|\b(?:is|are) (?:right|wrong|best)\s*\?|\b(?:except|most likely|least likely|best describes?|best fits?)\b"
    r"|\bmost (?:appropriate|suitable|accurate|probable)\b|\b(?:inferred|concluded|deduced|implied|implies|imply|suggests?)\b"
    r"|\b(?:main (?:idea|point|theme)|best title|most similar|odd one out)\b"
    r"|\b(?:identify|mark|find|tell) the (?:correct|incorrect|wrong|true|false|odd)\b"
    r"|\bcompletes? the (?:pattern|series|sequence|analogy|sentence)\b"
    r"|\b(?:which|what|who)\b[^?]*(?:\bnot\b|n['’]t\b|\bnever\b|\bmissing\b|\babsent\b)"
    r"|\bhow (?:likely|often|well|difficult|easy|confident)\b"
    r"|\b(?:select|choose|pick|tick|circle the)\b|_{2,}|\b[A-E]\) ",
    "zh": r"下列|以下|上述|下面(?:哪|各|四|[几幾]|的(?:[说說]法|[选選][项項]|[陈陳]述|描述|[叙敘]述))|[选選](?:[项項]|[择擇]|出)|何者"
    r"|哪(?:一|[个個]|[种種]|些|[项項]|句)*(?:[说說]法|[陈陳]述|描述|[叙敘]述|[标標][题題]|句子|答案)|哪一?[项項]|的是[?？:：。（(）)\s]*$"
    r"|(?:正[确確]|[错錯][误誤]|合[适適]|恰[当當]|符合)的(?:一[项項个個])?(?:是|[为為])|不正[确確]|不包括|不[属屬][于於]|除了"
    r"|最有?(?:可能|合[适適]|恰[当當]|[适適]合|符合|[贴貼]切)|哪.{0,14}(?:不|[没沒]|[无無])|(?:不|[没沒]有?|未|[无無]).{0,12}哪"
    r"|什么.{0,6}(?:不|[没沒])|推[断斷测測出]|符合(?:[图圖]意|[题題]意)|[缺少]了?(?:哪|什)|_{2,}|[(（]\s*[)）]",
    "ja": r"次の(?:うち|中|選択肢|文|説明|記述|どれ|どの)|以下の|下記|上記|選択肢|選(?:び|ん|べ)|正しい(?:もの|の|説明|文|記述)|正しいですか|誤って|誤り|間違っ"
    r"|適切|ふさわしい|最も(?:可能性|近い|良い|よい|合う)|どれ|どちら|当てはまる|あてはまる|ではない|でない|ない.{0,8}は(?:どれ|どの|何|誰|どこ)|ない(?:もの|の|人|物)は|除い|推測|推論|考えられ|言える|欠けて|足りない|_{2,}|[(（]\s*[)）]",
    "de": r"\bfolgend|\bwelche[rsnm]? (?:der|dieser|von|davon|unter)\b|\baussagen?\b|\bbehauptung|\bbeschreib|\boption|\bantwort|\bauswahl"
    r"|\b(?:richtig|falsch|korrekt|zutreffend|stimmt)\b|\btrifft zu\b|\bkreuze|\bwähle|\bmarkiere|\bam (?:besten|ehesten)\b|\bwahrscheinlich"
    r"|\baußer\b|\bausgenommen\b|\bgenannten\b|\b(?:welche[rsnm]?|was|wer)\b[^?]*\b(?:nicht|keine?[nrsm]?|fehl(?:t|en))\b|\bbildunterschrift|\bschließen\b|\bableiten\b|_{2,}",
    "fr": r"\bsuivante?s?\b|ci-dess[ou]us|\b(?:lequel|laquelle|lesquels|lesquelles)\b|\bquel(?:le)?s? (?:de ces|d['’]entre)|\bparmi\b"
    r"|\baffirmation|\bénoncés?\b|\bpropositions?\b|\boptions?\b|\bréponses?\b|\bchoix\b|\bchois|\bcoche|\bsélectionn|\bentoure"
    r"|\b(?:est|sont) (?:vraie?s?|faux|fausses?|correcte?s?|incorrecte?s?|exacte?s?|inexacte?s?)\b|\bsauf\b|\bexcepté\b|\ble mieux\b|\blégende\b|\bprobable"
    r"|\b(?:quel(?:le)?s?|que|qui|qu)\b[^?]*(?:\bn(?:e\b|['’])[^?]*\bpas\b|\bmanque(?:nt)?\b)|\bdéduire\b|\bconclure\b|_{2,}",
    "es": r"\bsiguientes?\b|\bcuál(?:es)? de\b|\bde est[oa]s\b|\bafirmaci|\benunciad|\bopci[oó]n|\balternativa|\brespuesta|\belig[ea]|\belija|\bseleccion|\bescog|\bescoj"
    r"|(?:^|[.¿¡]\s*)(?:marca|marque|señal[ae]|indica|indique)\b|\bverdader[oa]|\bfals[oa]s?\b|\b(?:in)?correct[oa]s?\b|\bexcepto\b|\bsalvo\b|\bmejor (?:describe|título)|\bdescribe mejor"
    r"|\bpie de foto\b|\bprobable|\b(?:qué|cuál|cuáles|quién)\b[^?]*\b(?:no|faltan?)\b|\binferir|\bdeducir|\bconcluir|\banteriores\b|_{2,}",
    "pt": r"\ba seguir\b|\bseguintes?\b|\bqua(?:l|is) (?:dest|dess|d[oa]s\b|del)|\bafirmaç|\benunciado|\bopç|\balternativa|\bresposta|\bescolh|\bselecion|\bassinal|(?:^|[.]\s*)(?:marque|indique)\b"
    r"|\bverdadeir[oa]|\bfals[oa]s?\b|\b(?:in)?corret[oa]s?\b|\bexceto\b|\bsalvo\b|\bmelhor (?:descreve|legenda|título)|\bdescreve melhor|\blegenda\b|\bprovável"
    r"|\b(?:que|qual|quais|quem)\b[^?]*\b(?:não|faltam?)\b|\binferir|\bdeduzir|\bconcluir|\banteriores\b|_{2,}",
    "hi": r"(?:इन|उन)में से|निम्न|(?:नीचे|ऊपर) (?:दिए|दिये|लिखे)|उपरोक्त|उपर्युक्त|विकल्प|चुनें|चुनिए|चुनिये|चुनो|सही (?:कथन|उत्तर|है)|ग़?लत|कथन|असत्य|सत्य"
    r"|सबसे (?:उपयुक्त|सही|अच्छा)|के अलावा|को छोड़कर|(?:कौन|किस|क्या|किन).{0,40}(?:नहीं|गायब|अनुपस्थित)|अनुमान|निष्कर्ष|_{2,}",
    "ar": r"التالي|يلي|خيار|العبار|الجمل|اختر|اختاري?|حدد|الصحيح|صحيح|الخاطئ|خاطئ|خطأ|غير|ما عدا|باستثناء|أعلاه|أدناه|الأنسب|الأفضل|الأرجح|[نيت]ستنتج|استنتاج|(?:الذي|التي|ما|من|أي)\b.*\b(?:لا|ليست?|لم|ينقص)\b|من بين|أي من هذه|أيٌّ من|_{2,}",
}
_ABOUT: Mapping[Language, str] = {
    "en": r"\b(?:about|around|almost|close to|near) (?:how|what)\b|^\s*about\b"
    r"|\bhow (?:many|much|tall|long|far|old|high|wide|deep|heavy|big|large)\b[^?]*\b(?:about|around)\W*$"
    r"|\b(?:approx(?:imate(?:ly)?)?|rough(?:ly)?|nearly|estimate[ds]?|estimation|closest to|ballpark)\b"
    r"|\b(?:give or take|more or less)\b",
    "zh": r"大[约約概致]|(?<![条條合节節预預纽紐契签簽誓盟制])[约約](?:[为為有是等]|多少|[几幾]|\d)|[估預预][计計测測]|估算|[差相]不多|近似|接近"
    r"|[将將]近|近(?:多少|[几幾])|(?:多少|[几幾]).{0,8}左右",
    "ja": r"およそ|(?<![契予条節規制公解婚要])約|だいたい|おおよそ|おおむね|ほぼ|くらい|ぐらい|ほど|程度|最も近い|見積|推定|概数|概算"
    r"|(?:何|いく).{0,6}前後",
    "de": r"\b(?:ungefähr\w*|etwa|circa|rund|annähernd|näherungsweise|schätzungsweise|geschätzt\w*|grob|überschlag\w*)\b|\bca\.|\bschätz",
    "fr": r"\b(?:environ|approximati\w+|presque|quasi\w*|grosso modo|plus ou moins)\b|à peu (?:près|de choses?)|\bestim|\bdans les combien"
    r"|\bau(?:x alen)?tours? de combien|à vue d['’]œil",
    "es": r"\baproximad|\balrededor de cu|\bmás o menos\b|\bcerca de cu|\bestim|\bcasi\b|\b(?:unos|unas|como) cuánt[oa]s|\bcalculas que\b|\ba ojo\b",
    "pt": r"\baproximad|\bcerca de\b|\bmais ou menos\b|\bpor volta de\b|\bestim|\bquase\b|\bem torno de\b|\b(?:uns|umas) quant[oa]s|\bà volta de\b",
    "hi": r"लगभग|क़?रीब|तक़?रीबन|अनुमानित|अंदाज़?|मोटे तौर पर",
    "ar": r"تقريب|حوالي|قرابة|نحو كم|زهاء|ما يقارب|يناهز|^\s*قد\u0651?ر\s",
}
"""Stems that ask for about how much: the picture has an exact number, and how near is near enough only options tell."""
_LOOSE: Mapping[Language, str] = {
    "en": r"\b(?:about|around|approx(?:imately)?|roughly|nearly|almost|over|under|above|below|at least|at most|up to|between"
    r"|(?:more|less|fewer|greater) than|or (?:more|less|fewer))\b",
    "zh": r"[约約]|大概|左右|以上|以下|不到|少[于於]|多[于於]|小[于於]|大[于於]|超[过過]|至少|至多|以[内內]",
    "ja": r"約|およそ|以上|以下|未満|超|より(?:多|少)|くらい|ぐらい|ほど|程度|前後",
    "de": r"\b(?:etwa|ungefähr|circa|ca|rund|fast|knapp|über|unter|(?:mehr|weniger) als|mindestens|höchstens|bis zu|zwischen|oder (?:mehr|weniger))\b",
    "fr": r"\b(?:environ|presque|(?:plus|moins) de|au (?:moins|plus)|entre|ou (?:plus|moins))\b|\bjusqu['’]|à peu près",
    "es": r"\b(?:un[oa]s|aproximadamente|casi|cerca de|alrededor de|(?:más|menos) de|al menos|como (?:máximo|mínimo)|entre|hasta|o (?:más|menos))\b",
    "pt": r"\b(?:uns|umas|aproximadamente|quase|cerca de|(?:mais|menos) de|pelo menos|no (?:máximo|mínimo)|entre|até|ou (?:mais|menos))\b",
    "hi": r"लगभग|क़?रीब|से (?:अधिक|कम|ज़?्यादा)|कम से कम|के बीच|तक",
    "ar": r"حوالي|تقريب|نحو|أكثر من|أقل من|على الأقل|على الأكثر|بين|أو (?:أكثر|أقل)",
}
"""Options that give a bound or about how much, beside a number."""
_QUANTITY: Mapping[Language, str] = {
    "en": r"\bhow (?:many|much)\b|\b(?:number|amount|percentage|share) of\b",
    "zh": r"多少|[几幾]",
    "ja": r"何(?:人|羽|個|本|枚|匹|頭|台|冊|回|つ|割|パーセント)|いくつ|いくら|数は",
    "de": r"\bwie ?viele?\b|\banzahl\b|\banteil\b",
    "fr": r"\bcombien\b|\bnombre d",
    "es": r"\bcuánt[oa]s?\b|\bnúmero de\b",
    "pt": r"\bquant[oa]s?\b|\bnúmero de\b",
    "hi": r"कितन|संख्या",
    "ar": r"كم|عدد",
}
_RANGE = re.compile(
    r"(?<![\d.,:/-])(\d+(?:[.,]\d+)?)\s?[^\W\d]{0,3}\s*(?:[-–—~〜～]|to|bis|à|a|al|से|إلى|[到至]|から)\s*(\d+(?:[.,]\d+)?)(?![\d.,:/-]*\d)"
)
_SIGN = re.compile(r"[~≈≤≥<>±]\s?\d|\d\s?\+(?!\s?\d)")
_HOW: Mapping[Language, str] = {
    "en": r"\bhow (?:far|near|close|big|large|small|tall|high|deep|wide|hot|cold|warm|fast|slow|heavy|old|strong|bright)\b",
    "zh": r"多(?:远|近|大|高|长|快|重|冷|热|久|深|宽)|有多",
    "ja": r"どのくらい|どれくらい|どれほど|どの程度",
    "de": r"\bwie (?:weit|nah|groß|klein|hoch|tief|breit|schnell|kalt|warm|heiß|schwer|oft|gut|alt|stark|wahrscheinlich)\b",
    "fr": r"à quelle (?:distance|fréquence|vitesse)|\bà quel point\b|quelle est la (?:taille|distance)",
    "es": r"a qué distancia|\bqué tan\b|\bcómo de\b|con qué frecuencia",
    "pt": r"a que distância|\bquão\b|com que frequência",
    "hi": r"कितन[ाीे] (?:दूर|पास|बड़|छोट|ऊँच|ऊंच|गहर|ठंड|गर्म|तेज़?|भारी)",
    "ar": r"ما مدى|كم يبعد|كم تبعد",
}
"""Stems that ask for a degree: without a number in the answer, it is a matter of opinion."""
_DEGREE: Mapping[Language, str] = {
    "en": r"\b(?:very|quite|rather|somewhat|slightly|extremely|moderately|fairly|a (?:little|lot|few)|often|rarely"
    r"|sometimes|always|usually|never)\b",
    "zh": r"很|非常|比较|极其|稍微?|略|有点|经常|偶尔|从不",
    "ja": r"とても|かなり|やや|少し|非常に|あまり|よく|時々|めったに",
    "de": r"\b(?:sehr|ziemlich|eher|etwas|extrem|viele|wenige|oft|selten|manchmal|immer|nie)\b",
    "fr": r"\b(?:très|assez|plutôt|trop|un peu|beaucoup|souvent|rarement|parfois|toujours|jamais)\b",
    "es": r"\b(?:muy|bastante|algo|un poco|demasiado|muchos|pocos|a menudo|rara vez|a veces|siempre|nunca)\b",
    "pt": r"\b(?:muito|bastante|um pouco|demasiado|muitos|poucos|frequentemente|raramente|às vezes|sempre|nunca)\b",
    "hi": r"बहुत|थोड़|काफ़?ी|अत्यधिक|अक्सर|कभी",
    "ar": r"جد[اًا]|قليل|كثير|غالب|نادر|أحيان|دائم",
}
"""Adverbs of degree and frequency: between near, far and very far the eye has no line."""
_SENTENCE: Mapping[Language, str] = {
    "en": r"^(?=(?:\S+\s+){2,}).*(?:\.$|\b(?:is|are|was|were|has|have|had|does|do|did|will|can|should|would|could|there|he|she|they|it)\b)",
    "zh": r"^(?=.{5}).*(?:是|有|在|了|着|没|不|会|能)",
    "ja": r"^(?=.{4}).*(?:る|た|だ|ない|です|ます|ません|でした)[。．]?$",
    "de": r"^(?=(?:\S+\s+)+).*(?:\.$|\b(?:ist|sind|war|waren|hat|haben|wird|werden|kann|können|es|er|sie)\b)|^(?:Der|Die|Das|Ein|Eine) \S+ [a-zäöü]+t\b",
    "fr": r"^(?=(?:\S+\s+)+).*(?:\.$|\b(?:est|sont|était|ont|peut|il|elle|ils|elles|c['’]est)\b)",
    "es": r"^(?=(?:\S+\s+)+).*(?:\.$|\b(?:es|son|está|están|hay|tiene|tienen|fue|ella|ellos)\b)",
    "pt": r"^(?=(?:\S+\s+)+).*(?:\.$|\b(?:é|são|está|estão|há|tem|têm|foi|ela|eles)\b)",
    "hi": r"\s.*(?:है|हैं|था|थी|थे|रहा|रही)[।.]?$",
    "ar": r"^(?:\S+\s+){3,}",
}
_NO_ANSWER = re.compile(
    r"\b(?:cannot|can ?not|can't|could not) be (?:determined|known|answered|told)\b|\bnot enough information\b"
    r"|\b(?:insufficient|no) (?:information|data)\b|\bimpossible to (?:tell|say|know)\b"
    r"|无法|不能确定|信息不足|判断できない|わからない|分からない|不明|特定できない|情報が(?:足り|不足)"
    r"|\bnicht (?:bestimm|erkenn|feststell|beantwort|zu )|\bnicht genügend|\bkeine angabe|\bunklar\b"
    r"|\b(?:impossible|pas possible)\b|\bne peut pas\b|pas assez d['’]information|\bindétermin"
    r"|\bno se puede|\bimposible\b|\bno hay (?:suficiente )?información|información insuficiente|\bindeterminad"
    r"|\bnão é possível|\bimpossível\b|informaç(?:ão|ões) insuficientes?|\bnão há informaç"
    r"|(?:निर्धारित|कहा|पता|ज्ञात) नहीं|जानकारी (?:नहीं|अपर्याप्त)|لا يمكن|غير (?:كاف|معروف|محدد)",
    re.IGNORECASE,
)
"""An option that says that there is no answer: right only as one of several."""
_PICTURE = re.compile(
    r"<\s*(?:image|img)[^>]*>|\[(?:image|img)[^\]]*\]|\S+\.(?:png|jpe?g|gif|webp|bmp|svg)"
    r"|(?:image|picture|figure|bild|imagen|imagem|图|図)\s?[0-9A-H]",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}|[\u0900-\u097f\u3041-\u30ff\u3400-\u9fff]")


def _compiled(patterns: Mapping[Language, str]) -> Mapping[Language, re.Pattern[str]]:
    return {language: re.compile(pattern, re.IGNORECASE) for language, pattern in patterns.items()}


_STEMS = (_compiled(_NEEDS), _compiled(_ABOUT))
_BOUNDS, _HOW_MANY = _compiled(_LOOSE), _compiled(_QUANTITY)
_DEGREE_STEMS = _compiled(_HOW)
_OPTIONS = (_compiled(_DEGREE), _compiled(_SENTENCE))


def stands_alone(stem: str, options: Sequence[str], right: str) -> bool:
    """Return whether a stem can be asked without its options, as far as words tell.

    Args:
        stem: without its options and without instructions.
        options: without labels.
        right: the one that is right.
    """
    if _NO_ANSWER.search(right) or any(_PICTURE.fullmatch(option.strip()) for option in options):
        return False
    if _WORD.search(stem) is None:
        return True
    language = language_of(stem)
    if language is None or any(pattern[language].search(stem) for pattern in _STEMS):
        return False
    counts = _HOW_MANY[language].search(stem) is not None
    if any(_is_loose(option, language, counts=counts) for option in options) or _are_ranges(options, counts=counts):
        return False
    if _DEGREE_STEMS[language].search(stem) and not any(map(str.isdecimal, right)):
        return False
    degree, sentence = (patterns[language] for patterns in _OPTIONS)
    return not any(map(degree.search, options)) and sentence.search(right) is None


def _is_loose(option: str, language: Language, *, counts: bool) -> bool:
    """Return whether an option gives a number with a bound, or says that it is about right."""
    bound = _BOUNDS[language]
    if _SIGN.search(option):
        return True
    if bound.search(option) is None:
        return False
    # "between two chairs" is a place, unless it is asked how many.
    return any(map(str.isdecimal, option)) or (counts and read_number(clean(bound.sub(" ", option))) is not None)


def _are_ranges(options: Sequence[str], *, counts: bool) -> bool:
    """Return whether options are ranges of a quantity: where one is asked for, or side by side without a gap."""
    found = [match for option in options if (match := _RANGE.search(option))]
    ends = sorted((float(match[1].replace(",", ".")), float(match[2].replace(",", "."))) for match in found)
    if not ends or any(low >= high for low, high in ends):
        return False
    beside = all(high <= low <= high + 1 for (_, high), (low, _) in pairwise(ends))
    return counts or (len(ends) > 1 and beside)


_LETTERED = r"(?<![A-Za-zÀ-ÿ'])\(?[A-H]\)?\s*(?:,|&|、|und|oder|et|ou|y|o|e|和|与|跟|或|と|や|और|या|و|أو)\s*\(?[A-H]\)?(?![A-Za-zÀ-ÿ'])"
_ABOUT_OPTIONS: Mapping[Language, str] = {
    "zh": r"以上|上述|都不?[对是]|均不?[正是]|^全部|皆",
    "ja": r"上記|いずれも|どれも|^(?:すべて|全て|両方|どちらも)",
    "de": r"\b(?:alle|keine[rs]?|beide|nichts)\b.*\b(?:oben|genannt\w*|davon|diese[rn]?|vorherigen|antworten|optionen)\b|^(?:beides?|keine[rs]?|alle|weder noch)\W*$",
    "fr": r"\b(?:toutes?|tous|aucune?|les deux)\b.*\b(?:réponses?|ces|options?|propositions?|choix|précédente?s?)\b|ci-dessus|^(?:aucune?|les deux|toutes|tous|ni l['’]un ni l['’]autre)\W*$",
    "es": r"\b(?:tod[oa]s|ningun[oa]|amb[oa]s)\b.*\b(?:anteriores|opciones|respuestas|est[oa]s)\b|^(?:ningun[oa]|amb[oa]s|tod[oa]s|ninguno de los dos)\W*$",
    "pt": r"\b(?:tod[oa]s|nenhuma?|amb[oa]s)\b.*\b(?:anteriores|acima|alternativas|opções|respostas|dest[ae]s)\b|^(?:nenhuma?|amb[oa]s|tod[oa]s)\W*$",
    "hi": r"उपरोक्त|उपर्युक्त|इनमें से|^(?:सभी|दोनों|कोई (?:भी )?नहीं)",
    "ar": r"(?:جميع|كل) ما|ما سبق|مما سبق|أعلاه|^(?:كلاهما|لا شيء|جميعها)",
}
_ABOUT_OTHERS = re.compile("|".join(chain((_LETTERED,), _ABOUT_OPTIONS.values())), re.IGNORECASE)
_PLACES = re.compile(
    r"(?:第[一二三四五六1-6]|最后一?|最後一?)[个項项]?(?:选项|答案)|(?:最初|最後|[1-6一二三四五六]番目)の(?:選択肢|答え)"
    r"|\b(?:erste|zweite|dritte|vierte|letzte)[nrs]? (?:option|antwort)|\b(?:première|deuxième|troisième|quatrième|dernière) (?:option|réponse|proposition)"
    r"|\b(?:primera|segunda|tercera|cuarta|última) (?:opción|respuesta)|\b(?:primeira|segunda|terceira|quarta|última) (?:opção|resposta|alternativa)"
    r"|(?:पहला|पहले|दूसरा|दूसरे|तीसरा|चौथा|आख़?िरी|अंतिम) (?:विकल्प|उत्तर)|الخيار (?:الأول|الثاني|الثالث|الرابع|الأخير)",
    re.IGNORECASE,
)


def about_others(option: str) -> bool:
    """Return whether an option speaks of others, in a language other than English: by place, letter or as all or none."""
    return _ABOUT_OTHERS.search(option) is not None


def names_place(stem: str) -> bool:
    """Return whether a stem names an option by its place, in a language other than English."""
    return _PLACES.search(stem) is not None
