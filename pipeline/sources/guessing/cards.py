"""What the card of a data set from the Hub (`README.md`) tells of a copy here: its licence, and its configurations.

The fields are those of the Hub's documentation of cards and of data files (huggingface.co/docs/hub/datasets-cards and
datasets-manual-configuration): `license`, and `configs` with `config_name`, `data_files` and `default`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.manifests import parse_yaml


class Card(NamedTuple):
    """What a card says."""

    licence: str = ""
    """As the Hub calls it; empty where it says none, or several."""
    configs: tuple[str, ...] = ()
    """Configurations that name their files."""
    config: str = ""
    """The one that is taken for granted: marked so, called `default`, or the first."""
    patterns: tuple[str, ...] = ()
    """Of the files of its split for training, from the card's folder."""


def read_card(directory: Path) -> Card:
    """Return what the card of a folder says; nothing where there is none, or none that can be read."""
    try:
        text = (directory / "README.md").read_text("utf-8")
        head = parse_yaml(text.split("\n---", 1)[0].removeprefix("---")) if text.startswith("---\n") else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return Card()
    if not isinstance(head, Mapping):
        return Card()
    licence = head.get("license")
    found = head.get("configs")
    configs = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    named = {str(one.get("config_name", "default")): one for one in configs if one.get("data_files")}
    marked = (name for name, one in named.items() if one.get("default") is True)
    config = next(marked, "default" if "default" in named else next(iter(named), ""))
    return Card(
        licence=licence if isinstance(licence, str) else "",
        configs=tuple(named),
        config=config,
        patterns=tuple(_trained_on(named[config]["data_files"])) if config else (),
    )


def _trained_on(data_files: Any) -> Iterator[str]:
    """Yield the patterns of the split `train`, or of all files where no split is named."""
    for part in data_files if isinstance(data_files, list) else [data_files]:
        path = part
        if isinstance(part, Mapping):
            path = part.get("path") if str(part.get("split", "train")) == "train" else None
        yield from (one for one in (path if isinstance(path, list) else [path]) if isinstance(one, str))
