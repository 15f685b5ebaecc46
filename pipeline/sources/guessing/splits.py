"""Which files of a folder are read when a manifest is written for it: none of a split that is evaluated on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from glob import escape
from pathlib import Path

from pipeline.sources.guard import words_of

_EVALUATED = frozenset({"test", "testmini", "val", "valid", "validation", "dev", "eval", "evaluation"})


def for_training(directory: Path, files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that neither they nor a folder of theirs is named after such a split; all, if none is left."""
    return tuple(file for file in files if not is_evaluated(directory, file)) or tuple(files)


def is_evaluated(directory: Path, file: Path) -> bool:
    """Return whether a file, or a folder that it lies in below `directory`, is named after a split to evaluate on."""
    inner = file.relative_to(directory)
    names = (*inner.parent.parts, inner.name.partition(".")[0])
    return not _EVALUATED.isdisjoint(word for name in names for word in words_of(name))


def patterns_of(directory: Path, files: Sequence[Path], others: Sequence[Path]) -> list[str]:
    """Return patterns, from `directory`, that take the files and none of the others; numbers in them are any."""
    names = [file.relative_to(directory).as_posix() for file in files]
    wide = {re.sub(r"\d+", "*", escape(name)) for name in names}
    left = [file.relative_to(directory).as_posix() for file in others]
    taken = any(fnmatch(name, pattern) for name in left for pattern in wide)
    return sorted(map(escape, names) if taken else wide)
