"""Which column is which field: by the names that data sets give them, and by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import PurePosixPath
from string import ascii_lowercase
from typing import Any, NamedTuple, get_args

import yaml

from pipeline.errors import RowError, UsageError
from pipeline.records import AnswerType, Category
from pipeline.sources.conversations import TURNS
from pipeline.sources.kinds.archives import PICTURES
from pipeline.sources.manifest import UNKNOWN
from pipeline.sources.rows import entries
from pipeline.sources.source import Source
from pipeline.sources.values.chats import ASKS, said
from pipeline.sources.values.coercion import flag, lettered, number
from pipeline.sources.values.columns import Record, column_of
from pipeline.sources.values.pictures import holds_picture

LOOKED_AT = 200
"""Rows that are looked at: enough to see a column that is mostly null, few enough to be there at once."""

_NAMES: dict[str, tuple[str, ...]] = {
    "row": (
        *("row", "id", "question_id", "questionid", "qid", "pid", "data_id", "sample_id", "uid", "uuid", "key"),
        *("__key__", "index", "idx", "编号", "序号"),
    ),
    "text": (
        *("text", "question", "problem", "query", "extra_info.question", "json.question", "json.problem", "prompt"),
        *("instruction", "txt", "问题", "题目", "問題", "質問"),
    ),
    "images": (
        *("images", "image", "jpg", "png", "jpeg", "webp", "img", "picture", "pictures", "decoded_image"),
        *("image_path", "image_file", "image_name", "img_path", "photo", "image_url", "image_urls"),
    ),
    "image_sha256": ("image_sha256",),
    "choices": ("choices", "options", "candidates", "json.choices", "json.options", "选项", "選択肢"),
    "answers": (
        *("answers", "answer", "label", "labels", "ground_truth", "reward_model.ground_truth", "extra_info.answer"),
        *("json.answer", "json.answers", "json.label", "output", "response", "target", "cls"),
        *("答案", "回答", "答え"),
    ),
    "category": ("category",),
    "answer_type": ("answer_type",),
    "tolerance": ("tolerance",),
    "licence": ("licence", "license"),
    "redistributable": ("redistributable",),
}
"""What data sets call the fields, the commonest first, as `_plain` writes names."""
_OPTIONS = ("{}", "option_{}", "option{}", "choice_{}", "choice{}", "opt_{}", "opt{}")
"""What columns of one option each are called."""
_VALUES, _ALIASES = ("value", "answer", "text", "label", "ground_truth"), "aliases"
"""Parts of an answer that is an object: the first of these is what it says, beside other spellings."""
_LONGEST = 60


class Look(NamedTuple):
    """What was looked at."""

    rows: Sequence[Record]
    columns: Mapping[str, str]
    """Columns by their names as `_plain` writes them."""

    def values(self, name: str) -> list[Any]:
        """Return what a column holds, without what is absent."""
        return [value for row in self.rows if (value := column_of(row, name)) not in (None, "")]

    @property
    def pictures(self) -> list[str]:
        """Return the columns of the pictures that a question shows, in their order."""
        return _pictures(self, _named("images", _NAMES["images"], self))

    @property
    def paths(self) -> list[str]:
        """Return what stands as paths in these columns."""
        return paths_in([value for name in self.pictures for value in self.values(name)])

    def with_(self, name: str) -> list[Record]:
        """Return the rows that have something in a column."""
        return [row for row in self.rows if column_of(row, name) not in (None, "")]


def paths_in(values: Sequence[Any]) -> list[str]:
    """Return the paths that stand in values of a column of pictures: texts, in lists and structs too, but no base64."""
    found: list[str] = []
    for value in values:
        if isinstance(value, Mapping):
            found += paths_in([value.get("path")]) if value.get("bytes") is None else []
        elif isinstance(value, list):
            found += paths_in(value)
        elif isinstance(value, str) and not _is_base64(value):
            found.append(value)
    return found


def look_at(label: str, source: Source) -> Look:
    """Look at the first rows of a source.

    Raises:
        UsageError: no row can be read, or they are not in UTF-8.
    """
    found = [entry.found for entry in islice(entries(source), LOOKED_AT)]
    rows = [row for row in found if not isinstance(row, RowError)]
    if not rows:
        raise UsageError(f"{label}: no row can be read")
    if not _is_utf8(rows):
        raise UsageError(f"{label} is not in UTF-8; save it as UTF-8, then look again")
    _require_rows(label, rows)
    columns: dict[str, str] = {}
    for column in dict.fromkeys(column for row in rows for column in row):
        columns.setdefault(_plain(column), column)
    return Look(rows, columns)


def column_lines(look: Look, classes: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a manifest that say which column is which field, each with a comment on its reason.

    `classes` are the names of folders that are what their pictures show.
    """
    rows = look.rows
    named = {field: _named(field, names, look) for field, names in _NAMES.items()}
    pictures = look.pictures
    named["images"] = next(iter(pictures), None)
    options = [named["choices"]] if named["choices"] is not None else _option_columns(look)
    shown = sum(any(column_of(row, name) not in (None, "", []) for name in pictures) for row in rows)
    if pictures and _nearly_all(shown, len(rows)):
        yield f"# {shown} of {len(rows)} rows have a picture: one without has lost it (`image_absent`). Where rows may"
        yield "# have none, write `some`."
        yield "pictures: each"
    yield "# Which column is which field. What is not named is carried along in `meta`."
    yield "columns:"
    for field, name in named.items():
        if field == "choices" and len(options) > 1:
            yield "  # one option in each of these columns"
            yield f"  choices: {text_of(options)}"
        elif field == "images" and len(pictures) > 1:
            yield "  # pictures in each of these columns, in this order"
            yield f"  images: {_joined(pictures, look)}"
        elif classes and field in {"text", "choices", "answers"}:
            yield from _of_classes(field, classes)
        else:
            yield from _column(field, name, look, options)
    yield "  # Not mapped: category is perception with a picture, else reasoning; answer_type is choice with options,"
    yield "  # number, boolean, date or expression where every answer is one, else text. Search questions:"
    yield "  # category: {value: search}."


def _of_classes(field: str, classes: Sequence[str]) -> Iterator[str]:
    """Yield the line of a field of pictures in folders that are called after what they show."""
    few = len(classes) <= len(ascii_lowercase)
    match field:
        case "text":
            yield f"  # one question for all: {len(classes)} folders are taken for what their pictures show"
            asked = "Which of these does the picture show?" if few else "What does the picture show?"
            yield f"  text: {text_of({'value': asked})}"
        case "choices" if few:
            yield f"  choices: {text_of({'value': [*classes]})}"
        case "answers":
            yield "  # the name of the folder"
            yield "  answers: folder"


def _require_rows(label: str, rows: Sequence[Record]) -> None:
    """Refuse one object around a list of rows: read as it stands, it is a row itself.

    Raises:
        UsageError: as said.
    """
    around = [
        name for name, value in rows[0].items() if isinstance(value, list) and value and isinstance(value[0], Mapping)
    ]
    if len(rows) == 1 and around and not {"question", "text", "problem", *TURNS} & {_plain(name) for name in rows[0]}:
        raise UsageError(
            f"{label} is one object, with a list in its field `{around[0]}`; if that holds the rows, write it into a "
            f"file of its own (`jq .{around[0]} FILE > rows.json`), and look at that"
        )


def _plain(name: str) -> str:
    """Return a name without what writers vary: case, spaces, hyphens."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _is_utf8(rows: Sequence[Record]) -> bool:
    """Return whether no cell holds half a character, which is what other encodings are read as."""
    try:
        "".join(str(cell) for row in rows for cells in row.items() for cell in cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(field: str, names: Sequence[str], look: Look) -> str | None:
    """Return the first of the usual names that a column has and whose values can be the field."""
    for usual in names:
        name = look.columns.get(usual, usual)
        values = look.values(name)
        if values and _fits(field, values, len(look.rows)):
            return name
    return None


def _pictures(look: Look, named: str | None) -> list[str]:
    """Return the columns of the pictures that a question shows, in their order; none where there is none.

    What stands in a column tells, and of several its name: pictures themselves come before the column of a usual name,
    that before texts which are base64 or paths. With the first go those that are called like it but for a number, in
    the order of these, and those that hold a picture only where it holds none (`jpg`, `png` of an archive).
    """
    forms: dict[Callable[[Any], bool], list[str]] = {
        form: [
            name
            for name in look.columns.values()
            if (values := look.values(name)) and _nearly_all(sum(map(form, values)), len(values))
        ]
        for form in (holds_picture, _is_base64, _is_path)
    }
    usual = [name for one in _NAMES["images"] if (name := look.columns.get(one)) is not None]
    embedded = forms[holds_picture]
    first = next((name for name in (*usual, *embedded) if name in embedded), named)
    first = first or next((name for names in forms.values() for name in names), None)
    if first is None:
        return []
    alike = next((names for names in forms.values() if first in names), [first])
    numbered = sorted((name for name in alike if _stem(name) == _stem(first)), key=_numbers)
    taken = {id(row) for row in look.rows if any(column_of(row, name) not in (None, "") for name in numbered)}
    instead = [name for name in alike if name not in numbered and not taken & {*map(id, look.with_(name))}]
    return [*numbered, *instead]


def _stem(name: str) -> str:
    return re.sub(r"[\d_]+", "", _plain(name))


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def _joined(pictures: Sequence[str], look: Look) -> str:
    """Return several columns of pictures as a manifest has them."""
    forms = {_form("images", name, look.values(name), look, ()) for name in pictures}
    return text_of({"from": [*pictures], "as": "base64"} if forms == {"base64"} else [*pictures])


def _nearly_all(n: int, of: int) -> bool:
    """Return whether all are, but for one in twenty: data have odd values, and what they are one tells at ingest."""
    return n > 0 and n >= of - of // 20


def _is_base64(value: object) -> bool:
    return isinstance(value, str) and _BASE64.match(value) is not None


def _is_path(text: object) -> bool:
    return (
        isinstance(text, str) and "\n" not in text and PurePosixPath(text.replace("\\", "/")).suffix.lower() in PICTURES
    )


def _option_columns(look: Look) -> list[str]:
    """Return the columns that hold an option each, in their order; none where there are not two."""
    for form in _OPTIONS:
        for labels in (ascii_lowercase, "123456789", "0123456789"):
            usual = takewhile(look.columns.__contains__, map(form.format, labels))
            columns = [look.columns[name] for name in usual]
            # A letter alone is one of A, B, C, or any column.
            if len(columns) > 1 and (form != "{}" or all(map(str.isupper, columns))):
                return columns
    return []


def _fits(field: str, values: Sequence[Any], rows: int) -> bool:
    match field:
        case "row":
            # A key is there in every row, and another in each.
            return len(values) == rows and len({str(value) for value in values}) >= rows - rows // 20
        case "text":
            return _mostly(values, lambda value: isinstance(value, str))
        case "images":
            return _mostly(values, _is_picture)
        case "choices":
            return _mostly(values, lambda value: isinstance(lettered(value), list | str))
        case "answers":
            return _mostly(values, lambda value: not isinstance(value, Mapping)) or bool(_spellings(values))
        case "category" | "answer_type":
            return set(map(str, values)) <= set(get_args(Category if field == "category" else AnswerType))
        case "licence" | "image_sha256":
            return all(isinstance(value, str) for value in values)
        case "tolerance":
            return all(isinstance(number(value), float | int) for value in values)
        case "redistributable":
            return all(isinstance(flag(value), bool) for value in values)
        case _:
            return True


def _mostly(values: Sequence[Any], holds: Callable[[Any], bool]) -> bool:
    return _nearly_all(sum(map(holds, values)), len(values))


def _is_picture(value: object) -> bool:
    match value:
        case list():
            return bool(value) and all(map(_is_picture, value))
        case Mapping():
            return bool({"bytes", "path"} & value.keys())
        case _:
            return isinstance(value, bytes | str)


def _spellings(answers: Sequence[Any]) -> list[str]:
    """Return the parts of answers that are objects which hold what they say; none where they are not."""
    if not _mostly(answers, lambda answer: isinstance(answer, Mapping)):
        return []
    parts = {name for answer in answers if isinstance(answer, Mapping) for name in answer}
    first = next((name for name in _VALUES if name in parts), None)
    return [] if first is None else [first, *([_ALIASES] if _ALIASES in parts else [])]


def _column(field: str, name: str | None, look: Look, options: Sequence[str]) -> Iterator[str]:
    if name is None:
        yield from _unnamed(field, look)
        return
    values = look.values(name)
    remark = _remark(field, name, values, look, options)
    yield f"  # {len(values)} of {len(look.rows)} rows, such as {_example(values[0])}{remark}"
    if field == "images" and isinstance(values[0], str) and values[0].startswith(("http://", "https://")):
        yield "  # Addresses: say `fetch: {}` where a recipe names this source, or they are refused (docs/pictures.md)."
    yield f"  {field}: {_written(field, name, values, look, options)}"


def _unnamed(field: str, look: Look) -> Iterator[str]:
    if field == "row":
        yield "  # row: no column is there and different in every row; the key is a hash of what the row holds."
    if field not in {"text", "answers"}:
        return
    chat = next((name for name in TURNS if _are_chats(look.values(name))), None)
    if chat is not None:
        yield "  # of conversations, each of which asks once"
        told = text_of({"from": chat, "as": "user_text" if field == "text" else "assistant_text"})
        yield f"  {field}: {told}"
        return
    # A name that no column has, which is refused before any row.
    yield f"  {field}: {UNKNOWN}  # which one? there are: {' '.join(_example([*look.columns.values()]).split())}"


def _are_chats(values: Sequence[Any]) -> bool:
    """Return whether values are conversations of one question: of more, the last answer is not that of the first."""
    told = [[said(turn) for turn in value] for value in values if isinstance(value, list)]
    asks = [sum(turn is not None and turn[0] in ASKS for turn in turns) for turns in told]
    return bool(told) and len(told) == len(values) and all(None not in turns for turns in told) and set(asks) == {1}


def _remark(field: str, name: str, values: Sequence[Any], look: Look, options: Sequence[str]) -> str:
    match _form(field, name, values, look, options):
        case "index_to_option":
            return ": the number of an option, the first being 0"
        case "json":
            return "; a JSON list in a text"
        case "base64":
            return ": a picture in base64"
        case _:
            return ""


def _written(field: str, name: str, values: Sequence[Any], look: Look, options: Sequence[str]) -> str:
    form = _form(field, name, values, look, options)
    if form is not None:
        return text_of({"from": name, "as": form})
    if field == "answers" and _mostly(values, lambda value: isinstance(value, list) and _told(value)):
        return text_of(f"{name}.answer")
    if field == "answers" and (parts := _spellings(values)):
        places = [f"{name}.{part}" for part in parts]
        return text_of(places if len(places) > 1 else places[0])
    if field == "answers" and (others := look.columns.get(_ALIASES)) not in (None, name) and look.values(str(others)):
        return _with_aliases(name, str(others), look)
    return text_of(name)


def _with_aliases(name: str, others: str, look: Look) -> str:
    """Return an answer with its other spellings in a column beside it, as a manifest has them."""
    form = _form("answers", others, look.values(others), look, ())
    return text_of([name, others if form is None else {"from": others, "as": form}])


def _form(field: str, name: str, values: Sequence[Any], look: Look, options: Sequence[str]) -> str | None:
    """Return the transform that a column needs; None for none."""
    if field == "images" and _mostly(values, _is_base64):
        return "base64"
    if field != "answers":
        return None
    if len(options) == 1 and _are_indexes(name, options[0], look.rows):
        return "index_to_option"
    if _mostly(values, lambda value: isinstance(value, str) and re.match(r"\s*\[.*\]\s*\Z", value) is not None):
        return "json"
    return None


_BASE64 = re.compile(r"(?:data:image/[a-z+]+;base64,)?(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk)[A-Za-z0-9+/\s]{100}")
"""How JPEG, PNG, GIF, WebP and BMP begin, and what no path goes on like."""


def _told(answers: list[Any]) -> bool:
    """Return whether answers are what annotators gave, each an object: VQA's form."""
    return bool(answers) and all(isinstance(one, Mapping) and "answer" in one for one in answers)


def _are_indexes(name: str, choices: str, rows: Sequence[Record]) -> bool:
    """Return whether answers are numbers of options: each is one, some are 0, and none is what an option says."""
    pairs = [(column_of(row, name), lettered(column_of(row, choices))) for row in rows]
    known = [(value, options) for value, options in pairs if isinstance(options, list) and options]
    return (
        bool(known)
        and all(
            type(value) is int and 0 <= value < len(options) and str(value) not in map(str, options)
            for value, options in known
        )
        and any(value == 0 for value, _ in known)
    )


def _example(value: Any) -> str:
    match value:
        case bytes():
            text = f"<{len(value):,} bytes>"
        case Mapping() if isinstance(value.get("bytes"), bytes):
            text = f"<{len(value['bytes']):,} bytes> {value.get('path') or ''}".strip()
        case list() if value and not isinstance(value[0], str):
            text = f"{len(value)} of {_example(value[0])}"
        case _:
            text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def text_of(value: str | list[Any] | dict[str, Any]) -> str:
    """Return a text, or a list or an object of some, as YAML has it, on one line."""
    flow = not isinstance(value, str) or None
    told = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=flow, sort_keys=False)
    return told.splitlines()[0]
