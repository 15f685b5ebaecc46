"""Units of measurement: one name for each, and the factors between those of one dimension."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

# Factor to the first unit of each dimension. Temperatures are no multiples of each other and convert to nothing.
# Sources: the SI brochure (9th edition) and NIST SP 811, appendix B, for the units outside of the SI.
_DIMENSIONS: tuple[dict[str, Fraction], ...] = tuple(
    {name: Fraction(factor) for name, _, factor in (entry.partition("=") for entry in dimension.split())}
    for dimension in (
        # length, in metres; mass, in kilograms
        "m=1 km=1000 dm=0.1 cm=0.01 mm=0.001 µm=1e-6 nm=1e-9 in=0.0254 ft=0.3048 yd=0.9144 mi=1609.344 nmi=1852",
        "kg=1 g=0.001 mg=1e-6 µg=1e-9 t=1000 lb=0.45359237 oz=0.028349523125",
        # time, in seconds; in months, which have no fixed length in days
        "s=1 ms=0.001 µs=1e-6 min=60 h=3600 d=86400 week=604800",
        "month=1 year=12 decade=120 century=1200",
        # volume, in litres; area, in square metres; a speed is read in its two parts
        "l=1 dl=0.1 cl=0.01 ml=0.001 m3=1000 dm3=1 cm3=0.001",
        "m2=1 km2=1e6 cm2=1e-4 mm2=1e-6 ha=1e4 ft2=0.09290304 mi2=2589988.110336 acre=4046.8564224",
        # power, energy, voltage, current, frequency, force, pressure
        "w=1 mw=0.001 kw=1000 megawatt=1e6 gw=1e9",
        "j=1 kj=1000 mj=1e6 millijoule=0.001 wh=3600 kwh=3.6e6 cal=4.184 kcal=4184",
        "v=1 kv=1000 mv=0.001 megavolt=1e6",
        "a=1 ma=0.001 megaampere=1e6",
        "hz=1 khz=1000 mhz=1e6 ghz=1e9 millihertz=0.001",
        "n=1 kn=1000 meganewton=1e6",
        "pa=1 hpa=100 kpa=1000 megapascal=1e6 millipascal=0.001 bar=1e5 mbar=100 psi=6894.757293168",
        # data, in bytes
        "byte=1 kb=1000 mb=1e6 gb=1e9 tb=1e12 bit=0.125 kbit=125 mbit=125000 gbit=1.25e8",
        "%=1 ‰=0.1 basis_point=0.01",
        "times=1 x=1",
        "$=1 cent=0.01",
        "€=1 cent=0.01",
        "£=1 penny=0.01",
        # each comparable with itself alone
        *(f"{name}=1" for name in ("°", "rad", "°c", "°f", "k", "db", "ohm", "mol", "lm", "lx", "point")),
    )
)
_ALIASES = {
    alias: name
    for name, aliases in {
        "m": "meter meters metre metres",
        "km": "kilometer kilometers kilometre kilometres kms",
        "cm": "centimeter centimeters centimetre centimetres",
        "mm": "millimeter millimeters millimetre millimetres",
        "in": "inch inches",
        "ft": "foot feet",
        "yd": "yard yards",
        "mi": "mile miles",
        "kg": "kilogram kilograms kgs kilo kilos",
        "g": "gram grams gm gms",
        "mg": "milligram milligrams",
        "t": "ton tons tonne tonnes",
        "lb": "lbs pound pounds",
        "oz": "ounce ounces",
        "nmi": "nautical_mile nautical_miles",
        "µm": "um micron microns micrometer micrometers micrometre micrometres",
        "nm": "nanometer nanometers nanometre nanometres",
        "µg": "ug microgram micrograms",
        "week": "weeks wk wks",
        "month": "months",
        "year": "years yr yrs",
        "decade": "decades",
        "century": "centuries",
        "acre": "acres",
        "w": "watt watts",
        "kw": "kilowatt kilowatts",
        "megawatt": "megawatts",
        "gw": "gigawatt gigawatts",
        "j": "joule joules",
        "kj": "kilojoule kilojoules",
        "cal": "calorie calories",
        "kcal": "kilocalorie kilocalories",
        "kwh": "kilowatt_hour kilowatt_hours",
        "v": "volt volts",
        "kv": "kilovolt kilovolts",
        "a": "amp amps ampere amperes",
        "hz": "hertz",
        "khz": "kilohertz",
        "mhz": "megahertz",
        "ghz": "gigahertz",
        "n": "newton newtons",
        "pa": "pascal pascals",
        "kpa": "kilopascal kilopascals",
        "byte": "bytes",
        "kb": "kilobyte kilobytes",
        "mb": "megabyte megabytes",
        "gb": "gigabyte gigabytes",
        "tb": "terabyte terabytes",
        "bit": "bits",
        "kbit": "kilobit kilobits kbps",
        "mbit": "megabit megabits mbps",
        "gbit": "gigabit gigabits gbps",
        "rad": "radian radians",
        "db": "decibel decibels",
        "k": "kelvin kelvins",
        "ohm": "ohms ω",
        "cent": "cents ¢",
        "s": "sec secs second seconds",
        "min": "mins minute minutes",
        "h": "hr hrs hour hours",
        "d": "day days",
        "ms": "millisecond milliseconds",
        "l": "liter liters litre litres",
        "ml": "milliliter milliliters millilitre millilitres",
        "cl": "centiliter centiliters",
        "ha": "hectare hectares",
        "km/h": "kph kmh kmph",
        "mi/h": "mph",
        "nmi/h": "knot knots kt kts",
        "%": "percent percentage pct prozent pourcent pour_cent por_ciento por_cento"
        " بالمئة بالمائة في_المئة في_المائة प्रतिशत パーセント",
        "‰": "permille",
        "basis_point": "basis_points bps",
        "point": "percentage_point percentage_points percent_points pp ppt prozentpunkte",
        "°": "degree degrees deg grad degré degrés grado grados grau graus 度",
        "°c": "celsius c degrees_celsius degree_celsius degrees_c deg_c centigrade degrees_centigrade",
        "°f": "fahrenheit f degrees_fahrenheit degree_fahrenheit degrees_f deg_f",
        "times": "fold",
    }.items()
    for alias in aliases.split(" ")
}
# Names of the most frequent units in the other supported languages.
_ALIASES |= {
    alias: name
    for name, aliases in {
        "m": "mètre mètres metro metros 米 メートル मीटर",
        "km": "kilomètre kilomètres kilómetro kilómetros quilómetro quilómetros quilômetro quilômetros"
        " 公里 千米 キロメートル किलोमीटर",
        "cm": "zentimeter centimètre centimètres centímetro centímetros 厘米 公分 センチメートル सेंटीमीटर",
        "mm": "millimètre millimètres milímetro milímetros 毫米 मिलीमीटर",
        "kg": "kilogramm kilogramme kilogrammes kilogramo kilogramos quilograma quilogramas"
        " 公斤 千克 キログラム किलोग्राम",
        "g": "gramm gramme grammes gramo gramos grama gramas 克 グラム ग्राम",
        "t": "tonnen tonelada toneladas 吨 噸 トン टन",
        "l": "litro litros 升 リットル लीटर",
        "s": "sekunde sekunden seconde secondes segundo segundos 秒 秒钟 सेकंड",
        "min": "minuten minuto minutos 分钟 分鐘 मिनट",
        "h": "stunde stunden heure heures hora horas 小时 小時 時間 घंटा घंटे",
        "d": "tag tage tagen jour jours día días dia dias 天 日間 दिन",
        "week": "woche wochen semaine semaines semana semanas 周 週間",
        "month": "monat monate monaten mois mes meses mês 个月 個月 か月 ヶ月 महीने",
        "year": "jahr jahre jahren an ans année années año años ano anos 年 साल वर्ष",
    }.items()
    for alias in aliases.split(" ")
}

# Signs, codes (ISO 4217) and names of currencies. A sign that several use stands for itself: "$" is the dollar that is
# named beside it or none, "¥" is the yen or the yuan, "kr" any crown.
_CURRENCIES = {
    "$": "us$ usd dollar dollars dólar dólares डॉलर 美元 ドル",
    "€": "eur euro euros यूरो 欧元 ユーロ",
    "£": "gbp 英镑 ポンド",
    "¥": "¥",
    "yen": "jpy 円 日元 jp¥ yens येन",
    "yuan": "cny rmb cn¥ 元 人民币 块 renminbi",
    "₹": "inr rs rupee rupees रुपये रुपए रुपया रु 卢比",
    "₩": "krw won 韩元",
    "₽": "rub ruble rubles rouble roubles",
    "chf": "franken fr",
    "kr": "kr",
    "sek": "sek",
    "nok": "nok",
    "dkk": "dkk",
    "r$": "brl real reais",
    "a$": "aud au$",
    "c$": "cad ca$",
    "hk$": "hkd",
    "s$": "sgd",
    "nz$": "nzd",
    "nt$": "twd",
    "mx$": "mxn",
    "peso": "pesos",
    "₱": "php",
    "₺": "try lira liras",
    "₴": "uah",
    "₫": "vnd",
    "฿": "thb baht",
    "₪": "ils nis shekel shekels",
    "₦": "ngn naira",
    "zł": "pln zloty złoty",
    "kč": "czk",
    "huf": "huf forint",
    "zar": "zar rand",
    "₿": "btc bitcoin bitcoins",
}
_ALIASES |= {alias: name for name, aliases in _CURRENCIES.items() for alias in aliases.split(" ")}
_ALIASES |= {"penny": "penny", "pence": "penny"}
_AMBIGUOUS = (
    *({"¥", "yen"}, {"¥", "yuan"}, {"kr", "sek"}, {"kr", "nok"}, {"kr", "dkk"}, {"peso", "₱"}, {"peso", "mx$"}),
    *({"$", name} for name in _CURRENCIES if name.endswith("$") and name != "$"),
)
CURRENCY_SIGNS = r"(?:us|a|au|c|ca|hk|s|nz|nt|mx|r)?\$|[€£¥₹₩₽₱₺₴₫฿₪₦₿¢]"
"""Pattern of a currency's sign, before or behind an amount."""
CURRENCY = (
    rf"{CURRENCY_SIGNS}|(?:rs\.?|kr\.?|rmb|zł|kč|fr\.|usd|eur|gbp|jpy|cny|inr|krw|rub|chf|sek|nok|dkk|brl|aud|cad|hkd|sgd"
    r"|nzd|twd|mxn|thb|ils|pln|czk|zar)(?=[\s0-9-])"
)
"""Pattern of what stands before an amount of money."""

_COUNTERS = frozenset(
    [
        "个",
        "個",
        "人",
        "名",
        "只",
        "隻",
        "条",
        "條",
        "本",
        "张",
        "張",
        "辆",
        "輛",
        "台",
        "棵",
        "位",
        "件",
        "把",
        "座",
        "架",
        "匹",
        "头",
        "頭",
        "枚",
        "冊",
        "册",
        "羽",
        "歳",
        "岁",
        "つ",
        "杯",
        "朵",
        "间",
        "間",
        "层",
        "層",
        "次",
        "回",
        "种",
        "種",
        "份",
        "页",
        "頁",
        "匙",
        "颗",
        "顆",
        "粒",
        "支",
        "枝",
        "双本",
        "匹",
        "個人",
        "つの",
        "只猫",
        "只狗",
        "辆车",
        "个人",
        "个苹果",
        "लोग",
        "व्यक्ति",
        "बार",
        "टुकड़े",
    ]
)


@lru_cache(maxsize=4096)
def is_counter(word: str) -> bool:
    """Return whether a word of a script without case merely counts things: 5个, 5人."""
    return word in _COUNTERS


def is_currency(unit: str) -> bool:
    """Return whether a unit is a currency."""
    return canonical_unit(unit) in _CURRENCIES


def may_be_one(a: str, b: str) -> bool:
    """Return whether two different units may be one in two spellings: the sign ¥ is that of the yen as well."""
    return {a, b} in _AMBIGUOUS


# Units that differ by case alone: the prefix m is a thousandth, M a million; b is a bit, B a byte.
_CASED = {
    "MW": "megawatt",
    "mHz": "millihertz",
    "mJ": "millijoule",
    "MV": "megavolt",
    "MA": "megaampere",
    "MPa": "megapascal",
    "mPa": "millipascal",
    "MN": "meganewton",
    "Mg": "t",
    "Mb": "mbit",
    "Gb": "gbit",
    "Kb": "kbit",
    "kb": "kbit",
    "b": "bit",
    "B": "byte",
}


@lru_cache(maxsize=4096)
def canonical_unit(text: str) -> str:
    """Return the canonical name of a unit; "square metres" and "m²" are "m2", "miles per hour" is "mi/h"."""
    unit = " ".join(text.rstrip(".").replace("^", "").replace("° ", "°").replace("μ", "µ").split())
    over, slash, under = unit.partition("/")
    if slash:
        return f"{canonical_unit(over)}/{canonical_unit(under)}"
    if unit in _CASED:
        return _CASED[unit]
    unit = unit.lower()
    for word, power in (("square ", "2"), ("sq ", "2"), ("sq. ", "2"), ("cubic ", "3")):
        if unit.startswith(word):
            unit = unit.removeprefix(word) + power
    base, power = (unit[:-1], unit[-1]) if unit[-1:] in {"2", "3"} else (unit, "")
    return _ALIASES.get(base.replace(" ", "_"), base) + power


def conversion(unit: str, target: str) -> Fraction | None:
    """Return the factor from one unit to another of its dimension; None if there is none."""
    if unit == target:
        return Fraction(1)
    if "/" in unit and "/" in target:
        (over, _, under), (target_over, _, target_under) = unit.partition("/"), target.partition("/")
        above, below = conversion(over, target_over), conversion(under, target_under)
        return above / below if above and below else None
    for dimension in _DIMENSIONS:
        if unit in dimension and target in dimension:
            return dimension[unit] / dimension[target]
    return None


_KNOWN = (
    frozenset(_CURRENCIES)
    | frozenset(_ALIASES)
    | frozenset(_ALIASES.values())
    | {unit for names in _DIMENSIONS for unit in names}
)


@lru_cache(maxsize=4096)
def is_unit(word: str) -> bool:
    """Return whether a word is a unit of measurement or a currency that is known here, in any case."""
    unit = canonical_unit(word)
    return all(part in _KNOWN or part.rstrip("23") in _KNOWN for part in unit.split("/"))
