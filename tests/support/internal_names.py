"""Words that a message to a user has only from the inside of a program: names of Python, of pydantic, of codecs."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_INTERNAL = re.compile(
    r"\b(?:Input should|Field required|Tuple|[Dd]ict(?:ionary)?|NoneType|None|True|False|[Cc]odec|surrogate"
    r"|[A-Z]\w*(?:Error|Exception)|object at 0x\w+|pattern|sys\.\w+|str|int|bytes-like)\b"
)


def internal_names(message: str) -> list[str]:
    """Return those of a message; what it quotes of the data may say anything."""
    return _INTERNAL.findall(_QUOTED.sub("", message))
