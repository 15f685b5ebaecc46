"""Where the files of `manifests/` are: beside the packages in a checkout, inside the wheel when installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

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
        f"  {'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors()
    )
