"""Where the paths of rows begin, if not at the folder with the rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pipeline.sources.questions import image_file, is_url

_FOLDERS = 2_000
"""Folders that are looked at: sets of pictures have one for each class or film."""


def image_root(directory: Path, names: Sequence[str]) -> Path | None:
    """Return the only folder below the one with the rows at which the paths of pictures begin.

    None where they begin at the folder itself, are URLs, or lead to files below none of the folders, or of several.
    """
    paths = [name for name in names if name and not is_url(name)]
    if not paths or any(image_file(name, directory) for name in paths):
        return None
    begins = [folder for folder in islice(_folders(directory), _FOLDERS) if image_file(paths[0], folder)]
    fitting = [folder for folder in begins if all(image_file(name, folder) for name in paths)]
    return fitting[0] if len(fitting) == 1 else None


def _folders(directory: Path) -> Iterator[Path]:
    """Yield the folders below one, the nearest first, for it may be somebody's home; links are not followed further."""
    left = deque([directory])
    while left:
        try:
            inside = sorted(path for path in left.popleft().iterdir() if path.is_dir())
        except OSError:  # not for us to open, or gone
            continue
        yield from inside
        left.extend(path for path in inside if not path.is_symlink())
