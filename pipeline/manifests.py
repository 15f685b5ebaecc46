"""Where the files of `manifests/` are: beside the packages in a checkout, inside the wheel when installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

if TYPE_CHECKING:
    from yaml import SafeLoader as _Safe
else:
    # Ten times as fast, where libyaml is there: benchmarks list hashes by the thousand.
    _Safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def manifests_dir() -> Path:
    """Return the directory with `sources/`, `benchmarks/`, `recipes/` and `prompts/`."""
    packaged = Path(__file__).parent / "_manifests"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "manifests"


class _Once(_Safe):
    """Reads YAML in which no name stands twice: of two, YAML's own reader drops the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; what it takes from another by `<<` it may say anew."""
        seen: set[str] = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.tag != "tag:yaml.org,2002:merge":
                if name.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{name.value!r} stands twice; remove one of both", name.start_mark
                    )
                seen.add(name.value)
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str) -> Any:
    """Return what a text of YAML holds, plain values alone.

    Raises:
        yaml.YAMLError: it is no YAML, or a name stands twice at one place.
    """
    return yaml.load(text, _Once)  # noqa: S506 - a SafeLoader


def explain(error: ValidationError) -> str:
    """Return one indented line per wrong field of a manifest."""
    return "\n".join(
        f"  {'.'.join(map(str, problem['loc'])) or 'manifest'}: {said(problem)}" for problem in error.errors()
    )


KEY = r"^[a-z0-9][a-z0-9_-]*$"
"""Of what files and directories are named by."""
SHA256 = r"^[0-9a-f]{64}$"
SHAPES = {
    KEY: "of small letters, digits, - and _, the first a letter or a digit, such as my-photos",
    SHA256: "64 hexadecimal digits, 0-9 and a-f",
    r"\S": "a text with something in it",
    r"^https?://[^\s{}\\<>]+$": "an address that begins with https:// or http://, without spaces and braces",
    r"^[^{}\\\x00-\x1f]*[^{}\\\x00-\x1f ][^{}\\\x00-\x1f]*$": "one line of text, without braces and backslashes",
    r"^[A-Za-z0-9._-]*$": "of letters, digits, dots, - and _",
    r"^[^{}]*\{\}[^{}]*$": "a text with {} in one place",
    r"^[\w.-]+/[\w.-]+$": "OWNER/NAME",
    r"^[a-z0-9.-]+\.[a-z]{2,}(/[^/\s]+)*$": "a site, such as example.org or example.org/data",
    r"^\d{4}-\d{2}-\d{2}$": "a day, such as 2025-12-31",
}
"""What people have to write where a field has a pattern."""
_QUOTED = 60
"""Characters of a wrong value that are quoted."""


def said(problem: ErrorDetails) -> str:
    """Return what is wrong with a field, in words: of a pattern what a value has to be, beside the one that stands."""
    pattern = problem.get("ctx", {}).get("pattern")
    if pattern not in SHAPES:
        # The prefix is pydantic's, before every text that is ours.
        return problem["msg"].removeprefix("Value error, ")
    value = str(problem["input"])
    return f"{value[:_QUOTED]!r}{'…' if len(value) > _QUOTED else ''} is not {SHAPES[pattern]}"
