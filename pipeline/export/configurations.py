"""The configurations by which `datasets` loads exports, and the README that makes a folder of them one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from pipeline.export.layout import Manifest, Shard, named_as
from pipeline.export.rows import Split


def configurations(shard: Shard, files: Sequence[str], prefix: str = "") -> list[dict[str, Any]]:
    """Return the configurations of an export with these data files, as the front matter of a card has them.

    `<shard>` is the whole and what is loaded without a name; where files stand in a folder for each licence, there is
    `<shard>-<licence>` as well. Names do not change from release to release. The names of files do, and so their
    patterns, so that `datasets` does not take one release from the cache of another. `prefix` leads to the export.
    """
    patterns: dict[str, dict[Split, list[str]]] = {}
    for path in files:
        named = named_as(path)
        if named is None:
            raise ValueError(f"{path} is not named as a data file of an export")
        place, split = PurePosixPath(path), named[0]
        pattern = f"{prefix}{place.parent / '-'.join(named)}-*{place.suffix}"
        folder = "/".join(place.parent.parts[1:])
        for name in {shard, f"{shard}-{folder}" if folder else shard}:
            own = patterns.setdefault(name, {}).setdefault(split, [])
            if pattern not in own:
                own.append(pattern)
    return [_configuration(name, patterns[name], default=name == shard) for name in sorted(patterns)]


def _configuration(name: str, splits: Mapping[Split, list[str]], *, default: bool) -> dict[str, Any]:
    listed = [
        {"split": split, "path": paths if len(paths) > 1 else paths[0]} for split, paths in sorted(splits.items())
    ]
    return {"config_name": name, **({"default": True} if default else {}), "data_files": listed}


def shard_card(plain: Manifest) -> str:
    """Return the README of the folder of a shard's exports, so that `load_dataset` of it loads the plain data set.

    `plain` is the manifest of that one, which stands in `huggingface/`.
    """
    configs = configurations(plain.shard, [file.path for file in plain.data], "huggingface/")
    front = yaml.safe_dump({"configs": configs}, sort_keys=False)
    return f"---\n{front}---\n\n# {plain.name}: {plain.shard}\n\nThe same rows in a format of each folder.\n"
