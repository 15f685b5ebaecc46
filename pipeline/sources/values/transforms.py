"""What a map of columns may do to a value: transforms of a fixed meaning, and no code."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any, Literal, NamedTuple

from pipeline.errors import RowError
from pipeline.sources.values.chats import ANSWERS, ASKS, said
from pipeline.sources.values.coercion import lettered
from pipeline.sources.values.image_marks import unmarked
from pipeline.sources.values.wording import quoted, unread

Transform = Literal[
    "json", "split", "unwrap_list", "strip_marks", "letter_to_option", "index_to_option", "base64",
    "first", "user_text", "assistant_text", "cut", "drop_lines", "clean_options", "spelt_out",
]  # fmt: skip
"""`json`: a text is the JSON of a value. `split`: a text is a list with a separator. `unwrap_list`: a list of one is
what it holds. `strip_marks`: image marks are taken out of a text. `letter_to_option`: a letter, with or without the
option behind it, is the option it stands for; `index_to_option`: so is its number, the first being 0. `base64`: a text
is the bytes of a picture. `first`: a list is the first of its values. `user_text`, `assistant_text`: turns of a chat
are the first thing that the user says, the last that the model does. `cut`: of a text, or each text of a list, what
stands behind `after` and in front of `before`. `drop_lines`: a text without the lines that begin with one of `lines`.
`clean_options`: options without rules, headings and their own letters. `spelt_out`: of several spellings of an answer,
those that are no flag and no code of two capitals."""


class Words(NamedTuple):
    """What the transforms of a column are told."""

    separator: str
    after: str | None
    before: str | None
    lines: tuple[str, ...]
    choices: object
    """The options of the row, as far as they are known."""


def transformed(transform: Transform, value: Any, words: Words) -> Any:
    """Return a value that is not None after one transform.

    Raises:
        RowError: `row_column`, the transform does not fit the value; the detail names transform and value.
    """
    return _TRANSFORMS[transform](value, words)


def _json(value: Any, _words: Words) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise _unfit("json", value, unread(error)) from error


def _split(value: Any, words: Words) -> Any:
    text = _require_text("split", value)
    return [part for part in map(str.strip, text.split(words.separator)) if part]


def _unwrap(value: Any, _words: Words) -> Any:
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise _unfit("unwrap_list", value, f"a list of {len(value)}")
        return value[0] if value else None
    return value


def _strip_marks(value: Any, _words: Words) -> Any:
    return unmarked(_require_text("strip_marks", value))


_LETTER = re.compile(r"\s*[(\[]?(?P<letter>[A-Za-z])(?P<mark>[)\].:]|)\s*(?P<rest>(?<![A-Za-z]).*)?", re.DOTALL)


def _option(value: Any, words: Words) -> Any:
    if isinstance(value, list | tuple):
        return [_option(item, words) for item in value]
    options = lettered(words.choices)
    count = len(options) if isinstance(options, list | tuple) else 0
    match = _LETTER.fullmatch(value) if isinstance(value, str) else None
    place = -1 if match is None else ord(match["letter"].upper()) - ord("A")
    if match is None or not isinstance(options, list | tuple) or not 0 <= place < count:
        raise _unfit("letter_to_option", value, f"no letter of the {count} options")
    # Without a mark behind its letter "A cat" may be the option itself.
    if match["rest"] and not match["mark"] and match["rest"].strip() != str(options[place]).strip():
        raise _unfit("letter_to_option", value, "a letter and a text that is not its option")
    return options[place]


def _indexed(value: Any, words: Words) -> Any:
    options = lettered(words.choices)
    place = int(value) if isinstance(value, int | str) and str(value).isdecimal() else -1
    if not isinstance(options, list | tuple) or not 0 <= place < len(options):
        raise _unfit("index_to_option", value, "no number of an option, the first of which is 0")
    return options[place]


def _base64(value: Any, words: Words) -> Any:
    if isinstance(value, list | tuple):
        return [_base64(item, words) for item in value]
    text = _require_text("base64", value)
    try:
        return base64.b64decode(re.sub(r"\Adata:[^,]{0,100},|\s", "", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unfit("base64", value, "not base64") from error


def _first(value: Any, _words: Words) -> Any:
    return next(iter(value), None) if isinstance(value, list | tuple) else value


def _user_text(value: Any, _words: Words) -> Any:
    turns = _turns("user_text", value)
    return next((text for speaker, text in turns if speaker in ASKS), None)


def _assistant_text(value: Any, _words: Words) -> Any:
    turns = _turns("assistant_text", value)
    return next((text for speaker, text in reversed(turns) if speaker in ANSWERS), None)


def _turns(transform: Transform, value: Any) -> list[tuple[str, str]]:
    turns = [said(turn) for turn in value] if isinstance(value, list | tuple) else []
    told = [turn for turn in turns if turn is not None]
    if not told or len(told) < len(turns):
        raise _unfit(transform, value, "no chat: its turns have a speaker and a text")
    return told


def _cut(value: Any, words: Words) -> Any:
    if isinstance(value, list | tuple):
        return [_cut(item, words) for item in value]
    text = _require_text("cut", value)
    if words.after is not None:
        _, found, text = text.partition(words.after)
        if not found:
            raise _unfit("cut", value, f"without {words.after!r}")
    if words.before is not None:
        text = text.partition(words.before)[0]
    return text.strip()


def _drop_lines(value: Any, words: Words) -> Any:
    text = _require_text("drop_lines", value)
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(words.lines))


_NO_OPTION = re.compile(r"\s*(?:[-\u2013\u2014_]*|#{2,}.*)\s*", re.DOTALL)
"""A rule, a heading, or nothing; a sign such as "+" is an option."""
_OWN_LETTER = re.compile(r"\s*[(\[]?(?P<letter>[A-Z])[)\].:]\s*(?P<rest>.*\S.*)", re.DOTALL)


def _clean_options(value: Any, _words: Words) -> Any:
    options = lettered(value)
    if not isinstance(options, list | tuple):
        raise _unfit("clean_options", value, "no list")
    kept = [option for option in options if not (isinstance(option, str) and _NO_OPTION.fullmatch(option))]
    own = [_OWN_LETTER.fullmatch(option) if isinstance(option, str) else None for option in kept]
    letters = [(match["letter"], ascii_uppercase[place % 26]) for place, match in enumerate(own) if match]
    if all(letter == place for letter, place in letters):
        return [match["rest"].strip() if match else option for match, option in zip(own, kept, strict=True)]
    if sorted(letter for letter, _ in letters) == sorted(ascii_uppercase[: len(kept)]):
        raise _unfit("clean_options", value, "options that are not in the order of their letters")
    return kept  # "E. coli" begins as a letter does


_CODE = re.compile(r"[A-Z]{2}|\W+")
"""Of a country or language: `ES`, or its flag, of which no character is a word's."""


def _spelt_out(value: Any, _words: Words) -> Any:
    if not isinstance(value, list | tuple):
        return value
    told = [item for item in value if not (isinstance(item, str) and _CODE.fullmatch(item.strip()))]
    return told or [*value]


_TRANSFORMS: dict[Transform, Callable[[Any, Words], Any]] = {
    "json": _json,
    "split": _split,
    "unwrap_list": _unwrap,
    "strip_marks": _strip_marks,
    "letter_to_option": _option,
    "index_to_option": _indexed,
    "base64": _base64,
    "first": _first,
    "user_text": _user_text,
    "assistant_text": _assistant_text,
    "cut": _cut,
    "drop_lines": _drop_lines,
    "clean_options": _clean_options,
    "spelt_out": _spelt_out,
}


def without_void(value: Any, void: Sequence[str]) -> Any:
    """Return a value without the entries that say there is no answer, whatever their case.

    Raises:
        RowError: `row_void`, where half of the entries say so: people asked found no answer, or there is none.
    """
    entries = value if isinstance(value, list | tuple) else (value,)
    none = {text.casefold() for text in void}
    left = [entry for entry in entries if not (isinstance(entry, str) and entry.strip().casefold() in none)]
    if len(left) == len(entries):
        return value
    if 2 * len(left) <= len(entries):
        raise RowError("row_void", f"{len(entries) - len(left)} of {len(entries)} say there is none: {quoted(value)}")
    return left


def _require_text(transform: Transform, value: Any) -> str:
    if not isinstance(value, str):
        raise _unfit(transform, value, "no text")
    return value


def _unfit(transform: Transform, value: object, found: str) -> RowError:
    return RowError("row_column", f"{transform}: {quoted(value)} is {found}")
