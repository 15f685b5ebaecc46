"""The words with which each language asks who is shown in a picture, and those that make it another question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from filters.languages import Language


class Forms(NamedTuple):
    """What a language asks for a person with; of lower-case text, quotes and spaces plain."""

    pointed: re.Pattern[str]
    """Asks for a person all by itself: "who is this", "what is her name", "where was he born"."""
    asking: re.Pattern[str]
    """Asks who, for a name, or for a fact of a life."""
    person: re.Pattern[str]
    """Calls somebody who is not named."""
    shown: re.Pattern[str]
    """Says that somebody is in the picture: this person, in the photo, on the left, wearing."""
    other: re.Pattern[str]
    """Makes it another question: makers, owners, winners, texts, fiction, art."""


# Letters of Hindi carry marks that are no letters to `re`, so that a word ends at white space or punctuation.
_BEGIN, _FINISH = r"(?<![^\s\"'(¿¡,.?!:;-])", r"(?![^\s\"'),.?!:;।؟،-])"
_START = r"(?:^|[.?!:;,¿(\"]\s?)"
"""Of a question; elsewhere a word that asks may be one that tells: "the man who is sitting"."""


def _spaced(*, pointed: str, asking: str, person: str, shown: str, other: str) -> Forms:
    """Compile expressions whose words stand by themselves; PERSON in them is what a person is called."""
    fields = (pointed, asking, person, shown, other)
    return Forms(*(_word(field.replace("PERSON", f"(?:{person})")) for field in fields))


def _word(expression: str) -> re.Pattern[str]:
    return re.compile(f"{_BEGIN}(?:{expression}){_FINISH}")


def _unspaced(*, pointed: str, asking: str, person: str, shown: str, other: str) -> Forms:
    return Forms(
        *(re.compile(one.replace("PERSON", f"(?:{person})")) for one in (pointed, asking, person, shown, other))
    )


FORMS: Mapping[Language, Forms] = {
    "en": _spaced(
        pointed=r"who(?:'s| is| are| was| were) (?:(?:this|that|these|those|it)(?= ?(?:$|[?.!,])| (?:in|on|at|from"
        r"|shown|pictured|depicted|here) )|he|she|they|(?:(?:shown|pictured|depicted|seen) )?(?:in"
        r"|on) (?:the|this)(?: \w+)? (?:left|right|middle|picture|image|photo|photograph)|(?:shown"
        r"|pictured|depicted|seen)(?= ?(?:$|[?.!,])| here| above)|the (?:man|woman|person|people|boy|girl"
        r"|guy|lady|gentleman|individual)(?= ?(?:$|[?.!])))|what(?:'s| is| are) (?:his|her"
        r"|their)(?: (?:full|first|last|real))? names?|(?:was|were|did) (?:he|she|they) (?:born|die|marry"
        r"|grow up)|(?:know|say|tell me|identify|guess) who (?:this|that|he|she|they|it) (?:is|are|was)"
        r"|which (?:\w+ )?PERSON (?:is|are|was) (?:this|that|he|she|shown|pictured|depicted|here)"
        r"|what (?:is|are) (?:this|the) PERSON (?:in the \w+ )?called",
        asking=rf"{_START}(?:who|whom)|(?:tell me|know|say|and|determine) who|(?:full |real |first "
        r"|last )?names? of|\w+'s (?:full |real |first |last )?name|name (?:the|this|that|these|those)"
        r"|named|identify|identity|recogni[sz]e|born|birthday|birthplace|(?:date|place) of birth"
        r"|birth date|nationality|spouse|wife|husband|married|real name|net worth|died|hometown|alma mater"
        r"|college|university|which (?:\w+ )?PERSON (?:is|are|was)",
        person=r"persons?|people|individuals?|m[ae]n|wom[ae]n|boys?|girls?|guys?|lad(?:y|ies)|gentlem[ae]n"
        r"|child(?:ren)?|kids?|bab(?:y|ies)|actors?|actress(?:es)?|players?|athletes?|singers?|musicians?"
        r"|politicians?|celebrit(?:y|ies)|footballers?|(?:man|woman|person|actor|actress|player|singer"
        r"|lady|boy|girl)'s",
        shown=r"(?:this|that|these|those) (?:\w+ ){0,2}PERSON|pictures?|images?|photos?|photographs?|scene"
        r"|selfie|portrait|shown|pictured|depicted|portrayed|seen|here|(?:on|to|in"
        r"|at) the (?:far )?(?:left|right|middle|cent(?:er|re)|front|back|foreground|background)|wearing"
        r"|holding|standing|sitting|seated|with (?:the|a|an|\w+) \w+|in (?:the |a )?(?:red|blue|green"
        r"|white|black|yellow|suit|dress)",
        other=r"tables?|charts?|graphs?|plots?|diagrams?|documents?|letters?|memos?|forms?|page|text|caption"
        r"|lists?|schedule|articles?|reports?|invoice|receipt|ticket|badge|name ?tag|jersey|label|sign"
        r"|scoreboard|poster|according to|mentioned|written|says|listed|sign(?:ed|ature)|author\w*|wrote"
        r"|writer|paint(?:ed|er|s|ings?)|drew|drawn|artists?|sculpt\w*|design\w*|architects?|built|build"
        r"|direct(?:ed|or|s)|produc\w*|compos\w*|found(?:ed|er)|invent\w*|discover\w*|creat\w*|made|makes"
        r"|manufactur\w*|publish\w*|own(?:s|ed|er)|won|winner|scored|brand|compan(?:y|ies)|logo|flag"
        r"|characters?|cartoon|anime|superhero(?:es)?|mascot|statues?|monument|bust|memorial|tomb|mural"
        r"|fresco|coin|banknote|stamp|named after|sent|addressed|photographer|took|god|goddess|deity"
        r"|of (?:this|the) (?:country|city|team|state)",
    ),
    "de": _spaced(
        pointed=r"wer (?:ist|sind|war|waren) (?:(?:das|dies|es)(?= ?(?:$|[?.!,])| (?:auf|im|in|links|rechts"
        r"|hier) )|er|sie|(?:hier )?(?:auf|in) (?:dem|diesem) (?:bild|foto)|(?:links|rechts|hier)"
        r"|(?:der mann|die frau|die person|der junge|das mädchen)(?= ?(?:$|[?.!])))|wie (?:heißt|heisst"
        r"|heißen) (?:er|sie)(?= ?(?:$|[?.!,]))|(?:wurde|ist) (?:er|sie) (?:geboren|gestorben)|(?:sein"
        r"|ihr) name|welche[rsn]? PERSON (?:ist|sind|war) (?:das|dies|hier)|um welche person",
        asking=r"wer|wen|wem|heißt|heißen|heisst|namen?|nenne|benenne|identifizier\w*|erkenn\w*|geboren"
        r"|geburts\w+|staatsangehörigkeit|nationalität|ehefrau|ehemann|verheiratet|gestorben",
        person=r"person(?:en)?|m[aä]nn(?:er)?|mannes|frau(?:en)?|jungen?|mädchen|kind(?:er)?|leute|dame|herr"
        r"|schauspieler(?:s|in)?|spieler(?:s|in)?|sänger(?:s|in)?|politiker(?:s|in)?|sportler(?:s|in)?"
        r"|prominente[rn]?",
        shown=r"(?:diese[rsnm]?|jene[rsnm]?) (?:\w+ ){0,2}PERSON|bild(?:es)?|fotos?|aufnahme|abgebildet\w*"
        r"|gezeigt\w*|dargestellt\w*|zu sehen|hier|links|rechts|mitte|vorne|hinten|vordergrund|hintergrund"
        r"|trägt|hält|steht|sitzt|mit (?:dem|der|einer?m?) \w+",
        other=r"\w*tabelle|\w*diagramm\w*|grafik|text|dokument\w*|brief\w*|formular|seite|liste|schild|trikot"
        r"|plakat|laut|gemäß|erwähnt\w*|geschrieben|steht geschrieben|autor\w*|schrieb|verfass\w*|mal(?:te"
        r"|er|erin)|gemalt|gemälde\w*|künstler\w*|zeichne\w*|gezeichnet|bildhauer\w*|entw[aou]rf\w*"
        r"|entworfen|architekt\w*|gebaut|baute|regi\w*|produz\w*|komponi\w*|gegründet|gründ\w*"
        r"|erf[aiu]nd\w*|entdeck\w*|hergestellt|herstell\w*|gehört|besitz\w*|eigentümer\w*|gewann|gewonnen"
        r"|sieger\w*|marke|firma|unternehmen\w*|logo|flagge|figur|charakter|comic\w*|held\w*|maskottchen"
        r"|statue|denkmal\w*|büste|münze|briefmarke|benannt|absender|empfänger|fotografier\w*|gott|göttin",
    ),
    "fr": _spaced(
        pointed=r"(?:qui est|qui sont|qui était)(?:-ce)?(?: (?:sur|dans) (?:la|cette|l')\s?(?:photo"
        r"|image))?(?= ?(?:$|[?.!,]))|qui est-(?:il|elle)|(?:c'est|est) qui|qui (?:voit-on"
        r"|est représentée?|apparaît|figure)|comment (?:s'appelle-t-(?:il|elle)|(?:il|elle) s'appelle)"
        r"|quel est son (?:nom|prénom)|(?:est|sont)-(?:il|elle)s? née?s?|(?:il|elle) est née?"
        r"|quel(?:le)?s? PERSON (?:est-ce|voit-on|apparaît|est (?:représentée?|montrée?))",
        asking=rf"{_START}qui|noms?|prénom|nomme[rz]?|s'appellent?|appelle|identifi\w+|reconna\w+|née?s?|naissance"
        r"|nationalité|épouse|mari|mariée?|mort|quel(?:le)? (?:est )?(?:cet|cette|ce)",
        person=r"personnes?|hommes?|femmes?|garçons?|filles?|enfants?|gens|dame|monsieur|acteurs?|actrices?"
        r"|joueu(?:r|se)s?|chanteu(?:r|se)s?|politiciens?|politiciennes?|athlètes?|célébrités?|sportifs?",
        shown=r"(?:cet|cette|ce|ces) (?:\w+ ){0,2}PERSON|photos?|photographie|images?|montrée?s?|représentée?s?"
        r"|ici|à gauche|à droite|au (?:centre|milieu|fond|premier plan)|porte|portant|tient|tenant|assise?"
        r"|debout|avec (?:le|la|un|une) \w+",
        other=r"tableaux?|graphique\w*|diagramme|texte|documents?|lettre|formulaire|page|légende|liste|panneau"
        r"|maillot|affiche|selon|d'après|mentionnée?s?|écrit\w*|auteur\w*|autrice|peint\w*|peinture"
        r"|artiste\w*|dessin\w*|sculpt\w*|conçu\w*|architecte\w*|construi\w*|bâti\w*|réalis\w*|produ\w*"
        r"|compos\w*|fond\w*|invent\w*|découv\w*|cré\w*|fabriqu\w*|appartient|propriétaire|possède|gagn\w*"
        r"|vainqueur|remport\w*|marque|entreprise|logo|drapeau|personnage|dessin animé|héros|mascotte"
        r"|statue|monument|buste|pièce de monnaie|timbre|expéditeur|destinataire|photographe|dieu|déesse",
    ),
    "es": _spaced(
        pointed=r"quién(?:es)? (?:es|son|era|eran)(?: (?:él|ella|est[eao]s?))?(?= ?(?:$|[?.!,])| (?:en|de) (?:la"
        r"|esta) (?:foto|imagen))|quién(?:es)? (?:aparecen?|sale|está) en (?:la|esta) (?:foto|imagen"
        r"|fotografía)|cómo se llaman?(?= ?(?:$|[?.!,]))|cuál es su (?:nombre|apellido)|(?:dónde"
        r"|cuándo) nació(?= ?(?:$|[?.!,]))|qué PERSON (?:es|aparece|sale)",
        asking=r"quién(?:es)?|nombres?|nombra|llaman?|identifi\w+|reconoce\w*|nació|nacimiento|nacionalidad"
        r"|esposa|esposo|marido|casad[oa]|murió|qué (?=PERSON)",
        person=r"personas?|hombres?|mujer(?:es)?|chic[oa]s?|niñ[oa]s?|gente|señora?|actor(?:es)?|actriz|actrices"
        r"|jugador(?:a|es)?|cantantes?|polític[oa]|atletas?|famos[oa]|deportistas?|futbolistas?",
        shown=r"(?:este|esta|estos|estas|ese|esa) (?:\w+ ){0,2}PERSON|fotos?|fotografía|imagen|imágenes"
        r"|mostrad[oa]s?|aquí|a la (?:izquierda|derecha)|de la (?:izquierda|derecha)|en el (?:centro|medio"
        r"|fondo)|lleva|sostiene|sentad[oa]|de pie|con (?:el|la|un|una) \w+",
        other=r"tabla|gráfic[oa]s?|diagrama|texto|documento|carta|formulario|página|leyenda|lista|letrero|cartel"
        r"|camiseta|según|mencionad[oa]s?|escri\w+|autor\w*|pint\w+|artista\w*|dibuj\w+|escul\w+|diseñ\w+"
        r"|arquitect\w+|constru\w+|dirig\w+|director\w*|produ\w+|compus\w*|compos\w+|fund\w+|invent\w+"
        r"|descubri\w+|cre[oóa]\w*|fabric\w+|pertenece|dueñ[oa]|propietari[oa]|ganó|ganador\w*|marca"
        r"|empresa|logo\w*|bandera|personaje|caricatura|héroe|superhéroe|mascota|estatua|monumento|busto"
        r"|moneda|sello|remitente|destinatario|fotógraf[oa]|dios|diosa",
    ),
    "pt": _spaced(
        pointed=r"quem (?:é|são|era|eram)(?: (?:ele|ela|est[ea]s?|ess[ea]s?|isto))?(?= ?(?:$|[?.!,])| (?:na|nesta"
        r"|da) (?:foto|imagem))|quem (?:aparece|está) (?:na|nesta) (?:foto|imagem|fotografia)|como (?:ele "
        r"|ela )?se chamam?(?= ?(?:$|[?.!,]))|qual (?:é )?o (?:seu nome|nome (?:dele|dela))|(?:onde"
        r"|quando) (?:ele |ela )?nasceu(?= ?(?:$|[?.!,]))",
        asking=r"quem|nomes?|nomeie|chamam?|identifi\w+|reconhe\w+|nasceu|nascimento|nacionalidade|esposa|marido"
        r"|casad[oa]|morreu|qual PERSON",
        person=r"pessoas?|homem|homens|mulher(?:es)?|rapaz|meninos?|meninas?|crianças?|gente|senhora?|ator(?:es)?"
        r"|atriz|atrizes|jogador(?:a|es)?|cantor(?:a|es)?|polític[oa]|atletas?|famos[oa]|celebridades?",
        shown=r"(?:este|esta|estes|estas|esse|essa|desta|deste|dessa|desse) (?:\w+ ){0,2}PERSON|fotos?"
        r"|fotografia|imagem|imagens|mostrad[oa]s?|aqui|à (?:esquerda|direita)|da (?:esquerda|direita)"
        r"|no (?:centro|meio|fundo)|usando|veste|segura\w*|sentad[oa]|em pé|com (?:o|a|um|uma) \w+",
        other=r"tabela|gráficos?|diagrama|texto|documento|carta|formulário|página|legenda|lista|placa|cartaz"
        r"|camisa|segundo|de acordo|mencionad[oa]s?|escr[ei]\w+|autor\w*|pint\w+|artista\w*|desenh\w+"
        r"|escul\w+|projet\w+|arquitet\w+|constru\w+|dirigi\w+|diretor\w*|produ\w+|comp[oô]s\w*|fund\w+"
        r"|invent\w+|descobri\w+|cri(?:ou|ador\w*)|fabric\w+|pertence|don[oa]|proprietári[oa]|ganhou"
        r"|venceu|vencedor\w*|marca|empresa|logo\w*|bandeira|personagem|desenho|herói|mascote|estátua"
        r"|monumento|busto|moeda|selo|remetente|destinatário|fotógraf[oa]|deus|deusa",
    ),
    "hi": _spaced(
        pointed=r"(?:यह|ये|वह|वे) (?:व्यक्ति |आदमी |औरत |महिला )?(?:कौन|कौन कौन) (?:है|हैं|था|थी|थे)|(?:तस्वीर"
        r"|चित्र|फोटो|फ़ोटो|छवि) में (?:दिख रहा |दिख रही )?(?:यह )?(?:कौन) (?:है|हैं)|(?:इसका|इनका|उसका"
        r"|उनका) नाम(?: क्या)?",
        asking=r"कौन|किस|नाम|पहचान\w*|पहचानें|पहचानिए|जन्म|राष्ट्रीयता|पत्नी|पति|विवाह|मृत्यु",
        person=r"व्यक्ति|लोग|आदमी|पुरुष|महिला|औरत|लड़का|लड़की|लड़के|बच्चा|बच्चे|अभिनेता|अभिनेत्री|खिलाड़ी|गायक"
        r"|गायिका|राजनेता|नेता|हस्ती",
        shown=r"(?:इस|यह|ये|इन|उस) (?:\S+ ){0,2}PERSON|तस्वीर|चित्र|फोटो|फ़ोटो|छवि|दिखाए|दिखाया|दिखाई|दिख|बाईं"
        r"|बाएं|दाईं|दाएं|बीच|पहने|पकड़े|बैठा|बैठी|खड़ा|खड़ी",
        other=r"तालिका|चार्ट|ग्राफ|ग्राफ़|आरेख|पाठ|दस्तावेज़|दस्तावेज|पत्र|पृष्ठ|सूची|बोर्ड|पोस्टर|अनुसार|लिखा"
        r"|लिखी|लेखक|लेखिका|चित्रकार|बनाया|बनाई|बनाने|मूर्तिकार|डिज़ाइन|डिजाइन|वास्तुकार|निर्माता|निर्देशक"
        r"|निर्देशित|स्थापित|संस्थापक|आविष्कार|आविष्कारक|खोज|मालिक|जीता|जीती|विजेता|ब्रांड|कंपनी|लोगो|झंडा"
        r"|ध्वज|पात्र|कार्टून|मूर्ति|प्रतिमा|स्मारक|सिक्का|टिकट|देवता|देवी|भगवान",
    ),
    "ar": _spaced(
        pointed=r"من (?:هو|هي|هم|هذا|هذه|هؤلاء)(?= ?(?:$|[?.!؟])| (?:في|على) (?:هذه )?(?:ال)?صورة)|من (?:في"
        r"|يظهر في|الموجود في) (?:هذه )?(?:ال)?صورة|ما (?:هو )?(?:اسمه|اسمها|اسمهم)|(?:أين|متى) (?:ولد"
        r"|ولدت)(?= ?(?:$|[?.!؟]))",
        asking=r"من (?:هو|هي|هم|هذا|هذه|هؤلاء|يكون|تكون|PERSON)|اسم|أسماء|يسمى|تسمى|تعرف على|حدد هوية|هوية|ولد"
        r"|ولدت|ميلاد|جنسية|زوجة|زوج|توفي",
        person=r"(?:[وفبكل]?ال|لل)?(?:شخص|أشخاص|رجل|رجال|امرأة|مرأة|نساء|ولد|فتاة|طفل|أطفال|سيدة|ممثل|ممثلة|لاعب"
        r"|لاعبة|مغني|مغنية|سياسي|سياسية|رياضي|رياضية|مشهور|مشهورة|ناس)",
        shown=r"(?:هذا|هذه|هؤلاء|ذلك|تلك) PERSON|(?:[وفبكل]?ال)?صورة|(?:ال)?ظاهرة?|يظهر|تظهر|هنا|(?:على"
        r"|إلى) (?:ال)?(?:يسار|يمين)|(?:ال)?(?:وسط|خلفية)|يرتدي|ترتدي|يحمل|تحمل|(?:ال)?جالسة?"
        r"|(?:ال)?واقفة?",
        other=r"(?:[وفبكل]?ال|لل)?(?:جدول|مخطط|رسم|رسم البياني|نص|وثيقة|مستند|رسالة|صفحة|قائمة|لافتة|ملصق|قميص"
        r"|مؤلف|كاتب|رسام|فنان|لوحة|نحات|مصمم|مهندس|مخرج|منتج|ملحن|مؤسس|مخترع|مكتشف|صانع|مالك|صاحب|فائز"
        r"|علامة|شركة|شعار|علم|شخصية|كرتونية|تمثال|نصب|عملة|طابع|مرسل|مصور|إله|إلهة)|وفقا|وفقًا|حسب|بحسب"
        r"|كتب|كتبت|رسم|رسمت|صمم|صممت|بنى|أخرج|أخرجت|أسس|اخترع|اكتشف|صنع|يملك|فاز|فازت",
    ),
    "zh": _unspaced(
        pointed=r"(?:这|那|他|她|这位|那位|这个|图中|图里|图片中|图片里|照片中|照片里|画面中|图上|照片上|左边|右边"
        r"|中间)(?:的)?(?:他|她|人)?(?:们)?(?:都)?(?:是|叫)(?:谁|哪位|什么名字)|谁(?:在|是)(?:这张)?(?:图"
        r"|照片)|(?:他|她)(?:们)?(?:的名字|叫什么|是哪年出生|出生|在哪里出生)|(?:图|照片"
        r"|画面)[片中里上]*(?:的)?(?:人物)?是谁",
        asking=r"谁|哪位|名字|姓名|叫什么|识别|辨认|认出|出生|国籍|妻子|丈夫|结婚|去世|身份",
        person=r"人物|男人|女人|男子|女子|男士|女士|男孩|女孩|孩子|演员|明星|名人|球员|运动员|歌手|政治家|政客"
        r"|艺人|这人|那人|[个位名的]人",
        shown=r"[这那此该](?:个|位|名|张|些)?(?:\S{0,6})PERSON|图|照片|相片|画面|左边|右边|左侧|右侧|中间|穿|戴"
        r"|拿着|站|坐",
        other=r"表格|图表|表中|柱状图|折线图|饼图|示意图|文档|文件|信件|信中|文字|标题|列表|名单|牌子|海报|根据"
        r"|提到|写|作者|画的|画家|绘|作品|艺术家|雕|设计|建筑师|建造|导演|制片|作曲|创始|创办|创立|发明"
        r"|发现|创作|制造|生产|拥有|主人|赢|冠军|获胜|得分|品牌|公司|标志|国旗|角色|卡通|动漫|动画"
        r"|超级英雄|吉祥物|雕像|塑像|纪念碑|硬币|纸币|邮票|以谁|命名|寄件|收件|摄影师|拍摄|神",
    ),
    "ja": _unspaced(
        pointed=r"(?:これ|この人|こちら|彼|彼女|あの人|その人|この方|写っているの|映っているの)(?:たち)?は(?:誰"
        r"|だれ|どなた)|(?:写真|画像|図)[のにで]?(?:中)?[のに]?(?:写っている|映っている|いる)?(?:人物|人"
        r"|方)?は(?:誰|だれ|どなた)|(?:彼|彼女|この人)の(?:名前|本名|出身|生年月日)|誰が(?:写って|映って)",
        asking=r"誰|だれ|どなた|名前|氏名|何という|なんという|特定し|見分け|生まれ|出身|国籍|妻|夫|結婚|生年月日"
        r"|亡く",
        person=r"人物|人々|男性|女性|男の人|女の人|男の子|女の子|少年|少女|子供|子ども|俳優|女優|選手|歌手|政治家"
        r"|有名人|芸能人|タレント|[のいるた]人|方は",
        shown=r"(?:この|その|あの)(?:\S{0,6})PERSON|写真|画像|図の|写って|映って|左|右|中央|真ん中|着て|着た"
        r"|持って|立って|座って|かぶって",
        other=r"表に|表の|表で|表から|グラフ|チャート|図表|文書|書類|手紙|文章|テキスト|見出し|リスト|名簿|看板"
        r"|標識|ポスター|によると|によれば|書いた|書かれ|著者|作者|描いた|画家|絵画|作品|芸術家|彫刻|設計"
        r"|デザイン|建築家|建てた|監督|製作|作曲|創業|創立|創設|設立|発明|発見|作った|製造|所有|持ち主"
        r"|優勝|勝った|勝者|ブランド|会社|企業|ロゴ|国旗|キャラクター|アニメ|漫画|ヒーロー|マスコット|像"
        r"|記念碑|硬貨|紙幣|切手|差出人|宛先|撮影|神",
    ),
}
"""`図の` counts as a picture and `図表` as a text that is read; in Chinese `图` and `图表` likewise."""
